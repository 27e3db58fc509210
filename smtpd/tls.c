/* SPDX-License-Identifier: MIT */
/*
 * TLS in smtpd: settings, certificates from keysign, the handshake and what is logged of it. A worker
 * has certificates and never a private key. RFC 3207, 8314; postconf(5) smtpd_tls_*.
 */

#include "smtpd/tls.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "proc/service.h"
#include "smtpd/check.h"
#include "net/dns.h"
#include "tls/keysign.h"
#include "tls/log_level.h"

enum { NAME_SHOWN_MAX = 64 };

/* One for the process; workers inherit what the template has got. */
static struct {
	bool is_open;
	struct tls_files *files;
	struct maps *loglevels;
	struct buf file_names;
	struct keysign keysign;
	struct tls_context *context; /* NULL: there is no certificate that can be used */
	uint64_t version;            /* of its certificates */
	bool has_warned;             /* some client of this process could have no TLS */
} self;

enum tls_level tls_level(void)
{
	const char *level = conf->smtpd_tls_security_level;

	if (conf->smtpd_tls_wrappermode || strcmp(level, "encrypt") == 0)
		return TLS_LEVEL_ENCRYPT;
	if (strcmp(level, "may") == 0)
		return TLS_LEVEL_MAY;
	if (*level != '\0')
		return TLS_LEVEL_NONE;
	return conf->smtpd_enforce_tls ? TLS_LEVEL_ENCRYPT
	       : conf->smtpd_use_tls   ? TLS_LEVEL_MAY
				       : TLS_LEVEL_NONE;
}

/* ---- certificates ---- */

static struct tls_chains *find_chains(void *context, struct span name, bool *ret_failed)
{
	uint64_t version = 0;
	struct tls_chains *chains = NULL;
	struct buf error = BUF_INIT(1000);
	struct span tickets;
	enum keysign_status status;

	(void)context;
	status = keysign_fetch(&self.keysign, buf_span(&self.file_names), name, &version, &chains,
			       &tickets, &error);
	*ret_failed = status == KEYSIGN_FAILED;
	if (*ret_failed)
		log_warn("certificate for the server name %s: %s", log_clean(name),
			 log_clean(buf_span(&error)));
	buf_done(&error);
	return chains;
}

static struct tls_settings settings(void)
{
	bool is_mandatory = tls_level() == TLS_LEVEL_ENCRYPT;
	struct tls_limits may = { conf->smtpd_tls_protocols, conf->smtpd_tls_ciphers,
				  conf->smtpd_tls_exclude_ciphers, NULL };
	struct tls_limits must = { conf->smtpd_tls_mandatory_protocols,
				   conf->smtpd_tls_mandatory_ciphers,
				   conf->smtpd_tls_exclude_ciphers,
				   conf->smtpd_tls_mandatory_exclude_ciphers };

	return (struct tls_settings){
		.role = TLS_SERVER,
		.limits = is_mandatory ? must : may,
		.files = self.files,
		.verify_depth = conf->smtpd_tls_ccert_verifydepth,
		.fingerprint_digest = conf->smtpd_tls_fingerprint_digest,
		/* Who may do without TLS may do without a certificate too. */
		.asks_peer = conf->smtpd_tls_ask_ccert ||
			     (is_mandatory && conf->smtpd_tls_req_ccert),
		.session_scope = service.name,
		.session_timeout_s = conf->smtpd_tls_session_cache_timeout,
		.always_has_session_id = conf->smtpd_tls_always_issue_session_ids,
		.find_chains = *conf->tls_server_sni_maps != '\0' ? find_chains : NULL,
	};
}

/*
 * A context for what keysign gave; the old one stays if there is something wrong with it, and the next
 * session hears of it again.
 */
static void use_chains(const struct tls_chains *chains, struct buf *ret_error)
{
	struct tls_settings wanted = settings();
	struct tls_context *context = tls_context_new(&wanted, chains, ret_error);

	if (context == NULL) {
		self.version = 0;
		return;
	}
	tls_context_free(self.context);
	self.context = context;
}

