/* SPDX-License-Identifier: MIT */
#ifndef TABLE_RULES_H
#define TABLE_RULES_H

/*
 * What regexp:, pcre: and cidr: tables share: a list of rules with "!", if and endif, tried in
 * order until one answers. A type brings the functions of struct rules_ops. A malformed rule
 * is warned about and left out; the rest of the file is used.
 */

#include "base/mem.h"
#include "table/backend.h"
#include "table/subst.h"

struct rule {
	void *pattern; /* the type's, freed by its `free` */
	bool is_if;
	bool is_negated;
	unsigned line;
	size_t end; /* of an if: the index of the rule behind its endif */
	struct subst result;
};

struct rules_table {
	struct table base;
	struct rule *rules;
	size_t count;
	struct arena arena; /* results and patterns, until the table is closed */
	struct span *groups; /* of the last match; as many as any rule needs */
	size_t group_count;
	void *scratch; /* the type's, freed by its `close` */
};

enum rule_match {
	RULE_MISS,
	RULE_HIT,
	RULE_UNKNOWN, /* finding out would cost too much; table_fail() has been told why */
};

struct rules_ops {
	/*
	 * Takes the pattern off the front of *rest and compiles it. NULL after a reason in
	 * *ret_error. *ret_groups is how many groups a result may refer to.
	 */
	void *(*compile)(struct rules_table *table, struct span *rest, struct buf *ret_error,
			 size_t *ret_groups);
	/* Whether the key matches; if so fills table->groups up to `group_count` of them. */
	enum rule_match (*match)(struct rules_table *table, const struct rule *rule,
				 struct span key, size_t group_count);
	void (*free)(void *pattern); /* NULL: nothing to free */
	/* Once after all rules, and at the end. NULL: nothing to do. */
	void (*ready)(struct rules_table *table);
	void (*close)(struct rules_table *table);
	/* Whether `rest` starts with a pattern at all (cidr: always). */
	bool (*is_pattern)(struct span rest);
	bool has_subst; /* whether "$" means something in results */
	bool may_be_empty; /* whether a rule may have no result */
};

bool rules_open(struct table *table, struct buf *ret_error);
bool rules_load(struct table *table, const struct rules_ops *ops);
enum table_status rules_lookup(struct table *table, const struct rules_ops *ops, struct span key,
			       struct span *ret_value);
void rules_close(struct table *table, const struct rules_ops *ops);

/*
 * Splits "/pattern/flags rest": the delimiter is the first byte. *ret_pattern is as written,
 * *ret_flags the letters behind it. False with a reason.
 */
bool rules_split_regexp(struct span *rest, struct span *ret_pattern, struct span *ret_flags,
			struct buf *ret_error);
bool rules_is_regexp(struct span rest);

#endif
