/* SPDX-License-Identifier: MIT */
/*
 * How TLS sessions went, for tlsrpt (RFC 8460): each new session, or each try at one, is one note. Runs in
 * the jail of smtp. Nobody waits here: what tlsrpt does not take at once is forgotten. Mail that
 * does without TLS by its own wish, "TLS-Required: no", is left out, and so the reports themselves are.
 */

#include "tls.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "base/log.h"
#include "conf/conf.h"
#include "ipc/channel.h"
#include "ipc/sts.h"
#include "mail/domain.h"
#include "net/dns.h"
#include "proc/service.h"

static struct ipc_channel channel = { .fd = -1, .passed_fd = -1 };

/* ---- policies ---- */

/* A policy is reported as it was applied; what could not be had of it is a failure as well. */
static void describe_sts(const struct sts *sts, struct arena *arena, struct report_policy *report)
{
	struct buf strings = BUF_INIT(STS_POLICY_MAX), patterns = BUF_INIT(STS_POLICY_MAX);
	struct span rest = sts->policy.text, line, pattern;

	report->type = TLSRPT_STS;
	report->policy_domain = sts->domain;
	while (span_line(&rest, &line))
		if (line.n > 0)
			(void)buf_printf(&strings, "%.*s\n", SPAN_ARG(line));
	rest = sts->policy.text;
	while (sts_next_mx(&rest, &pattern))
		(void)buf_printf(&patterns, "%.*s\n", SPAN_ARG(pattern));
	report->strings = arena_span(arena, buf_span(&strings));
	report->mx_patterns = arena_span(arena, buf_span(&patterns));
	buf_done(&strings);
	buf_done(&patterns);
}

static enum tlsrpt_failure failure_of_fetch(const struct sts *sts)
{
	switch ((enum sts_failure)sts->failure) {
	case STS_FAILURE_FETCH: return TLSRPT_STS_POLICY_FETCH_ERROR;
	case STS_FAILURE_WEBPKI: return TLSRPT_STS_WEBPKI_INVALID;
	case STS_FAILURE_INVALID: return TLSRPT_STS_POLICY_INVALID;
	/* Then nobody knows whether there is a policy at all. */
	case STS_FAILURE_NONE:
	case STS_FAILURE_RECORD:
	case STS_FAILURE_DNS: break;
	}
	return TLSRPT_SUCCESS;
}

void report_dane(struct arena *arena, struct span base, const struct dns_result *result,
		 struct policy *policy)
{
	struct buf strings = BUF_INIT(STS_POLICY_MAX);

	for (size_t i = 0; i < result->count; i++) {
		struct span data = result->records[i].data;

		if (data.n < 4)
			continue;
		(void)buf_printf(&strings, "%u %u %u ", (unsigned char)data.p[0],
				 (unsigned char)data.p[1], (unsigned char)data.p[2]);
		for (size_t k = 3; k < data.n; k++)
			(void)buf_printf(&strings, "%02x", (unsigned)(unsigned char)data.p[k]);
		(void)buf_char(&strings, '\n');
	}
	policy->report.type = TLSRPT_TLSA;
	policy->report.policy_domain = arena_span(arena, base);
	policy->report.strings = arena_span(arena, buf_span(&strings));
	buf_done(&strings);
}

void report_policy_failure(struct policy *policy, enum tlsrpt_policy_type type, struct span domain,
		    enum tlsrpt_failure failure, const char *reason)
{
	if (policy->report.type == 0) {
		policy->report.type = type;
		policy->report.policy_domain = domain;
	}
	policy->report.failure = failure;
	policy->report.reason = reason;
}

void report_policy(struct transfer *transfer, const struct target *target, struct policy *policy)
{
	struct arena *arena = &transfer->delivery->arena;
	struct report_policy *report = &policy->report;
	const struct sts *sts = transfer->sts_target == target ? transfer->sts : NULL;
	struct span name = policy_ascii_name(arena, target->host);

	report->domain = (struct span){ NULL, 0 };
	if (!conf->smtp_tlsrpt_enable || transfer->is_tls_optional || target->is_unix ||
	    policy->level == LEVEL_NONE || domain_check_name(name, false) != DOMAIN_OK)
		return;
	report->domain = name;
	/* DANE comes first, where there is any. */
	if (report->type != 0)
		return;
	if (policy->sts != NULL) {
		describe_sts(policy->sts, arena, report);
	} else if (policy->is_sts) {
		report->type = TLSRPT_STS;
		report->policy_domain = policy_ascii_name(arena, policy->sts_domain);
	} else if (sts != NULL && !sts->has_policy && failure_of_fetch(sts) != TLSRPT_SUCCESS) {
		report->type = TLSRPT_STS;
		report->policy_domain = sts->domain;
		report->failure = failure_of_fetch(sts);
		report->reason = arena_str(arena, sts->reason);
	} else {
		report->type = TLSRPT_NO_POLICY;
		report->policy_domain = name;
	}
}

/* ---- notes ---- */

/* As much of a text as a note has room for. */
static struct span cut(struct span text, size_t limit)
{
	return span_first(text, limit);
}

