/* SPDX-License-Identifier: MIT */
/*
 * Hosts of a destination, one connection or a few, and what is to be seen there. The work is done by
 * the sources of smtp: what this shows is what smtp would do. Runs as the caller; the server is
 * trusted in nothing.
 */

#include "commands/posttls-finger/finger.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/words.h"
#include "conf/conf.h"
#include "ipc/table_client.h"
#include "route/site.h"
#include "smtp/tls.h"
#include "tls/chains.h"

enum { CHAIN_BYTES_MAX = 1024 * 1024, NAMES_MAX = 16, DANE_HEX_BYTES = 64 };

/* What belongs to smtp.c. */
bool is_lmtp;
struct site site;

static struct {
	const struct finger_options *options;
	struct delivery delivery;
	struct transfer transfer;
	struct session session;
	struct buf chain;          /* -C */
	bool is_behind_hello;      /* the next line of the server begins its reply to EHLO */
	char name[256];            /* by which the server called itself there */
	char names[NAMES_MAX][256]; /* those of earlier connections */
	size_t name_count;
	bool was_resumed, has_tls;
} self;

/* Nobody's mail can loop here: every host may be looked at. */
static bool is_own_address(void *context, const struct ip_addr *addr)
{
	(void)context;
	(void)addr;
	return false;
}

/* ---- what is shown ---- */

static void on_line(char direction, struct span line)
{
	struct span word = line;

	if (!self.options->is_quiet)
		log_info("%c %s", direction, log_clean(line));
	if (direction == '>') {
		self.is_behind_hello = span_starts(line, SPAN("EHLO")) ||
				       span_starts(line, SPAN("LHLO"));
	} else if (self.is_behind_hello) {
		word = span_from(line, 4);
		word = span_word(&word, " \t");
		(void)snprintf(self.name, sizeof(self.name), "%.*s", SPAN_ARG(word));
		self.is_behind_hello = false;
	}
}

static void show_dane(const struct session *session, const struct policy *policy)
{
	struct buf text = BUF_INIT(2000);

	for (size_t i = 0; policy->dane_name != NULL && i < policy->dane_count; i++) {
		const struct tls_dane *record = &policy->dane[i];

		buf_reset(&text);
		for (size_t k = 0; k < record->data.n && k < DANE_HEX_BYTES; k++)
			(void)buf_printf(&text, "%02X", (unsigned)(unsigned char)record->data.p[k]);
		log_info("using DANE RR: _%u._tcp.%s IN TLSA %u %u %u %s%s", session->port,
			 log_clean_str(policy->dane_name), record->usage, record->selector,
			 record->matching, buf_str(&text),
			 record->data.n > DANE_HEX_BYTES ? "..." : "");
	}
	buf_done(&text);
}

/* "matched peername: x", and the like for the other ways of knowing somebody. */
static void show_match(const struct session *session, const struct policy *policy)
{
	const struct tls_info *info = tls_info(session->tls);
	struct buf text = BUF_INIT(2000);

	if (info->is_dane) {
		tls_dane_match(session->tls, &text);
		log_info("%s: Matched DANE %s", session->relay, buf_str(&text));
	} else if (policy->level == LEVEL_FINGERPRINT) {
		for (size_t i = 0; i < policy->name_count; i++)
			if (span_is_nocase(policy->names[i], info->fingerprint) ||
			    span_is_nocase(policy->names[i], info->key_fingerprint))
				log_info("%s: Matched fingerprint: %s", session->relay,
					 log_clean(policy->names[i]));
	} else if (tls_peer_name(session->tls, policy->names, policy->name_count,
				 conf->tls_wildcard_matches_multiple_labels, &text)) {
		log_info("%s: %s: %s", session->relay,
			 info->is_trusted ? "matched peername"
					  : "would match, were the chain trusted: peername",
			 log_clean(buf_span(&text)));
	}
	buf_done(&text);
}

/* Goes on whatever was found: this is to look, and no mail follows. */
static bool on_handshake(const struct session *session, const struct policy *policy, bool is_match)
{
	const struct tls_info *info = tls_info(session->tls);

	(void)is_match;
	self.has_tls = true;
	self.was_resumed = info->was_resumed;
	if (info->was_resumed)
		log_info("%s: Reusing old session", session->relay);
	if (info->has_peer && self.options->shows_match && !info->was_resumed) {
		show_dane(session, policy);
		show_match(session, policy);
	}
	if (info->has_peer && self.options->shows_peer && !info->was_resumed)
		log_info("%s: subject_CN=%s, issuer_CN=%s, fingerprint=%s, pkey_fingerprint=%s",
			 session->relay, log_clean(span_of(info->subject)),
			 log_clean(span_of(info->issuer)), info->fingerprint,
			 info->key_fingerprint);
	if (self.options->shows_chain && self.chain.length == 0)
		tls_peer_chain(session->tls, &self.chain);
	return true;
}

/* ---- certificates of our own ---- */

static void read_pem(const char *path, struct buf *pem)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || !buf_read(pem, fd))
		fatal("open %s: %s", path, strerror(errno));
	(void)close(fd);
}

static void show_certificates(const char *list, const char *cert, const char *key)
{
	struct buf pem = BUF_INIT(CHAIN_BYTES_MAX), error = BUF_INIT(1000);
	struct span rest = span_of(list), word;
	bool is_list = span_trim(rest).n > 0;
	struct tls_chains *chains;
	char path[4096];

	while ((word = span_word(&rest, WORDS_BLANK_OR_COMMA)).n > 0) {
		(void)snprintf(path, sizeof(path), "%.*s", SPAN_ARG(word));
		read_pem(path, &pem);
	}
	if (!is_list) {
		read_pem(key, &pem);
		if (strcmp(key, cert) != 0)
			read_pem(cert, &pem);
	}
	chains = tls_chains_parse(buf_span(&pem), is_list, &error);
	if (chains == NULL || !client_tls_show(chains, &error))
		fatal("%s: %s", is_list ? list : cert, log_clean(buf_span(&error)));
	buf_done(&pem);
	buf_done(&error);
}

