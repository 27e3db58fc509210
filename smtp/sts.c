/* SPDX-License-Identifier: MIT */
/*
 * MTA-STS (RFC 8461) in the client: asks policyfetch for the policy of a domain, and raises the TLS
 * policy of its MX hosts. Runs in the jail of smtp. The policy is what the web server of the domain
 * said, and was parsed by the same parser there; no answer at all is a fault of ours, and mail waits.
 */

#include "tls.h"

#include "base/log.h"
#include "conf/conf.h"
#include "ipc/channel.h"
#include "ipc/sts.h"
#include "mail/domain.h"
#include "mail/idna.h"
#include "proc/service.h"

enum { CONNECT_MS = 10 * 1000, GRACE_MS = 5 * 1000 };

/* ---- asking ---- */

static void take_answer(struct arena *arena, const struct msg_sts_answer *answer, struct sts *ret)
{
	const char *reason;

	ret->failure = answer->failure;
	ret->reason = arena_span(arena, answer->reason);
	ret->id = arena_span(arena, answer->id);
	ret->has_policy = answer->has_policy &&
			  sts_policy_parse(arena_span(arena, answer->text), &ret->policy, &reason);
}

/* The answer, or word that it will come, is there soon. */
static enum ipc_status receive(struct ipc_channel *channel, struct msg_sts_answer *ret)
{
	enum ipc_status status = ipc_recv(channel, service_first_answer());
	struct msg_sts_wait wait;

	if (status == IPC_OK && IPC_GET(channel, sts_wait, &wait))
		return IPC_EXPECT(channel, sts_answer, ret, clock_in_ms(STS_FETCH_MS + GRACE_MS));
	if (status != IPC_OK)
		return status;
	return IPC_GET(channel, sts_answer, ret) ? IPC_OK : IPC_BROKEN;
}

static enum ipc_status exchange(struct arena *arena, struct sts *sts)
{
	struct msg_sts_query query = { .domain = sts->domain };
	struct msg_sts_answer answer;
	struct ipc_channel channel;
	int fd = service_connect("policyfetch", clock_in_ms(CONNECT_MS));
	enum ipc_status status;

	if (fd < 0)
		return IPC_BROKEN;
	ipc_attach(&channel, fd);
	status = IPC_SEND(&channel, sts_query, &query, -1, clock_in_ms(CONNECT_MS));
	if (status == IPC_OK)
		status = receive(&channel, &answer);
	if (status == IPC_OK)
		take_answer(arena, &answer, sts);
	ipc_close(&channel);
	return status;
}

/* Again when the peer has gone: policyfetch may have begun a new generation in between. */
static bool ask(struct arena *arena, struct sts *sts)
{
	enum ipc_status status = exchange(arena, sts);

	if (status == IPC_CLOSED)
		status = exchange(arena, sts);
	return status == IPC_OK;
}

/* RFC 8461 3.4: the domain whose MX records are followed; an address has no policy. */
static bool find_domain(const struct target *target, struct arena *arena, struct span *ret)
{
	struct buf ascii = BUF_INIT(DOMAIN_NAME_MAX + 1);
	struct ip_addr addr;
	bool is_domain = !target->is_unix && !target->is_exact && target->service.n == 0 &&
			 !ip_parse(target->host, &addr) &&
			 idna_to_ascii(&ascii, target->host, false) &&
			 domain_check_name(buf_span(&ascii), false) == DOMAIN_OK;

	if (is_domain)
		*ret = arena_span(arena, buf_span(&ascii));
	buf_done(&ascii);
	return is_domain;
}

