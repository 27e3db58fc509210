/* SPDX-License-Identifier: MIT */
/*
 * Lists of protocol versions and ciphers, see limits.h. Runs in who speaks TLS; the texts are the
 * administrator's, or those of a policy table. postconf(5) smtpd_tls_protocols, smtpd_tls_ciphers.
 */

#include "tls/limits.h"

#include <stdlib.h>

#include "conf/conf.h"

static const struct {
	const char *name;
	unsigned long number;
	unsigned bit; /* 0: never spoken */
} versions[] = {
	{ "SSLv2", 0x0002, 0 },          { "SSLv3", 0x0300, 0 },
	{ "TLSv1", 0x0301, TLS_1_0 },    { "TLSv1.1", 0x0302, TLS_1_1 },
	{ "TLSv1.2", 0x0303, TLS_1_2 },  { "TLSv1.3", 0x0304, TLS_1_3 },
};

/* Also numbers that are no version: as bounds they mean what they say. */
static bool find_version(struct span word, unsigned long *ret_number)
{
	char text[8] = "";
	char *end;

	for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
		if (span_is_nocase(word, versions[i].name)) {
			*ret_number = versions[i].number;
			return true;
		}
	}
	if (!span_starts_nocase(word, SPAN("0x")) || word.n < 3 || word.n > 6)
		return false;
	for (size_t i = 0; i < word.n; i++)
		text[i] = word.p[i];
	*ret_number = strtoul(text, &end, 16);
	return *end == '\0';
}

static unsigned bits_between(unsigned long low, unsigned long high)
{
	unsigned bits = 0;

	for (size_t i = 0; i < ARRAY_LEN(versions); i++)
		if (versions[i].number >= low && versions[i].number <= high)
			bits |= versions[i].bit;
	return bits;
}

bool tls_versions_parse(struct span list, unsigned *ret_versions, struct buf *ret_error)
{
	unsigned included = 0, excluded = 0, bounds = TLS_ALL;
	bool has_included = false;
	struct span rest = list, word;

	while ((word = span_word(&rest, ", \t\r\n:")).n > 0) {
		struct span name = word;
		bool is_least = span_starts(word, SPAN(">=")), is_most = span_starts(word, SPAN("<="));
		bool is_not = word.p[0] == '!';
		unsigned long number;

		name = span_from(name, is_least || is_most ? 2 : is_not ? 1 : 0);
		if (!find_version(name, &number)) {
			(void)buf_printf(ret_error, "\"%.*s\" is no TLS version", SPAN_ARG(word));
			return false;
		}
		if (is_least) {
			bounds &= bits_between(number, 0xffff);
		} else if (is_most) {
			bounds &= bits_between(0, number);
		} else if (is_not) {
			excluded |= bits_between(number, number);
		} else {
			included |= bits_between(number, number);
			has_included = true;
		}
	}
	bounds &= (has_included ? included : (unsigned)TLS_ALL) & ~excluded;
	if (bounds == 0) {
		(void)buf_printf(ret_error, "\"%.*s\" leaves no TLS version", SPAN_ARG(list));
		return false;
	}
	*ret_versions = bounds;
	return true;
}

static bool add_grade(struct buf *out, struct span grade)
{
	if (span_is_nocase(grade, "high"))
		return buf_text(out, conf->tls_high_cipherlist);
	if (span_is_nocase(grade, "medium") || span_is_nocase(grade, "low") ||
	    span_is_nocase(grade, "export"))
		return buf_text(out, conf->tls_medium_cipherlist);
	if (span_is_nocase(grade, "null"))
		return buf_text(out, conf->tls_null_cipherlist);
	return false;
}

/* Words that could change the list itself have no place in a list of what to leave out. */
static bool exclude(struct buf *out, const char *list, struct buf *ret_error)
{
	struct span rest = span_of(list), word;

	while ((word = span_word(&rest, ", \t\r\n:")).n > 0) {
		if (word.p[0] == '!' || word.p[0] == '-' || word.p[0] == '+' || word.p[0] == '@') {
			(void)buf_printf(ret_error, "\"%.*s\" is no cipher to leave out",
					 SPAN_ARG(word));
			return false;
		}
		(void)buf_printf(out, ":!%.*s", SPAN_ARG(word));
	}
	return true;
}

bool tls_ciphers_make(const struct tls_limits *limits, struct buf *out, struct buf *ret_error)
{
	if (!add_grade(out, span_trim(span_of(limits->grade)))) {
		(void)buf_printf(ret_error, "\"%s\" is no cipher grade", limits->grade);
		return false;
	}
	(void)buf_text(out, ":!kRSA:!aNULL");
	return exclude(out, limits->exclude, ret_error) &&
	       exclude(out, limits->exclude_more, ret_error);
}
