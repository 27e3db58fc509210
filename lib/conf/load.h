/* SPDX-License-Identifier: MIT */
#ifndef CONF_LOAD_H
#define CONF_LOAD_H

/*
 * From settings to values: expands and checks each parameter (conf_evaluate), and puts values
 * into struct conf (conf_values_*). Commands do both at once; for a daemon master does the first
 * and writes a snapshot, the daemon the second.
 */

#include "conf/expand.h"

#define CONF_EVERYBODY UINT32_MAX

/*
 * Gets one value, expanded and good for its type. `is_stressed`: it counts under stress alone, and
 * differs from the one before it.
 */
typedef void conf_take_fn(void *context, const struct conf_param *param, struct span value,
			  bool is_stressed);

/*
 * Evaluates every parameter that the programs of the mask `who` may see, accepted ones and old
 * names only with CONF_EVERYBODY. A value that cannot be expanded or does not fit its type is
 * reported as an error with the place where it is set and what would fit, and is not taken.
 * `take` may be NULL.
 */
void conf_evaluate(const struct conf_scope *scope, uint32_t who, struct conf_report *report,
		   conf_take_fn *take, void *context);

/* The same for one parameter: false when it was bad. Appends the value to `ret` when not NULL. */
MUST_USE bool conf_evaluate_one(const struct conf_scope *scope, const struct conf_param *param,
				struct conf_report *report, struct buf *ret);

/*
 * Evaluates the settings that are in no table and that a program of the mask `who` may see:
 * per-transport settings (by the WHO of their pattern), restriction classes (smtpd, connect), any
 * other user-defined name (proxymap, for database clients set up in main.cf).
 */
typedef void conf_take_named_fn(void *context, struct span name, struct span value);
void conf_evaluate_named(const struct conf_scope *scope, uint32_t who, struct conf_report *report,
			 conf_take_named_fn *take, void *context);

/*
 * Fills struct conf: conf_values_reset() puts the built-in defaults in place, and each
 * conf_values_set() one value, which must fit its type (false: it does not). With `is_lmtp`
 * the value of an lmtp_ parameter goes into the smtp_ field as well, and that of an smtp_
 * parameter with such a twin nowhere.
 */
void conf_values_reset(void);
MUST_USE bool conf_values_set(const struct conf_param *param, struct span value, bool is_stressed,
			      bool is_lmtp);

/* For lmtp, right after the reset: the smtp_ fields get the defaults of their lmtp_ twins. */
void conf_values_set_twins(void);

void conf_values_set_named(struct span name, struct span value);

/* For tests: `conf` from a main.cf text, with all values. False when something is wrong in it. */
MUST_USE bool conf_load_text(struct span main_cf);

#endif
