/* SPDX-License-Identifier: MIT */
/*
 * What is wanted of TLS at a server: postconf(5) smtp_tls_security_level, smtp_tls_policy_maps and
 * their kin, TLS_README. Runs in the jail of smtp; tables and parameters are the administrator's, names
 * of hosts come from the DNS. Whatever cannot be understood defers mail: it never lowers a level.
 */

#include "tls.h"

#include <string.h>

#include "base/log.h"
#include "base/words.h"
#include "conf/conf.h"
#include "mail/domain.h"
#include "mail/idna.h"
#include "tls/limits.h"

enum { NAMES_BYTES_MAX = 65536 };

static struct {
	struct maps *policies, *per_site;
	enum level global;
} self;

/* What a table says of a place, beside what stands in the policy itself. */
struct said {
	bool is_there;        /* it says something, and so the domain's own MTA-STS policy does not count */
	struct buf names;     /* match=, with blanks between */
	bool is_sts;          /* it comes from an MTA-STS policy, by somebody else's program: */
	struct span domain;   /* of that, */
	struct buf patterns;  /* and its patterns for MX hosts */
};

static const struct {
	const char *name;
	enum level level;
} levels[] = {
	{ "none", LEVEL_NONE },     { "may", LEVEL_MAY },
	{ "encrypt", LEVEL_ENCRYPT }, { "fingerprint", LEVEL_FINGERPRINT },
	{ "dane", LEVEL_DANE },     { "dane-only", LEVEL_DANE_ONLY },
	{ "verify", LEVEL_VERIFY }, { "secure", LEVEL_SECURE },
};

const char *policy_level_name(enum level level)
{
	for (size_t i = 0; i < ARRAY_LEN(levels); i++)
		if (levels[i].level == level)
			return levels[i].name;
	return "half-dane";
}

static const char separators[] = WORDS_BLANK_OR_COMMA;

static bool find_level(struct span name, enum level *ret)
{
	for (size_t i = 0; i < ARRAY_LEN(levels); i++) {
		if (span_is_nocase(name, levels[i].name)) {
			*ret = levels[i].level;
			return true;
		}
	}
	return false;
}

static enum level global_level(void)
{
	enum level level;

	if (find_level(span_of(conf->smtp_tls_security_level), &level))
		return level;
	if (conf->smtp_enforce_tls)
		return conf->smtp_tls_enforce_peername ? LEVEL_VERIFY : LEVEL_ENCRYPT;
	return conf->smtp_use_tls ? LEVEL_MAY : LEVEL_NONE;
}

void policy_prepare(void)
{
	self.policies = tables_open_maps("tls_policy_maps", conf->smtp_tls_policy_maps);
	self.per_site = tables_open_maps("tls_per_site", conf->smtp_tls_per_site);
	self.global = global_level();
}

bool policy_set_level(struct span name)
{
	return find_level(name, &self.global);
}

bool policy_may_want_tls(void)
{
	return self.global > LEVEL_NONE || conf->smtp_tls_wrappermode ||
	       !maps_is_empty(self.policies) || !maps_is_empty(self.per_site);
}

/* ---- tables ---- */

/* As it is written, and for a plain domain its parents with a dot in front. */
static enum table_status find_policy(const struct target *target, struct span *ret_value)
{
	struct span key = target->text;
	enum table_status status = maps_find(self.policies, NULL, key, false, ret_value);
	size_t at;

	if (domain_check_name(key, true) != DOMAIN_OK)
		return status;
	while (status == TABLE_NOT_FOUND && span_chr(span_from(key, 1), '.', &at)) {
		key = span_from(key, at + 1);
		status = maps_find(self.policies, NULL, key, false, ret_value);
	}
	return status;
}

/* Levels that leave room for what a domain wants of its own. */
static bool may_have_sts(void)
{
	return self.global == LEVEL_MAY || self.global == LEVEL_DANE;
}

