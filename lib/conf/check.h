/* SPDX-License-Identifier: MIT */
#ifndef CONF_CHECK_H
#define CONF_CHECK_H

/* Which names that main.cf and master.cf set have any effect, and warnings about the others. */

#include "conf/expand.h"
#include "conf/master_cf.h"

struct conf_usage {
	const struct conf_dict *main;
	const struct master_cf *services; /* NULL: a per-transport name may be of any transport */
	struct htab referenced; /* names behind a "$" in any value, and restriction classes */
	struct htab databases; /* the NAME of "ldap:NAME" and the like: NAME_bind_dn is used */
};

/* What main.cf and master.cf refer to. Both stay borrowed until conf_usage_done(). */
void conf_usage_init(struct conf_usage *usage, const struct conf_dict *main,
		     const struct master_cf *services);
void conf_usage_done(struct conf_usage *usage);

enum conf_class { CONF_CLASS_UNUSED, CONF_CLASS_BUILTIN, CONF_CLASS_SERVICE, CONF_CLASS_USER };

/* What a name is that main.cf sets. */
enum conf_class conf_usage_class(const struct conf_usage *usage, struct span name);

/*
 * Warns "unused parameter: name=value", with the nearest known name, of main.cf and, with
 * `with_services`, of -o options in master.cf; and of retired names that have a new one.
 */
void conf_usage_report(const struct conf_usage *usage, bool with_main, bool with_services,
		       struct conf_report *report);

/*
 * Whether a service of this program has per-transport settings of a pattern: delivery agents
 * those of qmgr, pipe and spawn the time limit.
 */
bool conf_pattern_applies(const struct conf_param *pattern, const struct master_service *service);

#endif
