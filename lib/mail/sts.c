/* SPDX-License-Identifier: MIT */
/*
 * Records and policies of MTA-STS; see sts.h. Runs in policyfetch and smtp. Both texts are
 * those of strangers: whatever is not in the grammar of RFC 8461 makes the whole invalid.
 */

#include "mail/sts.h"

#include "mail/domain.h"

enum { NAME_MAX_BYTES = 32, AGE_DIGITS_MAX = 10 };

static const char *const mode_names[] = {
	[STS_MODE_NONE] = "none",
	[STS_MODE_TESTING] = "testing",
	[STS_MODE_ENFORCE] = "enforce",
};

const char *sts_mode_name(enum sts_mode mode)
{
	return mode_names[mode];
}

/* sts-ext-name = (ALPHA / DIGIT) *31(ALPHA / DIGIT / "_" / "-" / ".") */
bool sts_is_field_name(struct span name)
{
	if (name.n == 0 || name.n > NAME_MAX_BYTES || !ascii_is_alnum(name.p[0]))
		return false;
	for (size_t i = 1; i < name.n; i++)
		if (!ascii_is_alnum(name.p[i]) && name.p[i] != '_' && name.p[i] != '-' &&
		    name.p[i] != '.')
			return false;
	return true;
}

/* ---- the TXT record ---- */

/*
 * sts-text-record = sts-version 1*(sts-field-delim sts-field) [sts-field-delim]
 * sts-field-delim = *WSP ";" *WSP
 * sts-field       = sts-id / sts-extension
 * sts-version     = %s"v=STSv1"
 * sts-id          = %s"id=" 1*32(ALPHA / DIGIT)
 * sts-extension   = sts-ext-name "=" sts-ext-value
 * sts-ext-value   = 1*(%x21-3A / %x3C / %x3E-7E)
 */

bool sts_record_counts(struct span record)
{
	return span_starts(record, SPAN("v=STSv1;"));
}

/* Space and tab alone: what else span_trim() takes away is not allowed here. */
static struct span trim_wsp(struct span text)
{
	while (text.n > 0 && (text.p[0] == ' ' || text.p[0] == '\t'))
		text = span_from(text, 1);
	while (text.n > 0 && (text.p[text.n - 1] == ' ' || text.p[text.n - 1] == '\t'))
		text.n--;
	return text;
}

static bool is_extension_value(struct span value)
{
	for (size_t i = 0; i < value.n; i++)
		if (value.p[i] < '!' || value.p[i] > '~' || value.p[i] == ';' || value.p[i] == '=')
			return false;
	return value.n > 0;
}

static bool is_id(struct span value)
{
	for (size_t i = 0; i < value.n; i++)
		if (!ascii_is_alnum(value.p[i]))
			return false;
	return value.n > 0 && value.n <= STS_ID_MAX;
}

/* Of fields that are there twice the first counts. */
static bool take_record_field(struct span field, struct span *id)
{
	struct span name, value;

	if (!span_cut(field, '=', &name, &value))
		return false;
	if (!span_is(name, "id"))
		return sts_is_field_name(name) && is_extension_value(value);
	if (!is_id(value))
		return false;
	if (id->n == 0)
		*id = value;
	return true;
}

bool sts_record_parse(struct span record, struct span *ret_id)
{
	struct span rest, field, id = { NULL, 0 };
	bool has_more;

	if (!sts_record_counts(record) || !span_cut(record, ';', &field, &rest))
		return false;
	do {
		has_more = span_cut(rest, ';', &field, &rest);
		if (!has_more)
			field = rest;
		field = trim_wsp(field);
		/* Nothing may stand behind the last ";", and only there. */
		if (field.n == 0 && !has_more)
			break;
		if (!take_record_field(field, &id))
			return false;
	} while (has_more);
	if (id.n == 0)
		return false;
	*ret_id = id;
	return true;
}

/* ---- the policy ---- */

/*
 * sts-policy-record = sts-policy-field *WSP *(sts-policy-term sts-policy-field *WSP) [sts-policy-term]
 * sts-policy-field  = name ":" *WSP value
 *     version: "STSv1"; mode: "testing" / "enforce" / "none"; max_age: 1*10(DIGIT);
 *     mx: ["*."] Domain; others: sts-ext-name, and a value of visible bytes with blanks between
 * sts-policy-term   = LF / CRLF
 */

struct fields {
	bool has_version, has_mode, has_max_age;
	struct sts_policy policy;
	const char *reason;
};