bool sts_find(struct transfer *transfer, const struct target *target, const struct sts **ret)
{
	struct arena *arena = &transfer->delivery->arena;
	struct sts *sts;

	*ret = NULL;
	if (!conf->smtp_tls_mta_sts || is_lmtp)
		return true;
	if (transfer->sts_target == target) {
		*ret = transfer->sts;
		return true;
	}
	sts = arena_alloc(arena, sizeof(*sts));
	*sts = (struct sts){ 0 };
	if (!find_domain(target, arena, &sts->domain))
		return true;
	if (!ask(arena, sts)) {
		why_set(&transfer->why, "4.3.0", "cannot find out the MTA-STS policy of %.*s",
			SPAN_ARG(sts->domain));
		return false;
	}
	transfer->sts_target = target;
	transfer->sts = *ret = sts;
	return true;
}

/* ---- what follows ---- */

static const char *mode_of(const struct sts *sts)
{
	return sts_mode_name(sts->policy.mode);
}

void sts_note(const struct policy *policy, const char *relay, const char *what)
{
	const struct sts *sts = policy->sts;

	if (sts == NULL)
		return;
	log_info("MTA-STS policy of %s, mode %s: %s %s: %s", log_clean(sts->domain), mode_of(sts),
		 relay, sts->policy.mode == STS_MODE_ENFORCE ? "is refused" : "would be refused", what);
}

void sts_explain(struct transfer *transfer, const struct policy *policy)
{
	if (policy->is_sts)
		(void)buf_printf(&transfer->why.reason, " (MTA-STS policy of %.*s)",
				 SPAN_ARG(policy->sts_domain));
}

void sts_refuse(struct transfer *transfer, const struct policy *policy, const struct host *host)
{
	why_set(&transfer->why, "4.7.5", "MX host %.*s is not allowed by the MTA-STS policy of %.*s",
		SPAN_ARG(host->name), SPAN_ARG(policy->sts_domain));
}

/* RFC 8461 4.2, RFC 6125: WebPKI, the name of the MX host, TLS 1.2 or newer, and SNI. */
static void enforce(struct arena *arena, const struct host *host, struct policy *policy)
{
	struct buf protocols = BUF_INIT(4096);

	policy->level = LEVEL_SECURE;
	policy->is_sts = true;
	policy->server_name = arena_str(arena, host->asked);
	(void)buf_printf(&protocols, "%s, !TLSv1, !TLSv1.1", conf->smtp_tls_mandatory_protocols);
	policy->protocols = arena_str(arena, buf_span(&protocols));
	buf_done(&protocols);
}

bool sts_apply(struct transfer *transfer, const struct target *target, const struct host *host,
	       struct policy *policy)
{
	const struct sts *sts;
	bool is_enforced;

	/* RFC 8461 2: where DANE says who the server is, it alone counts. */
	if (host == NULL || policy->level == LEVEL_NONE || policy->level == LEVEL_DANE ||
	    policy->level == LEVEL_DANE_ONLY)
		return true;
	if (!sts_find(transfer, target, &sts))
		return false;
	if (sts == NULL || !sts->has_policy || sts->policy.mode == STS_MODE_NONE)
		return true;
	policy->sts = sts;
	policy->sts_host = host->asked;
	policy->sts_domain = sts->domain;
	is_enforced = sts->policy.mode == STS_MODE_ENFORCE;
	if (!sts_policy_allows(&sts->policy, host->asked)) {
		sts_note(policy, log_clean(host->name), STS_NO_SUCH_HOST);
		policy->report.failure = TLSRPT_VALIDATION_FAILURE;
		policy->report.reason = STS_NO_SUCH_HOST;
		if (is_enforced)
			sts_refuse(transfer, policy, host);
		return !is_enforced;
	}
	/* Behind forged MX records DANE still says that this is the host of that name. */
	if (is_enforced && policy->level != LEVEL_HALF_DANE)
		enforce(&transfer->delivery->arena, host, policy);
	return true;
}

bool sts_describe(struct transfer *transfer, const struct target *target, struct buf *out)
{
	const struct sts *sts;

	if (!sts_find(transfer, target, &sts))
		return false;
	if (sts != NULL && sts->has_policy)
		(void)buf_printf(out, "\nMTA-STS %.*s\n%.*s", SPAN_ARG(sts->id),
				 SPAN_ARG(sts->policy.text));
	return true;
}