/* Whole lines. */
static struct span cut_lines(struct span text, size_t limit)
{
	size_t at;

	if (text.n <= limit)
		return text;
	text = span_first(text, limit);
	return span_rchr(text, '\n', &at) ? span_first(text, at + 1) : span_first(text, 0);
}

static enum ipc_status try_note(const struct msg_tlsrpt_note *note)
{
	enum ipc_status status;

	if (!ipc_is_open(&channel)) {
		int fd = service_connect("tlsrpt", clock_in_ms(0));

		if (fd < 0)
			return IPC_TIMEOUT;
		ipc_attach(&channel, fd);
	}
	status = IPC_SEND(&channel, tlsrpt_note, note, -1, clock_in_ms(0));
	if (status != IPC_OK && status != IPC_TIMEOUT)
		ipc_close(&channel);
	return status;
}

/* Again over a new connection when the old one had gone meanwhile: the service was renewed. */
static void send_note(const struct msg_tlsrpt_note *note)
{
	bool was_open = ipc_is_open(&channel);
	enum ipc_status status = try_note(note);

	if (was_open && status != IPC_OK && status != IPC_TIMEOUT)
		(void)try_note(note);
}

static struct span own_address(const struct session *session, char text[INET6_ADDRSTRLEN])
{
	struct sockaddr_storage own = { 0 };
	socklen_t size = sizeof(own);
	const void *bytes = NULL;

	if (getsockname(session->stream.fd, (struct sockaddr *)&own, &size) < 0)
		return SPAN("");
	if (own.ss_family == AF_INET)
		bytes = &((const struct sockaddr_in *)&own)->sin_addr;
	else if (own.ss_family == AF_INET6)
		bytes = &((const struct sockaddr_in6 *)&own)->sin6_addr;
	if (bytes == NULL || inet_ntop(own.ss_family, bytes, text, INET6_ADDRSTRLEN) == NULL)
		return SPAN("");
	return span_of(text);
}

static struct msg_tlsrpt_note make_note(const struct report_policy *report)
{
	return (struct msg_tlsrpt_note){
		.domain = report->domain,
		.policy_type = report->type,
		.policy_domain = cut(report->policy_domain, 256),
		.policy_strings = cut_lines(report->strings, 8192),
		.mx_patterns = cut_lines(report->mx_patterns, 4096),
	};
}

static void set_failure(struct msg_tlsrpt_note *note, const struct report_policy *report,
			enum tlsrpt_failure failure, const char *reason)
{
	bool is_given = report->failure == TLSRPT_SUCCESS;

	note->failure = is_given ? failure : report->failure;
	note->reason = cut(span_of(is_given ? reason : report->reason), 256);
}

void report_session(const struct session *session, const struct policy *policy,
		    enum tlsrpt_failure failure, const char *reason)
{
	struct msg_tlsrpt_note note = make_note(&policy->report);
	char own[INET6_ADDRSTRLEN];

	if (policy->report.domain.n == 0)
		return;
	set_failure(&note, &policy->report, failure, reason);
	if (note.failure != TLSRPT_SUCCESS) {
		note.sending_ip = own_address(session, own);
		note.mx_host = span_of(session->host);
		note.mx_helo = span_of(session->helo);
		note.receiving_ip = session_address(session);
	}
	send_note(&note);
}

void report_host(const struct host *host, const struct policy *policy)
{
	struct msg_tlsrpt_note note = make_note(&policy->report);
	char text[IP_TEXT_MAX];

	if (policy->report.domain.n == 0 || policy->report.failure == TLSRPT_SUCCESS)
		return;
	set_failure(&note, &policy->report, TLSRPT_SUCCESS, "");
	note.mx_host = cut(host->name, 256);
	note.receiving_ip = ip_text(&host->addr, text);
	send_note(&note);
}

/* ---- certificates ---- */

static enum tlsrpt_failure failure_of(const struct tls_info *info)
{
	switch (info->trouble) {
	case TLS_TROUBLE_NONE:
	case TLS_TROUBLE_NAME: return TLSRPT_CERTIFICATE_HOST_MISMATCH;
	case TLS_TROUBLE_EXPIRED: return TLSRPT_CERTIFICATE_EXPIRED;
	case TLS_TROUBLE_OTHER: break;
	}
	return TLSRPT_CERTIFICATE_NOT_TRUSTED;
}

void report_handshake(const struct session *session, const struct policy *policy, bool is_match)
{
	const struct tls_info *info = tls_info(session->tls);
	bool is_good = is_match || policy->level < LEVEL_FINGERPRINT;

	if (info->was_resumed && conf->smtp_tlsrpt_skip_reused_handshakes)
		return;
	/* In mode testing the session goes on, but it is no success. */
	if (policy->report.type == TLSRPT_STS && (policy->sts != NULL || policy->is_sts))
		is_good = info->is_trusted && tls_peer_is(session->tls, policy->sts_host);
	if (is_good)
		report_session(session, policy, TLSRPT_SUCCESS, "");
	else if (!info->has_peer)
		report_session(session, policy, TLSRPT_VALIDATION_FAILURE, "no certificate");
	else
		report_session(session, policy, failure_of(info), info->problem);
}