bool policy_find(struct transfer *transfer, const struct target *target, bool with_sts,
		 struct buf *ret_text)
{
	struct span value;
	enum table_status status = find_policy(target, &value);

	if (status == TABLE_FOUND)
		(void)buf_add(ret_text, value);
	if (status == TABLE_NOT_FOUND && with_sts)
		return sts_describe(transfer, target, ret_text);
	return status == TABLE_FOUND || status == TABLE_NOT_FOUND;
}

bool policy_may_want_sts(void)
{
	return conf->smtp_tls_mta_sts && !is_lmtp && may_have_sts();
}

/* ---- what cannot be ---- */

static bool fail(struct transfer *transfer, const struct target *target, const char *what)
{
	log_warn("%s: TLS policy for %s: %s", maps_title(self.policies), log_clean(target->text),
		 what);
	why_set(&transfer->why, "4.7.5", "client TLS configuration problem");
	return false;
}

/* One word of a policy is wrong. */
static bool fail_word(struct transfer *transfer, const struct target *target, const char *what,
		      struct span word)
{
	struct buf text = BUF_INIT(NAMES_BYTES_MAX);

	(void)buf_printf(&text, "%s \"%s\"", what, log_clean(word));
	(void)fail(transfer, target, buf_str(&text));
	buf_done(&text);
	return false;
}

static bool fail_lookup(struct transfer *transfer, struct maps *maps)
{
	log_warn("%s: %s", maps_title(maps), maps_error(maps));
	why_set(&transfer->why, "4.3.0", "Temporary lookup error");
	return false;
}

/* ---- names in certificates ---- */

struct span policy_ascii_name(struct arena *arena, struct span name)
{
	struct buf ascii = BUF_INIT(DOMAIN_NAME_MAX + 1);
	struct span made = name;

	if (idna_to_ascii(&ascii, name, false))
		made = arena_span(arena, buf_span(&ascii));
	buf_done(&ascii);
	return made;
}

/* "hostname", "nexthop" and "dot-nexthop" stand for what they say. */
static struct span expand(struct arena *arena, struct span word, const struct target *target,
			  const struct host *host)
{
	bool has_dot = span_is_nocase(word, "dot-nexthop");
	struct buf dotted = BUF_INIT(DOMAIN_NAME_MAX + 2);
	struct span made = word;

	if (span_is_nocase(word, "hostname"))
		made = host != NULL ? host->name : span_of(conf->myhostname);
	else if (has_dot || span_is_nocase(word, "nexthop"))
		made = policy_ascii_name(arena, target->host);
	if (has_dot) {
		(void)buf_printf(&dotted, ".%.*s", SPAN_ARG(made));
		made = buf_span(&dotted);
	}
	made = arena_span(arena, made);
	buf_done(&dotted);
	return made;
}

static void set_names(struct arena *arena, struct span list, const char *between,
		      const struct target *target, const struct host *host, struct policy *policy)
{
	struct span *names = arena_alloc(arena, (list.n / 2 + 1) * sizeof(struct span));
	struct span word;

	while ((word = span_word(&list, between)).n > 0)
		names[policy->name_count++] = expand(arena, word, target, host);
	policy->names = names;
}

/* What the certificate must match: `list` if it is not empty, or what is configured for the level. */
static bool choose_names(struct transfer *transfer, const struct target *target,
			 const struct host *host, struct span list, struct policy *policy)
{
	struct arena *arena = &transfer->delivery->arena;

	switch (policy->level) {
	case LEVEL_FINGERPRINT:
		set_names(arena, list.n > 0 ? list : span_of(conf->smtp_tls_fingerprint_cert_match),
			  ", \t\r\n|", target, host, policy);
		break;
	case LEVEL_VERIFY:
		set_names(arena, list.n > 0 ? list : span_of(conf->smtp_tls_verify_cert_match),
			  ", \t\r\n:", target, host, policy);
		break;
	case LEVEL_SECURE:
		set_names(arena, list.n > 0 ? list : span_of(conf->smtp_tls_secure_cert_match),
			  ", \t\r\n:", target, host, policy);
		break;
	default: return true;
	}
	return policy->name_count > 0 ||
	       fail(transfer, target, "there is nothing that a certificate could match");
}