/* Asks keysign whether there are other certificates by now. False with a reason: TLS cannot be. */
static bool refresh(struct buf *ret_error)
{
	struct tls_chains *chains = NULL;
	struct span tickets = { NULL, 0 };

	if (!self.is_open || self.file_names.length == 0) {
		(void)buf_text(ret_error, self.is_open ? "no certificate is configured"
						       : "the TLS library does not work");
		return false;
	}
	switch (keysign_fetch(&self.keysign, buf_span(&self.file_names), SPAN(""), &self.version,
			      &chains, &tickets, ret_error)) {
	case KEYSIGN_FOUND: use_chains(chains, ret_error); break;
	case KEYSIGN_SAME:
	case KEYSIGN_NONE:
	case KEYSIGN_FAILED: break;
	}
	tls_chains_free(chains);
	if (self.context != NULL)
		tls_context_set_tickets(self.context, tickets);
	return self.context != NULL;
}

void session_tls_prepare(void)
{
	struct buf error = BUF_INIT(4000);
	struct tls_file_names names = {
		.role = TLS_SERVER,
		.chain_files = conf->smtpd_tls_chain_files,
		.cert = conf->smtpd_tls_cert_file,
		.key = conf->smtpd_tls_key_file,
		.eccert = conf->smtpd_tls_eccert_file,
		.eckey = conf->smtpd_tls_eckey_file,
		.dcert = conf->smtpd_tls_dcert_file,
		.dkey = conf->smtpd_tls_dkey_file,
		.sni_maps = conf->tls_server_sni_maps,
	};
	struct span rest, line;

	buf_init(&self.file_names, 16384);
	keysign_init(&self.keysign);
	tables.relay_clientcerts = tables_open_maps("relay_clientcerts", conf->relay_clientcerts);
	self.loglevels = tables_open_maps("smtpd_tls_loglevel_maps", conf->smtpd_tls_loglevel_maps);
	if (tls_level() == TLS_LEVEL_NONE)
		return;
	if (conf->smtpd_tls_req_ccert && tls_level() != TLS_LEVEL_ENCRYPT)
		log_warn("smtpd_tls_req_ccert: cannot require client certificates unless TLS is required");
	if (!tls_library_open(&error)) {
		log_warn("%s: disabling TLS support", buf_str(&error));
		buf_done(&error);
		return;
	}
	self.is_open = true;
	self.files = tls_files_open(conf->smtpd_tls_CAfile, conf->smtpd_tls_CApath,
				    conf->tls_append_default_CA, conf->smtpd_tls_dh1024_param_file,
				    &error);
	tls_files_name_authorities(self.files, conf->smtpd_tls_CAfile);
	rest = buf_span(&error);
	while (span_line(&rest, &line))
		log_warn("cannot load %s", log_clean(line));
	tls_file_names_text(&names, &self.file_names);
	buf_done(&error);
}

void session_tls_start(void)
{
	struct buf error = BUF_INIT(1000);

	if (tls_level() == TLS_LEVEL_NONE)
		return;
	if (refresh(&error))
		tls_context_warm(self.context);
	else
		log_warn("TLS is not available: %s", log_clean(buf_span(&error)));
	/* The connection would be the same for all workers. */
	keysign_close(&self.keysign);
	buf_done(&error);
}

/* ---- sessions ---- */

/* As refresh(), for a client; the log hears why not, unless it is known already. */
static bool refresh_for(struct session *s, bool is_known, const char *what_then)
{
	struct buf error = BUF_INIT(1000);
	bool is_usable = refresh(&error);

	if (!is_usable && !is_known) {
		log_warn("%s: TLS is not available: %s%s", client_text(s),
			 log_clean(buf_span(&error)), what_then);
		s->has_tls_warning = self.has_warned = true;
	}
	buf_done(&error);
	return is_usable;
}

