/* SPDX-License-Identifier: MIT */
#ifndef COMMANDS_POSTTLS_FINGER_H
#define COMMANDS_POSTTLS_FINGER_H

/*
 * posttls-finger(1): what smtp would find at a server, by the code of smtp itself.
 *
 *     posttls-finger.c   options; they become parameters in place of those of main.cf
 *     finger.c           hosts, connections, handshakes, and what is shown of them
 *     resolver.c         answers from the DNS without the dns service
 */

#include <stdbool.h>

struct finger_options {
	const char *destination;
	const char *level;         /* -l; NULL: dane, or secure without DNSSEC */
	bool is_quiet;             /* -c: no dialogue */
	bool shows_chain;          /* -C */
	bool shows_peer;           /* -L: subject and fingerprints ... */
	bool shows_match;          /* ... what matched */
	int reconnect_s;           /* -r; 0: no */
	int reconnect_max;         /* -m */
	const char *chain_files;   /* -H; certificates of the client, read with the caller's rights */
	const char *cert, *key;    /* -k, -K; NULL: none */
};

/* Connects and shows; `conf` is loaded. What makes no sense is fatal. */
void finger_run(const struct finger_options *options);

/* Lookups of this process go to the servers of resolv.conf. Whether their word on DNSSEC counts. */
bool resolver_open(void);

#endif
