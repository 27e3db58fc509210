/* SPDX-License-Identifier: MIT */
/*
 * TLS in smtp and lmtp: settings, the handshake, who the server is, and what is logged of it. Runs
 * in the jail; a worker that shows a certificate has it from keysign, and never its private key. The
 * server is trusted in nothing. RFC 3207, 8314; postconf(5) smtp_tls_*.
 */

#include "tls.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/words.h"
#include "conf/conf.h"
#include "tls/keysign.h"
#include "tls/log_level.h"

enum { SAVED_MAX = 64, SAVED_BYTES_MAX = 64 * 1024 };

/* A session that may be resumed; it stays in this process. */
struct saved {
	char *key;
	struct buf session;
	struct clock_mono until;
};

static struct {
	bool is_open;
	struct tls_files *files;
	struct tls_files *web;       /* authorities for MTA-STS; NULL: not wanted */
	struct maps *loglevels;
	struct buf file_names;       /* of certificates to show; empty: none */
	struct keysign keysign;
	struct tls_context *context;
	uint64_t version;            /* of its certificates */
	struct saved saved[SAVED_MAX];
	size_t next_saved;
	client_tls_observer_fn *observer;
} self;

/* ---- start ---- */

static void make_context(const struct tls_chains *chains, struct buf *ret_error)
{
	struct tls_settings settings = {
		.role = TLS_CLIENT,
		/* Each session has limits of its own, by its policy. */
		.limits = { "", "medium", NULL, NULL },
		.files = self.files,
		.verify_depth = conf->smtp_tls_scert_verifydepth,
		.fingerprint_digest = conf->smtp_tls_fingerprint_digest,
	};
	struct tls_context *context = tls_context_new(&settings, chains, ret_error);

	if (context == NULL)
		return;
	tls_context_free(self.context);
	self.context = context;
}

static void open_loglevels(void)
{
	struct buf error = BUF_INIT(1024);

	self.loglevels = maps_open("smtp_tls_loglevel_maps", span_of(conf->smtp_tls_loglevel_maps),
				   TABLE_IN_JAIL | TABLE_FOLD, &error);
	if (self.loglevels == NULL)
		fatal("smtp_tls_loglevel_maps: %s", buf_str(&error));
	buf_done(&error);
}

/* Authorities, or with smtp_tls_trust_anchor_file its certificates in their place. */
static void open_files(struct buf *error)
{
	struct span rest = span_of(conf->smtp_tls_trust_anchor_file), line, word;
	bool has_anchors = span_trim(rest).n > 0;

	self.files = tls_files_open(has_anchors ? "" : conf->smtp_tls_CAfile,
				    has_anchors ? "" : conf->smtp_tls_CApath,
				    conf->tls_append_default_CA, "", error);
	while ((word = span_word(&rest, WORDS_BLANK_OR_COMMA)).n > 0) {
		char *path = mem_dup(word);

		tls_files_add_anchors(self.files, path, error);
		free(path);
	}
	if (!has_anchors && (*conf->smtp_tls_CAfile != '\0' || *conf->smtp_tls_CApath != '\0'))
		self.web = self.files;
	else if (policy_may_want_sts())
		self.web = tls_files_open_web(conf->smtp_tls_CAfile, conf->smtp_tls_CApath,
					      conf->tls_append_default_CA, error);
	rest = buf_span(error);
	while (span_line(&rest, &line))
		log_warn("cannot load %s", log_clean(line));
	buf_reset(error);
}

void client_tls_prepare(void)
{
	struct buf error = BUF_INIT(4000);
	struct tls_file_names names = {
		.role = TLS_CLIENT,
		.chain_files = conf->smtp_tls_chain_files,
		.cert = conf->smtp_tls_cert_file,
		.key = conf->smtp_tls_key_file,
		.eccert = conf->smtp_tls_eccert_file,
		.eckey = conf->smtp_tls_eckey_file,
		.dcert = conf->smtp_tls_dcert_file,
		.dkey = conf->smtp_tls_dkey_file,
		.sni_maps = "",
	};

	buf_init(&self.file_names, 16384);
	keysign_init(&self.keysign);
	open_loglevels();
	if (!policy_may_want_tls())
		return;
	self.is_open = tls_library_open(&error);
	if (self.is_open) {
		open_files(&error);
		tls_file_names_text(&names, &self.file_names);
		if (self.file_names.length == 0)
			make_context(NULL, &error);
	}
	if (error.length > 0)
		log_warn("%s: disabling TLS support", log_clean(buf_span(&error)));
	buf_done(&error);
}

bool client_tls_show(struct tls_chains *chains, struct buf *ret_error)
{
	make_context(chains, ret_error);
	tls_chains_free(chains);
	return ret_error->length == 0;
}