/* ---- attributes ---- */

/* What programs that answer for smtp_tls_policy_maps say for reports (Postfix 3.10), and of MX hosts. */
static bool take_report_attribute(struct arena *arena, struct span name, struct span value,
				  struct said *said)
{
	uint64_t ttl_s;

	if (span_is_nocase(name, "policy_type")) {
		said->is_sts = span_is_nocase(value, "sts");
		return said->is_sts || span_is_nocase(value, "no-policy-found") ||
		       span_is_nocase(value, "tlsa");
	}
	if (span_is_nocase(name, "policy_ttl"))
		return span_u64(value, UINT32_MAX, &ttl_s);
	if (span_is_nocase(name, "policy_domain"))
		said->domain = arena_span(arena, value);
	else if (span_is_nocase(name, "mx_host_pattern"))
		(void)buf_printf(&said->patterns, "%.*s ", SPAN_ARG(value));
	else
		return span_is_nocase(name, "policy_string") ||
		       span_is_nocase(name, "policy_failure");
	return true;
}

/* One "name=value". */
static bool take_attribute(struct arena *arena, struct span name, struct span value,
			   struct policy *policy, struct said *said)
{
	bool has_names = policy->level == LEVEL_FINGERPRINT || policy->level >= LEVEL_VERIFY;

	if (span_is_nocase(name, "protocols")) {
		policy->protocols = arena_str(arena, value);
	} else if (span_is_nocase(name, "ciphers")) {
		policy->ciphers = arena_str(arena, value);
	} else if (span_is_nocase(name, "exclude")) {
		policy->exclude = arena_str(arena, value);
	} else if (span_is_nocase(name, "servername")) {
		policy->server_name = arena_str(arena, value);
	} else if (span_is_nocase(name, "match") && has_names) {
		(void)buf_printf(&said->names, "%.*s ", SPAN_ARG(value));
	} else if (span_is_nocase(name, "connection_reuse") &&
		   (span_is_nocase(value, "yes") || span_is_nocase(value, "no"))) {
		policy->may_reuse = span_is_nocase(value, "yes");
	} else if (!take_report_attribute(arena, name, value, said)) {
		return false;
	}
	return value.n > 0;
}

/* "name=value", or "{ name = value with blanks }". */
static bool split_attribute(struct span word, struct span *name, struct span *value)
{
	const char *reason;

	if (word.p[0] == '{' && !words_unbrace(word, &word, &reason))
		return false;
	if (!span_cut(word, '=', name, value))
		return false;
	*name = span_trim(*name);
	*value = span_trim(*value);
	return true;
}

/* "LEVEL name=value ..." of a table. */
static bool take_value(struct transfer *transfer, const struct target *target, struct span rest,
		       struct policy *policy, struct said *said)
{
	struct arena *arena = &transfer->delivery->arena;
	struct span word = span_word(&rest, separators), name, value;

	if (!find_level(word, &policy->level))
		return fail_word(transfer, target, "invalid security level", word);
	while (policy->level > LEVEL_NONE && (word = words_next(&rest, separators)).n > 0)
		if (!split_attribute(word, &name, &value) ||
		    !take_attribute(arena, name, value, policy, said))
			return fail_word(transfer, target, "invalid attribute", word);
	return true;
}

/* ---- smtp_tls_per_site ---- */

/* Joins what is said of the next hop and of the host: MAY gives way, else the stronger holds. */
static enum level join(enum level a, enum level b)
{
	if (a == LEVEL_MAY || b == LEVEL_MAY)
		return a == LEVEL_MAY ? b : a;
	return a > b ? a : b;
}

static bool take_site(struct transfer *transfer, struct span key, bool *has_any,
		      enum level *level)
{
	struct span value;
	enum table_status status = maps_find(self.per_site, NULL, key, false, &value);
	enum level found = LEVEL_NONE;