/*
 * Whoever may do without shall not be led into something that does not work. Nothing is refused for
 * it, so each process says it once; who asks for TLS and does not get it is named once a session.
 */
bool session_offers_tls(struct session *s)
{
	if (tls_level() == TLS_LEVEL_NONE || s->tls != NULL)
		return false;
	return self.context != NULL || tls_level() != TLS_LEVEL_MAY ||
	       refresh_for(s, self.has_warned, "");
}

bool session_needs_tls(const struct session *s)
{
	return s->tls == NULL && tls_level() == TLS_LEVEL_ENCRYPT;
}

bool session_tls_permits_auth(const struct session *s)
{
	return s->tls != NULL ||
	       (!conf->smtpd_tls_auth_only && tls_level() != TLS_LEVEL_ENCRYPT);
}

static void log_session(struct session *s, int level)
{
	const struct tls_info *info = tls_info(s->tls);
	struct buf text = BUF_INIT(1000);

	tls_summary(s->tls, "", &text);
	if (level > 1 && info->has_peer)
		log_info("%s: subject_CN=%s, issuer=%s, fingerprint=%s, pkey_fingerprint=%s",
			 client_text(s), log_clean(span_of(info->subject)),
			 log_clean(span_of(info->issuer)), info->fingerprint,
			 info->key_fingerprint);
	if (level > 0 && *info->server_name != '\0' && !info->has_name_chains &&
	    *conf->tls_server_sni_maps != '\0')
		log_info("TLS SNI %s from %s not matched, using default chain", info->server_name,
			 client_text(s));
	if (level > 0)
		log_info("%s TLS connection %s from %s%s%s: %s",
			 !info->has_peer    ? "Anonymous"
			 : info->is_trusted ? "Trusted"
					    : "Untrusted",
			 info->was_resumed ? "reused" : "established", client_text(s),
			 info->has_name_chains ? " to " : "",
			 info->has_name_chains ? info->server_name : "",
			 buf_str(&text));
	buf_done(&text);
}

/* With TLS, nothing counts that was said before: RFC 3207 4.2. */
static void forget_clear_text(struct session *s)
{
	session_reset_mail(s);
	buf_reset(&s->helo);
	buf_reset(&s->login);
	s->protocol = NULL;
	s->is_esmtp = s->may_pipeline = false;
	s->has_chunking = true;
	s->ext = SMTP_EXT_SIZE | SMTP_EXT_8BITMIME | SMTP_EXT_DSN;
}

/* What the client's certificate, or the number of its sessions, has against it; said in TLS. */
static bool may_stay(struct session *s)
{
	const struct tls_info *info = tls_info(s->tls);
	bool is_required = tls_level() == TLS_LEVEL_ENCRYPT && conf->smtpd_tls_req_ccert;

	if (is_required && !info->is_trusted) {
		const char *what = info->has_peer ? "Client certificate not trusted"
						  : "No client certificate presented";

		log_info("NOQUEUE: abort: TLS from %s: %s", client_text(s), what);
		reply_quietly(s, "421 4.7.1 %s Error: %s", conf->myhostname, what);
		return false;
	}
	if (!info->was_resumed && limit_is_passed(s, RATE_NEW_TLS)) {
		reply_quietly(s, "421 4.7.0 %s Error: too many new TLS sessions from %s",
			      conf->myhostname, s->peer.addr);
		return false;
	}
	return true;
}

static void log_failure(struct session *s, const char *error)
{
	bool is_library = strncmp(error, TLS_LIBRARY_PROBLEM, strlen(TLS_LIBRARY_PROBLEM)) == 0;

	log_info("SSL_accept error from %s: %s", client_text(s),
		 is_library ? "-1" : log_clean_str(error));
	if (is_library)
		log_warn("%s", log_clean_str(error));
	/* OpenSSL knows no more than that there was no signature. */
	if (self.keysign.error.length > 0)
		log_warn("%s", log_clean(buf_span(&self.keysign.error)));
}