bool client_tls_is_ready(void)
{
	struct buf error = BUF_INIT(1000);
	struct tls_chains *chains = NULL;
	struct span tickets;

	if (self.is_open && self.file_names.length > 0 &&
	    keysign_fetch(&self.keysign, buf_span(&self.file_names), SPAN(""), &self.version,
			  &chains, &tickets, &error) == KEYSIGN_FOUND)
		make_context(chains, &error);
	tls_chains_free(chains);
	if (self.context == NULL)
		log_warn("TLS is not available: %s", log_clean(buf_span(&error)));
	buf_done(&error);
	return self.context != NULL;
}

/* ---- sessions for the next time ---- */

/* What must be equal for a session to be resumed: the place, and what may be negotiated there. */
static void make_key(struct session *session, const struct policy *policy, const char *server_name)
{
	buf_reset(&session->tls_key);
	/* What TLSA records say now counts, not what they said then. */
	if (*conf->smtp_tls_session_cache_database == '\0' || policy->dane_name != NULL)
		return;
	/* Who vouched for the server is part of a session, too. */
	(void)buf_printf(&session->tls_key, "%s\n%s\n%s\n%s\n%s\n%s", session->relay,
			 server_name != NULL ? server_name : "", policy->protocols,
			 policy->ciphers, policy->exclude, policy->sts != NULL ? "web" : "");
}

static struct saved *find_saved(const struct session *session)
{
	for (size_t i = 0; i < SAVED_MAX && session->tls_key.length > 0; i++)
		if (self.saved[i].key != NULL &&
		    span_is(buf_span(&session->tls_key), self.saved[i].key) &&
		    !clock_is_past(self.saved[i].until))
			return &self.saved[i];
	return NULL;
}

void client_tls_save(struct session *session)
{
	struct saved *saved = find_saved(session);
	int64_t keep_ms = (int64_t)conf->smtp_tls_session_cache_timeout * 1000;

	if (session->tls == NULL || session->is_broken || session->tls_key.length == 0)
		return;
	if (saved == NULL) {
		saved = &self.saved[self.next_saved];
		self.next_saved = (self.next_saved + 1) % SAVED_MAX;
	}
	free(saved->key);
	saved->key = NULL;
	buf_done(&saved->session);
	buf_init(&saved->session, SAVED_BYTES_MAX);
	if (!tls_save_session(session->tls, &saved->session) || buf_is_over(&saved->session))
		return;
	saved->key = mem_dup(buf_span(&session->tls_key));
	saved->until = clock_in_ms(keep_ms);
}

/* ---- who the server is ---- */

static bool has_fingerprint(const struct tls_info *info, const struct policy *policy)
{
	for (size_t i = 0; i < policy->name_count; i++)
		if (span_is_nocase(policy->names[i], info->fingerprint) ||
		    span_is_nocase(policy->names[i], info->key_fingerprint))
			return true;
	return false;
}

static bool matches(const struct tls *tls, const struct policy *policy)
{
	const struct tls_info *info = tls_info(tls);

	if (!info->has_peer)
		return false;
	switch (policy->level) {
	case LEVEL_NONE:
	case LEVEL_MAY:
	case LEVEL_ENCRYPT: return false;
	case LEVEL_FINGERPRINT: return has_fingerprint(info, policy);
	case LEVEL_HALF_DANE:
	case LEVEL_DANE:
	case LEVEL_DANE_ONLY: return info->is_dane;
	case LEVEL_VERIFY:
	case LEVEL_SECURE: break;
	}
	if (policy->is_sts)
		return info->is_trusted && tls_peer_is(tls, policy->sts_host);
	return info->is_trusted && tls_peer_matches(tls, policy->names, policy->name_count,
						    conf->tls_wildcard_matches_multiple_labels);
}

/* ---- the log ---- */

static void log_session(const struct session *session, const struct policy *policy,
			bool is_match, int level)
{
	const struct tls_info *info = tls_info(session->tls);
	struct buf text = BUF_INIT(1000);
	const char *who = !info->has_peer                ? "Anonymous"
			  : session->is_verified         ? "Verified"
			  : is_match || info->is_trusted ? "Trusted"
							 : "Untrusted";

	tls_summary(session->tls, "", &text);
	if (level > 1 && info->has_peer)
		log_info("%s: subject_CN=%s, issuer_CN=%s, fingerprint=%s, pkey_fingerprint=%s",
			 session->relay, log_clean(span_of(info->subject)),
			 log_clean(span_of(info->issuer)), info->fingerprint,
			 info->key_fingerprint);
	if (level > 0 && policy->level >= LEVEL_FINGERPRINT && !is_match)
		log_info("certificate verification failed for %s: %s", session->relay,
			 !info->has_peer      ? "no certificate"
			 : *info->problem == '\0' ? "it has none of the names that are asked for"
			 : policy->level == LEVEL_FINGERPRINT ? "it has another fingerprint"
							      : info->problem);
	if (level > 0)
		log_info("%s TLS connection %s to %s: %s", who,
			 info->was_resumed ? "reused" : "established", session->relay,
			 buf_str(&text));
	buf_done(&text);
}

