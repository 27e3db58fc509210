/* SPDX-License-Identifier: MIT */
/*
 * The types that need a few lines each: static (always its own name), fail (always an error),
 * environ (the process environment) and randmap (one of several results, by chance).
 * DATABASE_README.
 */

#include <stdlib.h>
#include <sys/random.h>

#include "base/words.h"
#include "table/backend.h"

static bool any_name(struct table *table UNUSED, struct buf *ret_error UNUSED)
{
	return true;
}

static bool static_open(struct table *table, struct buf *ret_error)
{
	struct span text = span_of(table->rest);
	const char *reason;

	if (text.p[0] == '{' && !words_unbrace(text, &text, &reason)) {
		buf_printf(ret_error, "bad static:name syntax: %s in \"%s\"", reason, table->rest);
		return false;
	}
	return buf_set(&table->value, text);
}

static enum table_status static_lookup(struct table *table, struct lookup *lookup UNUSED,
				       struct span key UNUSED, struct span *ret_value)
{
	*ret_value = span_of(buf_str(&table->value));
	return TABLE_FOUND;
}

static enum table_status fail_lookup(struct table *table, struct lookup *lookup UNUSED,
				     struct span key UNUSED, struct span *ret_value UNUSED)
{
	return table_fail(table, "table %s: query error: Application error", table->name);
}

static enum table_put fail_put(struct table *table, struct span key UNUSED,
			       struct span value UNUSED)
{
	(void)table_fail(table, "table %s: update error: Application error", table->name);
	return TABLE_PUT_FAILED;
}

static enum table_status fail_remove(struct table *table, struct span key UNUSED)
{
	return table_fail(table, "table %s: delete error: Application error", table->name);
}

static enum table_status fail_next(struct table *table, bool is_first UNUSED,
				   struct span *ret_key UNUSED, struct span *ret_value UNUSED)
{
	return table_fail(table, "table %s: sequence error: Application error", table->name);
}

static enum table_status environ_lookup(struct table *table UNUSED, struct lookup *lookup UNUSED,
					struct span key, struct span *ret_value)
{
	const char *value = getenv(key.p);

	if (value == NULL)
		return TABLE_NOT_FOUND;
	*ret_value = span_of(value);
	return TABLE_FOUND;
}

static size_t count_words(struct span words)
{
	size_t count = 0;

	while (words_next(&words, WORDS_BLANK_OR_COMMA).n > 0)
		count++;
	return count;
}

/* randmap keeps only its name: the choice is made over the words in the braces. */
static bool rand_words(const struct table *table, struct span *ret_words)
{
	const char *reason;

	return words_unbrace(span_of(table->rest), ret_words, &reason) && count_words(*ret_words) > 0;
}

static bool rand_open(struct table *table, struct buf *ret_error)
{
	struct span words;

	if (rand_words(table, &words))
		return true;
	buf_printf(ret_error, "bad syntax: \"%s\"; need \"randmap:{value...}\"", table->name);
	return false;
}

static enum table_status rand_lookup(struct table *table, struct lookup *lookup UNUSED,
				     struct span key UNUSED, struct span *ret_value)
{
	struct span words, word = { NULL, 0 };
	uint32_t chance = 0;

	(void)rand_words(table, &words);
	if (getrandom(&chance, sizeof(chance), 0) != sizeof(chance))
		return table_fail(table, "table %s: no random numbers", table->name);
	for (size_t skip = chance % count_words(words) + 1; skip > 0; skip--)
		word = words_next(&words, WORDS_BLANK_OR_COMMA);
	buf_set(&table->value, word);
	*ret_value = buf_span(&table->value);
	return TABLE_FOUND;
}

static const struct table_ops static_ops = { .open = static_open, .lookup = static_lookup };
static const struct table_ops environ_ops = { .open = any_name, .lookup = environ_lookup };
static const struct table_ops rand_ops = { .open = rand_open, .lookup = rand_lookup };
static const struct table_ops fail_ops = {
	.open = any_name,
	.lookup = fail_lookup,
	.put = fail_put,
	.remove = fail_remove,
	.next = fail_next,
};

const struct table_type table_type_static = { "static", CAN_JAIL, sizeof(struct table),
					      &static_ops };
const struct table_type table_type_environ = { "environ", CAN_JAIL, sizeof(struct table),
					       &environ_ops };
const struct table_type table_type_rand = { "randmap", CAN_JAIL | IS_PATTERN,
					    sizeof(struct table), &rand_ops };
const struct table_type table_type_fail = { "fail", CAN_JAIL | CAN_CREATE | CAN_WRITE | IS_PATTERN,
					    sizeof(struct table), &fail_ops };