/* ---- connections ---- */

static bool is_dane(const char *level)
{
	return strcmp(level, "dane") == 0 || strcmp(level, "dane-only") == 0;
}

/* What is wanted of TLS. Where DANE is wanted and the host has none, names must do instead. */
static bool make_policy(const struct target *target, const struct host *host, struct policy *ret)
{
	const char *level = self.options->level;
	bool is_good;

	(void)!policy_set_level(span_of(is_dane(level) && host != NULL ? "dane" : level));
	is_good = policy_make(&self.transfer, target, host, ret);
	if (is_good && is_dane(level) && host != NULL && ret->dane_name == NULL &&
	    ret->level != LEVEL_HALF_DANE) {
		log_info("no usable DNSSEC-signed TLSA records for %.*s; using level secure",
			 SPAN_ARG(host->name));
		(void)!policy_set_level(SPAN("secure"));
		is_good = policy_make(&self.transfer, target, host, ret);
	}
	return is_good;
}

static void show_failure(const struct target *target, struct span host)
{
	log_info("Failed to establish session to %s via %s: %s", log_clean(target->text),
		 log_clean(host), log_clean(buf_span(&self.transfer.why.reason)));
}

/* One connection, from the greeting to QUIT. False: there was none. */
static bool look_at(const struct target *target, const struct host *host)
{
	struct span name = host != NULL ? host->name : target->host;
	struct policy policy;
	enum start start;
	int fd = -1;

	self.has_tls = self.was_resumed = false;
	self.name[0] = '\0';
	if (make_policy(target, host, &policy))
		fd = host != NULL ? connect_host(host, &self.transfer.why)
				  : connect_unix(target, 0, &self.transfer.why);
	if (fd < 0) {
		show_failure(target, name);
		return false;
	}
	session_set_names(&self.session, target, host);
	self.session.addr = host != NULL ? host->addr : (struct ip_addr){ 0 };
	if (!self.options->is_quiet)
		log_info("Connected to %s", self.session.relay);
	start = session_start(&self.session, &self.transfer, &policy, fd);
	if (start == START_WELL)
		session_end(&self.session);
	else
		show_failure(target, name);
	return true;
}

/* Whether a server of that name was seen before; remembers it. */
static bool was_seen(void)
{
	for (size_t i = 0; i < self.name_count; i++)
		if (strcasecmp(self.names[i], self.name) == 0)
			return true;
	if (self.name_count < NAMES_MAX)
		(void)snprintf(self.names[self.name_count++], sizeof(self.name), "%s", self.name);
	return false;
}

/* -r: whether a session is resumed, also where several servers share an address. */
static void reconnect(const struct target *target, const struct host *host)
{
	const struct finger_options *options = self.options;

	(void)was_seen();
	for (int i = 0; i < options->reconnect_max && self.has_tls; i++) {
		log_info("Reconnecting after %d seconds", options->reconnect_s);
		(void)sleep((unsigned)options->reconnect_s);
		if (!look_at(target, host))
			return;
		if (self.was_resumed || was_seen()) {
			log_info("Found a previously used server.  Done reconnecting.");
			return;
		}
	}
	if (self.has_tls)
		log_info("No session was resumed in %d connections", options->reconnect_max + 1);
}

static void look_at_target(const struct target *target)
{
	struct hosts hosts;

	if (target->is_unix) {
		if (look_at(target, NULL) && self.options->reconnect_s > 0)
			reconnect(target, NULL);
		return;
	}
	if (!hosts_find(&self.transfer, target, &hosts)) {
		show_failure(target, target->host);
		return;
	}
	for (size_t i = 0; i < hosts.count; i++) {
		if (!look_at(target, &hosts.list[i]))
			continue;
		if (self.options->reconnect_s > 0)
			reconnect(target, &hosts.list[i]);
		return;
	}
}

static void prepare(void)
{
	struct span level = span_of(self.options->level);

	site.lookups.is_own_address = is_own_address;
	table_client_setup();
	tables_open();
	hosts_prepare();
	connect_prepare();
	policy_prepare();
	if (!policy_set_level(level))
		fatal("Invalid TLS level \"%.*s\"", SPAN_ARG(level));
	client_tls_prepare();
	if (self.options->cert != NULL || self.options->chain_files[0] != '\0')
		show_certificates(self.options->chain_files, self.options->cert, self.options->key);
	client_tls_observe(on_handshake);
	chat_trace_to(on_line);
	if (!target_port(span_of(conf->smtp_tcp_port), &tables.default_port))
		fatal("smtp_tcp_port: %s is no port", conf->smtp_tcp_port);
	self.session.stream.fd = -1;
	self.delivery.id = "";
	self.delivery.request.arrival_us = clock_wall_now().us;
	self.transfer.delivery = &self.delivery;
	self.transfer.is_last_host = true;
	why_init(&self.transfer.why);
	buf_init(&self.chain, CHAIN_BYTES_MAX);
}

void finger_run(const struct finger_options *options)
{
	struct span rest = span_of(options->destination);
	struct target target;

	self.options = options;
	prepare();
	if (!target_next(&rest, &target) || rest.n > 0 || target.host.n == 0)
		fatal("malformed destination: %s", log_clean_str(options->destination));
	look_at_target(&target);
	if (self.chain.length > 0)
		(void)printf("\n---\nCertificate chain\n%s", buf_str(&self.chain));
}