static void log_failure(const struct session *session, const char *error)
{
	bool is_library = strncmp(error, TLS_LIBRARY_PROBLEM, strlen(TLS_LIBRARY_PROBLEM)) == 0;

	log_info("SSL_connect error to %s: %s", session->relay,
		 is_library ? "-1" : log_clean_str(error));
	if (is_library)
		log_warn("%s", log_clean_str(error));
	/* OpenSSL knows no more than that there was no signature. */
	if (self.keysign.error.length > 0)
		log_warn("%s", log_clean(buf_span(&self.keysign.error)));
	buf_reset(&self.keysign.error);
}

void client_tls_observe(client_tls_observer_fn *observer)
{
	self.observer = observer;
}

/* ---- the handshake ---- */

/* False: nothing more can be said on this connection. */
static bool shake_hands(struct session *session, const struct policy *policy, int level)
{
	struct tls_limits limits = { policy->protocols, policy->ciphers, policy->exclude, NULL };
	struct tls_options options = {
		.server_name = policy->dane_name != NULL ? policy->dane_name : policy->server_name,
		.limits = &limits,
		.files = policy->sts != NULL ? self.web : NULL,
		.dane_name = policy->dane_name,
		.dane_domain = policy->dane_domain,
		.dane = policy->dane,
		.dane_count = policy->dane_count,
	};
	struct buf error = BUF_INIT(1000);
	const struct saved *saved;
	struct tls *tls;
	bool is_on;

	make_key(session, policy, options.server_name);
	saved = find_saved(session);
	if (saved != NULL)
		options.saved_session = buf_span(&saved->session);
	if (level > 1)
		log_info("setting up TLS connection to %s", session->relay);
	stream_set_deadline(&session->stream,
			    clock_in_ms((int64_t)conf->smtp_starttls_timeout * 1000));
	tls = tls_new(self.context, &options, &error);
	is_on = tls != NULL && tls_start(tls, &session->stream, &error);
	if (is_on)
		session->tls = tls;
	else
		log_failure(session, buf_str(&error));
	buf_done(&error);
	return is_on;
}

bool client_tls_may_go_plain(const struct session *session, struct transfer *transfer)
{
	int64_t age_us = clock_wall_now().us - transfer->delivery->request.arrival_us;

	return session->is_tls_a_wish &&
	       age_us >= (int64_t)conf->minimal_backoff_time * 1000000 &&
	       !auth_has_login(session, transfer);
}

/* In mode testing the policy lets all pass, but not unseen. */
static void note_certificate(const struct session *session, const struct policy *policy)
{
	const struct tls_info *info = tls_info(session->tls);

	if (policy->sts == NULL || policy->dane_name != NULL)
		return;
	if (!info->is_trusted)
		sts_note(policy, session->relay,
			 *info->problem != '\0' ? info->problem : "no certificate");
	else if (!tls_peer_is(session->tls, policy->sts_host))
		sts_note(policy, session->relay, "its certificate is for another name");
}

enum client_tls client_tls_start(struct session *session, struct transfer *transfer,
				 const struct policy *policy)
{
	int level = tls_log_level(self.loglevels, NULL, span_of(session->host),
				  session_address(session), conf->smtp_tls_loglevel);
	bool is_match, is_tolerated;

	if (!shake_hands(session, policy, level)) {
		session->is_broken = true;
		sts_note(policy, session->relay, "TLS handshake failure");
		report_session(session, policy, TLSRPT_VALIDATION_FAILURE, "TLS handshake failure");
		if (client_tls_may_go_plain(session, transfer))
			return CLIENT_TLS_PLAIN;
		tls_status_miss(session, LEVEL_NONE);
		why_set(&transfer->why, "4.7.5", "Cannot start TLS: handshake failure");
		sts_explain(transfer, policy);
		fail_site(transfer, session);
		return CLIENT_TLS_FAILED;
	}
	is_match = matches(session->tls, policy);
	/* The name of a host from MX records that may be forged says nothing of the domain. */
	session->is_verified = is_match && policy->level != LEVEL_HALF_DANE;
	is_tolerated = self.observer != NULL && self.observer(session, policy, is_match);
	log_session(session, policy, is_match, level);
	note_certificate(session, policy);
	report_handshake(session, policy, is_match);
	if (policy->level < LEVEL_FINGERPRINT || is_match || is_tolerated)
		return CLIENT_TLS_ON;
	tls_status_miss(session, LEVEL_ENCRYPT);
	why_set(&transfer->why, "4.7.5", "Server certificate not verified");
	sts_explain(transfer, policy);
	/* In wrapper mode the server has not even greeted: QUIT would only be in its way. */
	session->is_broken = conf->smtp_tls_wrappermode;
	fail_site(transfer, session);
	return CLIENT_TLS_FAILED;
}
