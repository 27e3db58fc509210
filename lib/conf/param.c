/* SPDX-License-Identifier: MIT */
/*
 * The parameter table and the parsing of values by type (postconf(5)). Pure functions over
 * constant data, run by every program; the only state is an index by name, built at first use.
 */

#include "conf/param.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/htab.h"

#define FIELD(name) (int)offsetof(struct conf, name)
#define UNLIMITED CONF_UNLIMITED

/* The WHO column of params.def. */
enum {
#define WHO_ENUM(symbol, name) symbol = 1 << CONF_##symbol,
	CONF_PROGRAMS(WHO_ENUM)
#undef WHO_ENUM
	ALL = (1 << CONF_PROGRAM_COUNT) - 1,
	TLS = SMTPD | SMTP | FRONT | KEYSIGN | TLSMGR | POLICYFETCH,
	SMTP_TWIN = SMTP | TLSMGR | KEYSIGN | CONNECT | POLICYFETCH,
	ROUTE = SMTPD | CLEANUP | QMGR | SMTP | LOCAL | VIRTUAL | VERIFY,
};

#define ROW(kind_, type_, name_, value_, min_, max_, who_, text_, ...) \
	{ .kind = CONF_##kind_, .type = CONF_##type_, .name = (name_), .value = (value_), \
	  .min = (min_), .max = (max_), .who = (uint32_t)(who_), .text = (text_), __VA_ARGS__ },
#define NO_REASON .words = "", .field = CONF_NO_FIELD, .twin = CONF_NO_FIELD
#define NO_FIELD NO_REASON, .reason = ""
#define IN_FIELD(words_, field_) \
	.words = (words_), .reason = "", .field = FIELD(field_), .twin = CONF_NO_FIELD
#define IN_TWIN_FIELD(words_, field_, twin_) \
	.words = (words_), .reason = "", .field = FIELD(field_), .twin = FIELD(twin_)

