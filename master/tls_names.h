/* SPDX-License-Identifier: MIT */
#ifndef MASTER_TLS_NAMES_H
#define MASTER_TLS_NAMES_H

/* For keysign: which files hold the certificates and keys of each service. master reads none. */

struct config;
struct conf_snapshot;

/* Adds "tls_files": a line (tls/keysign.h) for each different set of files that a service names. */
void tls_names_add(const struct config *config, struct conf_snapshot *snapshot);

#endif