/* A session may be silent for minutes, and there may be a thousand of them. */
static void give_back(struct session *s)
{
	keysign_rest(&self.keysign);
	dns_rest();
	ipc_rest(&s->front);
	mem_give_back();
}

bool session_start_tls(struct session *s)
{
	struct buf error = BUF_INIT(1000);
	struct tls *tls = tls_new(self.context, NULL, &error);
	int level = tls_log_level(self.loglevels, &s->lookup, span_of(s->peer.name),
				  span_of(s->peer.addr), conf->smtpd_tls_loglevel);
	bool is_on;

	if (level > 1)
		log_info("setting up TLS connection from %s", client_text(s));
	stream_set_deadline(&s->stream, clock_in_ms((int64_t)conf->smtpd_starttls_timeout * 1000));
	is_on = tls != NULL && tls_start(tls, &s->stream, &error);
	if (!is_on) {
		log_failure(s, buf_str(&error));
		/* There is no way left to say anything, whatever it was. */
		s->stream.status = IO_EOF;
	}
	buf_reset(&self.keysign.error);
	buf_done(&error);
	if (!is_on)
		return false;
	s->tls = tls;
	log_session(s, level);
	forget_clear_text(s);
	give_back(s);
	return may_stay(s);
}

bool session_start_wrapped(struct session *s)
{
	return !conf->smtpd_tls_wrappermode ||
	       (refresh_for(s, s->has_tls_warning, ": closing the connection") && session_start_tls(s));
}

void cmd_starttls(struct session *s, struct span arguments)
{
	if (span_trim(arguments).n > 0) {
		reply(s, "501 5.5.4 Syntax: STARTTLS");
		return;
	}
	if (s->tls != NULL) {
		reply(s, "554 5.5.1 Error: TLS already active");
		return;
	}
	if (tls_level() == TLS_LEVEL_NONE || s->is_tls_hidden) {
		reply(s, "502 5.5.1 Error: command not implemented");
		return;
	}
	if (!refresh_for(s, s->has_tls_warning, "")) {
		reply_quietly(s, "454 4.7.0 TLS not available due to local problem");
		return;
	}
	reply_quietly(s, "220 2.0.0 Ready to start TLS");
	if (!session_start_tls(s))
		s->must_close = true;
}

/* ---- Received: ---- */

/* Fit for a comment in a header (RFC 5322 3.2.2), and not too long for it. */
static void put_name(struct buf *out, const char *name)
{
	struct span text = span_first(span_of(name), NAME_SHOWN_MAX);

	for (size_t i = 0; i < text.n; i++)
		(void)buf_char(out, !ascii_is_print(text.p[i]) || strchr("()\\\"", text.p[i]) != NULL
					    ? '?'
					    : text.p[i]);
}

void session_tls_received(const struct session *s, struct buf *out)
{
	const struct tls_info *info = s->tls != NULL ? tls_info(s->tls) : NULL;

	if (info == NULL || !conf->smtpd_tls_received_header)
		return;
	(void)buf_text(out, "\t(using ");
	tls_summary(s->tls, "\r\n\t", out);
	(void)buf_text(out, ")\r\n");
	if (info->has_peer) {
		(void)buf_text(out, "\t(Client CN \"");
		put_name(out, info->subject);
		(void)buf_text(out, "\", Issuer \"");
		put_name(out, info->issuer);
		(void)buf_printf(out, "\" (%s))\r\n", info->is_trusted ? "verified OK" : "not verified");
	} else if (conf->smtpd_tls_ask_ccert || conf->smtpd_tls_req_ccert) {
		(void)buf_text(out, "\t(Client did not present a certificate)\r\n");
	} else {
		(void)buf_text(out, "\t(No client certificate requested)\r\n");
	}
}