static bool fail(struct fields *fields, const char *reason)
{
	fields->reason = reason;
	return false;
}

static bool is_pattern(struct span pattern)
{
	if (span_starts(pattern, SPAN("*.")))
		pattern = span_from(pattern, 2);
	return domain_check_name(pattern, false) == DOMAIN_OK;
}

static bool take_mode(struct fields *fields, struct span value)
{
	for (size_t i = 0; i < ARRAY_LEN(mode_names); i++) {
		if (span_is(value, mode_names[i])) {
			fields->policy.mode = (enum sts_mode)i;
			fields->has_mode = true;
			return true;
		}
	}
	return fail(fields, "unknown mode");
}

static bool take_max_age(struct fields *fields, struct span value)
{
	uint64_t age;

	if (value.n > AGE_DIGITS_MAX || !span_u64(value, UINT64_MAX, &age))
		return fail(fields, "max_age is no number of seconds");
	fields->policy.max_age_s = (uint32_t)(age < STS_AGE_MAX_S ? age : STS_AGE_MAX_S);
	fields->has_max_age = true;
	return true;
}

static bool is_policy_value(struct span value)
{
	for (size_t i = 0; i < value.n; i++)
		if ((unsigned char)value.p[i] < ' ' || value.p[i] == 0x7f)
			return false;
	return value.n > 0;
}

/* Of all fields but mx the first counts when there are several; the others are not even looked at. */
static bool take_field(struct fields *fields, struct span name, struct span value)
{
	if (!sts_is_field_name(name))
		return fail(fields, "a line is not \"name: value\"");
	if (span_is(name, "version")) {
		if (!fields->has_version && !span_is(value, "STSv1"))
			return fail(fields, "unknown version");
		fields->has_version = true;
		return true;
	}
	if (span_is(name, "mode"))
		return fields->has_mode || take_mode(fields, value);
	if (span_is(name, "max_age"))
		return fields->has_max_age || take_max_age(fields, value);
	if (span_is(name, "mx")) {
		fields->policy.mx_count++;
		return is_pattern(value) || fail(fields, "mx is no host name or pattern");
	}
	return is_policy_value(value) || fail(fields, "a field has no value, or control characters");
}

static bool take_lines(struct fields *fields, struct span text)
{
	struct span line, name, value;

	while (span_line(&text, &line)) {
		line = trim_wsp(line);
		if (line.n == 0)
			continue;
		if (!span_cut(line, ':', &name, &value))
			return fail(fields, "a line is not \"name: value\"");
		if (!take_field(fields, name, trim_wsp(value)))
			return false;
	}
	return true;
}

bool sts_policy_parse(struct span text, struct sts_policy *ret, const char **ret_reason)
{
	struct fields fields = { .policy = { .text = text } };

	if (text.n > STS_POLICY_MAX)
		(void)fail(&fields, "too large");
	else if (take_lines(&fields, text)) {
		if (!fields.has_version)
			(void)fail(&fields, "no version");
		else if (!fields.has_mode)
			(void)fail(&fields, "no mode");
		else if (!fields.has_max_age)
			(void)fail(&fields, "no max_age");
		else if (fields.policy.mx_count == 0 && fields.policy.mode != STS_MODE_NONE)
			(void)fail(&fields, "no mx");
	}
	if (fields.reason != NULL) {
		*ret_reason = fields.reason;
		return false;
	}
	*ret = fields.policy;
	return true;
}

/* ---- hosts ---- */

bool sts_next_mx(struct span *rest, struct span *ret_pattern)
{
	struct span line, name, value;

	while (span_line(rest, &line)) {
		if (!span_cut(trim_wsp(line), ':', &name, &value) || !span_is(name, "mx"))
			continue;
		*ret_pattern = trim_wsp(value);
		return true;
	}
	return false;
}

bool sts_pattern_matches(struct span pattern, struct span host)
{
	size_t at;

	if (!span_starts(pattern, SPAN("*.")))
		return host.n > 0 && span_eq_nocase(pattern, host);
	/* One label, and not an empty one. */
	return span_chr(host, '.', &at) && at > 0 &&
	       span_eq_nocase(span_from(pattern, 1), span_from(host, at));
}

bool sts_policy_allows(const struct sts_policy *policy, struct span host)
{
	struct span rest = policy->text, pattern;

	while (sts_next_mx(&rest, &pattern))
		if (sts_pattern_matches(pattern, host))
			return true;
	return false;
}