static const struct conf_param params[] = {
#define NAMED(type, field, name, value, min, max, who, text) \
	ROW(PARAM, type, name, value, min, max, who, text, IN_FIELD("", field))
#define CHOICE(name, value, words, who, text) \
	ROW(PARAM, CHOICE, #name, value, 0, 0, who, text, IN_FIELD(words, name))
#define SMTP_LMTP(type, name, twin, value, twin_value, min, max, text) \
	ROW(PARAM, type, #name, value, min, max, SMTP_TWIN, text, IN_FIELD("", name), \
	    .has_twin = true) \
	ROW(PARAM, type, #twin, twin_value, min, max, SMTP_TWIN, text, IN_TWIN_FIELD("", twin, name))
#define SMTP_LMTP_CHOICE(name, twin, value, twin_value, words, text) \
	ROW(PARAM, CHOICE, #name, value, 0, 0, SMTP_TWIN, text, IN_FIELD(words, name), \
	    .has_twin = true) \
	ROW(PARAM, CHOICE, #twin, twin_value, 0, 0, SMTP_TWIN, text, \
	    IN_TWIN_FIELD(words, twin, name))
#define ACCEPTED(type, name, value, min, max, text, why) \
	ROW(ACCEPTED, type, #name, value, min, max, 0, text, NO_REASON, .reason = (why))
#define OLD_NAME(name, new_name, text) \
	ROW(OLD_NAME, TEXT, #name, "", 0, 0, 0, text, NO_REASON, .reason = (new_name))
#define INSTANCE(type, name, value, min, max, who, text) \
	ROW(INSTANCE, type, #name, value, min, max, who, text, NO_FIELD)
#define READ_ONLY(name, value, text) ROW(READ_ONLY, TEXT, #name, value, 0, 0, 0, text, NO_FIELD)
#include "conf/params.def"
};

static const struct conf_param patterns[] = {
#define NAMED(...)
#define PATTERN(type, suffix, value, min, max, who, text) \
	ROW(PATTERN, type, suffix, value, min, max, who, text, NO_FIELD)
#include "conf/params.def"
};

static const char *const program_names[] = {
#define PROGRAM_NAME(symbol, name) [CONF_##symbol] = (name),
	CONF_PROGRAMS(PROGRAM_NAME)
#undef PROGRAM_NAME
};

static const struct {
	const char *name;
	enum conf_program program;
} program_aliases[] = {
	{ "lmtp", CONF_SMTP },
	{ "defer", CONF_BOUNCE },
	{ "trace", CONF_BOUNCE },
	{ "retry", CONF_ERROR },
	{ "front", CONF_FRONT },
	{ "postlog", CONF_POSTLOG },
};

bool conf_program_find(const char *name, enum conf_program *ret_program)
{
	for (size_t i = 0; i < ARRAY_LEN(program_names); i++)
		if (strcmp(program_names[i], name) == 0) {
			*ret_program = (enum conf_program)i;
			return true;
		}
	for (size_t i = 0; i < ARRAY_LEN(program_aliases); i++)
		if (strcmp(program_aliases[i].name, name) == 0) {
			*ret_program = program_aliases[i].program;
			return true;
		}
	return false;
}

size_t conf_param_count(void)
{
	return ARRAY_LEN(params);
}

const struct conf_param *conf_param_at(size_t index)
{
	return &params[index];
}

/*
 * The index by name: open addressing, row number + 1, at most half full. It is filled before a
 * program forks or has anything else to do, so one static table serves.
 */
enum { INDEX_SIZE = 4096 };
_Static_assert(ARRAY_LEN(params) * 2 < INDEX_SIZE, "the index is at most half full");

static uint16_t name_index[INDEX_SIZE];

static size_t index_slot(struct span name)
{
	size_t slot = (size_t)htab_hash(name) % INDEX_SIZE;

	while (name_index[slot] != 0 && !span_is(name, params[name_index[slot] - 1].name))
		slot = (slot + 1) % INDEX_SIZE;
	return slot;
}

const struct conf_param *conf_param_find(struct span name)
{
	static bool is_filled;
	size_t slot;

	if (!is_filled) {
		for (size_t i = 0; i < ARRAY_LEN(params); i++)
			name_index[index_slot(span_of(params[i].name))] = (uint16_t)(i + 1);
		is_filled = true;
	}
	slot = index_slot(name);
	return name_index[slot] != 0 ? &params[name_index[slot] - 1] : NULL;
}

size_t conf_pattern_count(void)
{
	return ARRAY_LEN(patterns);
}

const struct conf_param *conf_pattern_at(size_t index)
{
	return &patterns[index];
}

const struct conf_param *conf_pattern_find(struct span name)
{
	const struct conf_param *found = NULL;
	size_t found_length = 0;

	/* The longest suffix: x_extra_recipient_limit also ends in _recipient_limit. */
	for (size_t i = 0; i < ARRAY_LEN(patterns); i++) {
		struct span suffix = span_of(patterns[i].name);

		if (name.n > suffix.n && suffix.n > found_length && span_ends(name, suffix)) {
			found = &patterns[i];
			found_length = suffix.n;
		}
	}
	return found;
}

/* Edit distance with neighbours swapped counted as one step; gives up above `limit`. */
static size_t edit_distance(struct span a, struct span b, size_t limit)
{
	enum { LONGEST = 80 };
	size_t rows[3][LONGEST + 1];

	if (a.n > LONGEST || b.n > LONGEST || (a.n > b.n ? a.n - b.n : b.n - a.n) > limit)
		return limit + 1;
	for (size_t j = 0; j <= b.n; j++)
		rows[0][j] = j;
	for (size_t i = 1; i <= a.n; i++) {
		size_t *row = rows[i % 3], *above = rows[(i + 2) % 3], *above2 = rows[(i + 1) % 3];
		size_t best = row[0] = i;

		for (size_t j = 1; j <= b.n; j++) {
			size_t cost = above[j - 1] + (a.p[i - 1] != b.p[j - 1]);

			if (above[j] + 1 < cost)
				cost = above[j] + 1;
			if (row[j - 1] + 1 < cost)
				cost = row[j - 1] + 1;
			if (i > 1 && j > 1 && above2[j - 2] + 1 < cost &&
			    a.p[i - 1] == b.p[j - 2] && a.p[i - 2] == b.p[j - 1])
				cost = above2[j - 2] + 1;
			row[j] = cost;
			best = cost < best ? cost : best;
		}
		if (best > limit)
			return limit + 1;
	}
	return rows[a.n % 3][b.n];
}

const char *conf_param_nearest(struct span name)
{
	size_t limit = name.n < 6 ? 1 : name.n < 16 ? 2 : 3;
	const char *nearest = NULL;

	for (size_t i = 0; i < ARRAY_LEN(params) && limit > 0; i++) {
		size_t distance = edit_distance(name, span_of(params[i].name), limit);

		if (distance <= limit) {
			nearest = params[i].name;
			limit = distance - (distance > 0);
		}
	}
	return nearest;
}

bool conf_time_parse(struct span text, int unit_seconds, int64_t *ret_seconds)
{
	static const struct {
		char letter;
		int seconds;
	} units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 }, { 'w', 604800 } };
	int64_t factor = unit_seconds;
	uint64_t number;

	if (text.n > 0 && ascii_is_alpha(text.p[text.n - 1])) {
		factor = 0;
		for (size_t i = 0; i < ARRAY_LEN(units); i++)
			if (ascii_lower(text.p[text.n - 1]) == units[i].letter)
				factor = units[i].seconds;
		text.n--;
	}
	if (factor == 0 || !span_u64(text, INT_MAX, &number) || (int64_t)number > INT_MAX / factor)
		return false;
	*ret_seconds = (int64_t)number * factor;
	return true;
}

static void describe_number(const struct conf_param *param, const char *what, int64_t max,
			    char *expected)
{
	if (param->max < max)
		snprintf(expected, CONF_EXPECTED_MAX, "%s from %lld to %lld", what,
			 (long long)param->min, (long long)param->max);
	else
		snprintf(expected, CONF_EXPECTED_MAX, "%s, at least %lld", what,
			 (long long)param->min);
}

static bool parse_time(const struct conf_param *param, struct span text, int unit_seconds,
		       const char *unit, struct conf_value *ret_value, char *expected)
{
	char what[100];

	if (conf_time_parse(text, unit_seconds, &ret_value->number) &&
	    ret_value->number >= param->min && ret_value->number <= param->max)
		return true;
	snprintf(what, sizeof(what), "a time such as 30s, 5m, 2h, 1d or 3w (without a letter: %s), "
		 "in seconds", unit);
	describe_number(param, what, INT_MAX, expected);
	return false;
}

static bool parse_number(const struct conf_param *param, struct span text, int64_t max,
			 const char *what, struct conf_value *ret_value, char *expected)
{
	bool is_negative = text.n > 1 && text.p[0] == '-';
	uint64_t number;

	if (span_u64(is_negative ? span_from(text, 1) : text, (uint64_t)max, &number)) {
		int64_t value = is_negative ? -(int64_t)number : (int64_t)number;

		if (value >= param->min && value <= param->max) {
			ret_value->number = value;
			return true;
		}
	}
	describe_number(param, what, max, expected);
	return false;
}

static bool parse_choice(const struct conf_param *param, struct span text,
			 struct conf_value *ret_value, char *expected)
{
	struct span rest = span_of(param->words), word;
	int used;

	while ((word = span_word(&rest, " ")).n > 0)
		if (span_eq_nocase(word, text) || (text.n == 0 && span_is(word, "-"))) {
			ret_value->word = span_is(word, "-") ? SPAN("") : word;
			return true;
		}
	used = snprintf(expected, CONF_EXPECTED_MAX, "one of:");
	rest = span_of(param->words);
	while ((word = span_word(&rest, " ")).n > 0 && used < CONF_EXPECTED_MAX)
		used += snprintf(expected + used, (size_t)(CONF_EXPECTED_MAX - used), " %.*s",
				 SPAN_ARG(span_is(word, "-") ? SPAN("(empty)") : word));
	return false;
}

bool conf_value_parse(const struct conf_param *param, struct span text,
		      struct conf_value *ret_value, char *expected)
{
	switch (param->type) {
	case CONF_TIME_S:
		return parse_time(param, text, 1, "seconds", ret_value, expected);
	case CONF_TIME_H:
		return parse_time(param, text, 3600, "hours", ret_value, expected);
	case CONF_TIME_D:
		return parse_time(param, text, 86400, "days", ret_value, expected);
	case CONF_COUNT:
		return parse_number(param, text, INT_MAX, "a whole number", ret_value, expected);
	case CONF_SIZE:
		return parse_number(param, text, INT64_MAX, "a whole number of bytes", ret_value,
				    expected);
	case CONF_BOOL:
		ret_value->number = span_is_nocase(text, "yes");
		if (ret_value->number == 1 || span_is_nocase(text, "no"))
			return true;
		snprintf(expected, CONF_EXPECTED_MAX, "yes or no");
		return false;
	case CONF_CHOICE:
		return parse_choice(param, text, ret_value, expected);
	case CONF_TEXT:
	case CONF_RAW:
	case CONF_TABLE:
		return true;
	}
	return false;
}
