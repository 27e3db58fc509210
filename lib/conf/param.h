/* SPDX-License-Identifier: MIT */
#ifndef CONF_PARAM_H
#define CONF_PARAM_H

/*
 * The table that params.def makes: everything about each parameter, and the parsing of values by
 * type. Nothing here knows a parameter by name.
 */

#include "conf/conf.h"

enum conf_type {
	CONF_TIME_S,
	CONF_TIME_H,
	CONF_TIME_D,
	CONF_SIZE,
	CONF_COUNT,
	CONF_BOOL,
	CONF_TEXT,
	CONF_RAW,
	CONF_TABLE,
	CONF_CHOICE,
};

enum conf_kind {
	CONF_PARAM, /* has a field in struct conf */
	CONF_ACCEPTED, /* checked and listed; nothing acts on it, `reason` says why */
	CONF_OLD_NAME, /* `reason` is the name to use instead, or empty */
	CONF_READ_ONLY, /* known to the program itself: a setting has no effect */
	CONF_INSTANCE, /* a per-transport name with a default of its own; no field */
	CONF_PATTERN, /* `name` is a suffix, with its underscore, for any transport */
};

enum { CONF_NO_FIELD = -1 };

struct conf_param {
	const char *name;
	const char *value; /* built-in default, before expansion */
	const char *words; /* CONF_CHOICE: allowed values between blanks; "" in the list is "-" */
	const char *text; /* for the manual */
	const char *reason;
	int64_t min, max;
	uint32_t who; /* bits 1 << enum conf_program */
	int field; /* offset in struct conf or CONF_NO_FIELD */
	int twin; /* for lmtp_ rows: the offset of the smtp_ field; else CONF_NO_FIELD */
	bool has_twin; /* an smtp_ row whose next row is its lmtp_ twin */
	enum conf_type type;
	enum conf_kind kind;
};

#define CONF_UNLIMITED INT64_MAX

/* All rows but the patterns, by name. The index of a row is below conf_param_count(). */
size_t conf_param_count(void);
const struct conf_param *conf_param_at(size_t index);
const struct conf_param *conf_param_find(struct span name); /* NULL when unknown */

/* The PATTERN row whose suffix ends `name`, with something before it; NULL when there is none. */
const struct conf_param *conf_pattern_find(struct span name);
size_t conf_pattern_count(void);
const struct conf_param *conf_pattern_at(size_t index);

/* The known name with the smallest edit distance to `name`, or NULL when nothing is near. */
const char *conf_param_nearest(struct span name);

/* A parsed value: which member counts is a matter of the type. */
struct conf_value {
	int64_t number; /* TIME_ in seconds, SIZE, COUNT, BOOL (0 or 1) */
	struct span word; /* CHOICE: the word as the table spells it; others: not set */
};

/*
 * Parses the expanded value of a parameter by its type and bounds. False when it does not fit:
 * then `expected`, of EXPECTED_MAX bytes, says what would, with bounds and unit.
 */
enum { CONF_EXPECTED_MAX = 240 };
MUST_USE bool conf_value_parse(const struct conf_param *param, struct span text,
			       struct conf_value *ret_value, char *expected);

/* "5m" and the like; without a letter the unit is `unit_seconds`. False when malformed or huge. */
MUST_USE bool conf_time_parse(struct span text, int unit_seconds, int64_t *ret_seconds);

#endif