	if (status == TABLE_NOT_FOUND)
		return true;
	if (status != TABLE_FOUND)
		return fail_lookup(transfer, self.per_site);
	if (span_is_nocase(value, "MAY"))
		found = LEVEL_MAY;
	else if (span_is_nocase(value, "MUST_NOPEERMATCH"))
		found = LEVEL_ENCRYPT;
	else if (span_is_nocase(value, "MUST"))
		found = LEVEL_VERIFY;
	else if (!span_is_nocase(value, "NONE")) {
		log_warn("%s: unknown TLS policy '%s' for %s", maps_title(self.per_site),
			 log_clean(value), log_clean(key));
		why_set(&transfer->why, "4.7.5", "client TLS configuration problem");
		return false;
	}
	*level = *has_any ? join(*level, found) : found;
	*has_any = true;
	return true;
}

static bool find_per_site(struct transfer *transfer, const struct target *target,
			  const struct host *host, enum level *level, bool *ret_is_said)
{
	enum level found = LEVEL_NONE;
	bool has_any = false;

	if (!take_site(transfer, target->text, &has_any, &found) ||
	    (host != NULL && !span_eq_nocase(host->name, target->text) &&
	     !take_site(transfer, host->name, &has_any, &found)))
		return false;
	*ret_is_said = has_any;
	/* MAY says no more than that nobody minds what holds for all. */
	if (has_any && (found != LEVEL_MAY || self.global < LEVEL_MAY))
		*level = found;
	return true;
}

/* ---- all together ---- */

/* A list of versions or ciphers that means nothing must not become another one. */
static bool check_limits(struct transfer *transfer, const struct target *target,
			 const struct policy *policy)
{
	struct tls_limits limits = { .protocols = policy->protocols, .grade = policy->ciphers,
				     .exclude = policy->exclude };
	struct buf ciphers = BUF_INIT(16384), error = BUF_INIT(1000);
	unsigned versions;
	bool is_good = tls_versions_parse(span_of(limits.protocols), &versions, &error) &&
		       tls_ciphers_make(&limits, &ciphers, &error);

	if (!is_good)
		(void)fail(transfer, target, log_clean(buf_span(&error)));
	buf_done(&ciphers);
	buf_done(&error);
	return is_good;
}

static void set_limits(struct arena *arena, struct policy *policy)
{
	bool is_must = policy->level >= LEVEL_ENCRYPT;
	struct buf exclude = BUF_INIT(NAMES_BYTES_MAX);

	if (policy->protocols == NULL)
		policy->protocols = is_must ? conf->smtp_tls_mandatory_protocols
					    : conf->smtp_tls_protocols;
	if (policy->ciphers == NULL)
		policy->ciphers = is_must ? conf->smtp_tls_mandatory_ciphers
					  : conf->smtp_tls_ciphers;
	(void)buf_printf(&exclude, "%s %s %s", conf->smtp_tls_exclude_ciphers,
			 is_must ? conf->smtp_tls_mandatory_exclude_ciphers : "",
			 policy->exclude != NULL ? policy->exclude : "");
	policy->exclude = arena_str(arena, buf_span(&exclude));
	buf_done(&exclude);
}

static void set_server_name(struct arena *arena, const struct target *target,
			    const struct host *host, struct policy *policy)
{
	struct span name = span_of(policy->server_name != NULL ? policy->server_name
							       : conf->smtp_tls_servername);
	struct ip_addr addr;

	name = expand(arena, name, target, host);
	/* RFC 6066 3: an address is no server name. */
	policy->server_name = name.n > 0 && !ip_parse(name, &addr) ? name.p : NULL;
}

