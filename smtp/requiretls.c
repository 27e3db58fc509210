/* SPDX-License-Identifier: MIT */
/*
 * REQUIRETLS and "TLS-Required: no" (RFC 8689) in the client: what a message asks for, what
 * postconf(5) smtp_requiretls_policy makes of it for a next hop, and what follows when a host cannot
 * do it. A message that may not go is returned when no host is left, unless one that could not be
 * reached may do better.
 */

#include "tls.h"

#include <stdarg.h>
#include <string.h>

#include "base/log.h"
#include "base/words.h"
#include "conf/conf.h"
#include "queue/envelope.h"

enum { ELEMENTS_MAX = 64, REASON_MAX = 1024 };

/* smtp_requiretls_policy: the first element that says something about a next hop counts. */
static struct {
	struct {
		struct maps *maps; /* NULL: `level` for everybody */
		enum requiretls level;
	} elements[ELEMENTS_MAX];
	size_t count;
} self;

static const struct {
	const char *name;
	enum requiretls level;
} levels[] = {
	{ "disable", REQUIRETLS_NONE },
	{ "opportunistic", REQUIRETLS_OFFERED },
	{ "opportunistic+starttls", REQUIRETLS_ENCRYPTED },
	{ "enforce", REQUIRETLS_ENFORCED },
};

static bool find_level(struct span name, enum requiretls *ret)
{
	for (size_t i = 0; i < ARRAY_LEN(levels); i++) {
		if (span_is_nocase(name, levels[i].name)) {
			*ret = levels[i].level;
			return true;
		}
	}
	return false;
}

void requiretls_prepare(void)
{
	struct span rest = span_of(conf->smtp_requiretls_policy), word;

	while ((word = words_next(&rest, WORDS_BLANK_OR_COMMA)).n > 0) {
		enum requiretls level = REQUIRETLS_ENFORCED;
		struct buf name = BUF_INIT(word.n + 1);

		if (self.count == ELEMENTS_MAX)
			fatal("%s_requiretls_policy: more than %d elements",
			      is_lmtp ? "lmtp" : "smtp", ELEMENTS_MAX);
		(void)buf_add(&name, word);
		self.elements[self.count].maps = NULL;
		if (!find_level(word, &level))
			self.elements[self.count].maps =
				tables_open_maps("requiretls_policy", buf_str(&name));
		self.elements[self.count++].level = level;
		buf_done(&name);
	}
}

/* ---- what is asked for ---- */

static bool fail_lookup(struct transfer *transfer, const struct target *target, const char *what)
{
	log_warn("%s_requiretls_policy for %s: %s", is_lmtp ? "lmtp" : "smtp",
		 log_clean(target->host), what);
	why_set(&transfer->why, "4.3.0", "REQUIRETLS policy configuration problem");
	return false;
}

/* What the policy says of a next hop; nothing at all means that RFC 8689 is followed. */
static bool find_policy(struct transfer *transfer, const struct target *target,
			enum requiretls *ret)
{
	struct span name = policy_ascii_name(&transfer->delivery->arena, target->host);

	*ret = REQUIRETLS_ENFORCED;
	for (size_t i = 0; i < self.count; i++) {
		struct maps *maps = self.elements[i].maps;
		struct span value;

		if (maps == NULL) {
			*ret = self.elements[i].level;
			return true;
		}
		switch (maps_find_domain(maps, NULL, name, true, &value)) {
		case TABLE_NOT_FOUND: continue;
		case TABLE_FOUND:
			return find_level(span_trim(value), ret) ||
			       fail_lookup(transfer, target, "unknown enforcement level");
		case TABLE_ERROR:
		case TABLE_PENDING: return fail_lookup(transfer, target, maps_error(maps));
		}
	}
	return true;
}

bool requiretls_find(struct transfer *transfer, const struct target *target)
{
	uint32_t flags = transfer->delivery->envelope.flags;
	bool is_asked = (flags & ENVELOPE_REQUIRETLS) != 0 && conf->requiretls_enable;

	transfer->requiretls = REQUIRETLS_NONE;
	transfer->is_tls_optional = !is_asked && (flags & ENVELOPE_TLS_OPTIONAL) != 0 &&
				    conf->tls_required_enable;
	if (!is_asked)
		return true;
	if (!find_policy(transfer, target, &transfer->requiretls))
		return false;
	/* RFC 8689 5: a notification shall not be lost because its way back has no REQUIRETLS. */
	if (transfer->delivery->request.sender.n == 0 &&
	    transfer->requiretls > REQUIRETLS_ENCRYPTED)
		transfer->requiretls = REQUIRETLS_ENCRYPTED;
	return true;
}

/* ---- what a policy comes to ---- */

void requiretls_adjust(const struct transfer *transfer, struct policy *policy)
{
	/* In wrapper mode there is no way around TLS, but one around the question who it is. */
	enum level least = conf->smtp_tls_wrappermode ? LEVEL_ENCRYPT : LEVEL_MAY;

	if (transfer->is_tls_optional && policy->level > least)
		policy->level = least;
	if (transfer->requiretls >= REQUIRETLS_ENCRYPTED && policy->level < LEVEL_ENCRYPT)
		policy->level = LEVEL_ENCRYPT;
}

bool requiretls_permits(struct transfer *transfer, const struct host *host,
			const struct policy *policy)
{
	bool is_verifying = policy->level >= LEVEL_FINGERPRINT && policy->level != LEVEL_HALF_DANE;

	if (transfer->requiretls < REQUIRETLS_ENFORCED || is_verifying)
		return true;
	requiretls_refuse(transfer, "REQUIRETLS support required, but nothing says who %.*s is: "
				    "there is neither DANE nor another policy that verifies it",
			  SPAN_ARG(host != NULL ? host->name : SPAN("the server")));
	return false;
}

bool requiretls_fits(const struct session *session, const struct transfer *transfer)
{
	switch (transfer->requiretls) {
	case REQUIRETLS_NONE:
	case REQUIRETLS_OFFERED: return true;
	case REQUIRETLS_ENCRYPTED: return session->tls != NULL;
	case REQUIRETLS_ENFORCED: break;
	}
	return session->tls != NULL && session->is_verified &&
	       (session->features & FEATURE_REQUIRETLS) != 0;
}

bool requiretls_is_said(const struct session *session, const struct transfer *transfer)
{
	return transfer->requiretls > REQUIRETLS_NONE && session->tls != NULL &&
	       (session->features & FEATURE_REQUIRETLS) != 0;
}

/* ---- when it cannot be ---- */

void requiretls_refuse(struct transfer *transfer, const char *format, ...)
{
	struct why *why = &transfer->why;
	struct buf text = BUF_INIT(REASON_MAX);
	va_list args;

	va_start(args, format);
	(void)buf_vprintf(&text, format, args);
	va_end(args);
	transfer->is_unfit = true;
	log_info("%s: %s", transfer->delivery->id, log_clean(buf_span(&text)));
	/* A host that only could not be reached may be the one that can do it. */
	if (why->status[0] != '4' || why->reason.length == 0)
		why_set(why, "5.7.30", "%s", log_clean(buf_span(&text)));
	buf_done(&text);
}
