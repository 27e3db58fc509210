/* SPDX-License-Identifier: MIT */
#ifndef CONF_EXPAND_H
#define CONF_EXPAND_H

/*
 * $name in values (postconf(5)): $name, ${name}, $(name), ${name?value}, ${name:value},
 * ${name?{a}:{b}}, ${{a} == {b} ? {c} : {d}} with == != < <= > >=, the same on compatibility
 * levels (==level, <level and so on), and $$ for one "$". Values of parameters are expanded in
 * turn.
 */

#include "base/buf.h"
#include "conf/dict.h"
#include "conf/param.h"

/*
 * Where values come from, first to last: `overrides` (the -o options), `main` (main.cf), the
 * names below, computed defaults, the built-in default of params.def, and for a per-transport
 * name its pattern.
 */
struct conf_scope {
	const struct conf_dict *overrides; /* may be NULL */
	const struct conf_dict *main; /* may be NULL: built-in defaults alone */
	const char *config_directory;
	const char *process_name; /* $process_name; NULL is "" */
	const char *service_name; /* $service_name; NULL is "" */
	bool is_stressed; /* $stress is "yes" */
};

/*
 * The value of a parameter or user-defined name before expansion; NULL when it is neither set nor
 * known. It lives as long as the scope's dicts, or until the next call for computed values.
 */
const char *conf_lookup(const struct conf_scope *scope, struct span name);

/* Where a name is set, in the overrides or in main.cf; NULL when it has its default. */
const struct conf_setting *conf_setting(const struct conf_scope *scope, struct span name);

/* Told of each $name that is met, known or not, in values that are really used. */
typedef void conf_expand_seen_fn(void *context, struct span name, bool is_known);

enum {
	CONF_VALUE_MAX = 1024 * 1024, /* bytes of an expanded value */
	CONF_EXPAND_ERROR_MAX = 500,
};

/*
 * Appends the expansion of `text` to `ret`. False when it is malformed, loops, or gets longer
 * than the buffer may: `error`, of CONF_EXPAND_ERROR_MAX bytes, says what is wrong.
 * `seen` may be NULL.
 */
MUST_USE bool conf_expand(const struct conf_scope *scope, struct span text, struct buf *ret,
			  char *error, conf_expand_seen_fn *seen, void *context);

/* Whether there is anything to expand. */
bool conf_has_macro(struct span text);

/*
 * A compatibility level, "3.6" or "3.10.2", as one number to compare; false when malformed.
 * Each part is at most 999.
 */
MUST_USE bool conf_level_parse(struct span text, int64_t *ret_level);

#endif