static bool find_what_is_said(struct transfer *transfer, const struct target *target,
			      const struct host *host, struct policy *policy, struct said *said)
{
	struct span value;

	if (maps_is_empty(self.policies))
		return maps_is_empty(self.per_site) ||
		       find_per_site(transfer, target, host, &policy->level, &said->is_there);
	switch (find_policy(target, &value)) {
	case TABLE_FOUND:
		said->is_there = true;
		return take_value(transfer, target, value, policy, said);
	case TABLE_NOT_FOUND: return true;
	case TABLE_ERROR:
	case TABLE_PENDING: break;
	}
	return fail_lookup(transfer, self.policies);
}

/*
 * smtp_tls_enforce_sts_mx_patterns: a program that has an MTA-STS policy can say no more than names that
 * certificates may have. What is meant is that the MX host matches a pattern, and its certificate the host.
 */
static bool enforce_patterns(struct transfer *transfer, const struct target *target,
			     const struct host *host, struct said *said, struct policy *policy)
{
	struct span rest = buf_span(&said->patterns), pattern;

	if (!said->is_sts || policy->level != LEVEL_SECURE || rest.n == 0 || host == NULL ||
	    !conf->smtp_tls_enforce_sts_mx_patterns)
		return true;
	policy->is_sts = true;
	policy->sts_host = host->asked;
	policy->sts_domain = said->domain.n > 0 ? said->domain : target->host;
	while ((pattern = span_word(&rest, " ")).n > 0)
		if (sts_pattern_matches(pattern, host->asked))
			return true;
	policy->report.failure = TLSRPT_VALIDATION_FAILURE;
	policy->report.reason = STS_NO_SUCH_HOST;
	sts_refuse(transfer, policy, host);
	return false;
}

static bool complete(struct transfer *transfer, const struct target *target,
		     const struct host *host, struct said *said, struct policy *policy)
{
	struct arena *arena = &transfer->delivery->arena;
	struct span names = arena_span(arena, buf_span(&said->names));

	policy->wanted = policy->level;
	requiretls_adjust(transfer, policy);
	/* Who hears what goes through a socket of this machine can hear it anyway. */
	if (host == NULL && policy->level == LEVEL_MAY)
		policy->level = policy->wanted = LEVEL_NONE;
	if (conf->smtp_tls_wrappermode && policy->level < LEVEL_ENCRYPT)
		return fail(transfer, target, "smtp_tls_wrappermode requires level encrypt");
	if (policy->level == LEVEL_NONE)
		return true;
	if (!choose_names(transfer, target, host, names, policy) ||
	    !enforce_patterns(transfer, target, host, said, policy))
		return false;
	set_server_name(arena, target, host, policy);
	if ((policy->level == LEVEL_DANE || policy->level == LEVEL_DANE_ONLY) &&
	    !dane_apply(transfer, target, host, policy))
		return false;
	if (!said->is_there && may_have_sts() && !transfer->is_tls_optional &&
	    !sts_apply(transfer, target, host, policy))
		return false;
	/* Without TLSA records less is left of level dane. */
	requiretls_adjust(transfer, policy);
	if (policy->wanted < policy->level)
		policy->wanted = policy->level;
	set_limits(arena, policy);
	return check_limits(transfer, target, policy);
}

bool policy_make(struct transfer *transfer, const struct target *target, const struct host *host,
		 struct policy *ret)
{
	struct said said = { .names = BUF_INIT(NAMES_BYTES_MAX),
			     .patterns = BUF_INIT(NAMES_BYTES_MAX) };
	bool is_good;

	*ret = (struct policy){ .level = self.global,
				.may_reuse = conf->smtp_tls_connection_reuse };
	is_good = find_what_is_said(transfer, target, host, ret, &said) &&
		  complete(transfer, target, host, &said, ret);
	report_policy(transfer, target, ret);
	buf_done(&said.names);
	buf_done(&said.patterns);
	if (!is_good)
		log_warn("TLS policy lookup for %s/%s: %s", log_clean(target->text),
			 log_clean(host != NULL ? host->name : target->host),
			 log_clean(buf_span(&transfer->why.reason)));
	return is_good;
}
