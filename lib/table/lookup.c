/* SPDX-License-Identifier: MIT */
/* Answers of tables behind the proxy, and what is still unknown; see lookup.h. */

#include "table/lookup.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "table/backend.h"

enum { NEED_MAX = 64 * 1024 };

struct lookup_answer {
	enum table_status status;
	size_t size;
	char text[];
};

void lookup_init(struct lookup *lookup, bool is_async)
{
	*lookup = (struct lookup){ .is_async = is_async };
	buf_init(&lookup->need.table, NEED_MAX);
	buf_init(&lookup->need.key, NEED_MAX);
	buf_init(&lookup->scratch, 2 * NEED_MAX + 1);
}

void lookup_done(struct lookup *lookup)
{
	htab_done(&lookup->memo, free);
	buf_done(&lookup->need.table);
	buf_done(&lookup->need.key);
	buf_done(&lookup->scratch);
}

void lookup_reset(struct lookup *lookup)
{
	if (lookup->memo.count > 0)
		htab_done(&lookup->memo, free);
}

static struct span memo_key(struct lookup *lookup, const char *table, struct span key)
{
	buf_reset(&lookup->scratch);
	buf_append(&lookup->scratch, table, strlen(table) + 1);
	buf_add(&lookup->scratch, key);
	return buf_span(&lookup->scratch);
}

void lookup_memo_set(struct lookup *lookup, const char *table, struct span key,
		     enum table_status status, struct span text)
{
	struct lookup_answer *answer = mem_alloc(sizeof(*answer) + text.n + 1);

	answer->status = status;
	answer->size = text.n;
	if (text.n > 0)
		memcpy(answer->text, text.p, text.n);
	free(htab_put(&lookup->memo, memo_key(lookup, table, key), answer));
}

static enum table_status ask_proxy(const char *table, unsigned flags, struct span key,
				   struct buf *value, struct buf *error, struct span *ret_text)
{
	const struct table_proxy *proxy = table_proxy();
	enum table_status status = TABLE_ERROR;

	buf_reset(value);
	buf_reset(error);
	if (proxy == NULL || proxy->lookup == NULL)
		buf_printf(error, "%s: no proxymap service for this table", table);
	else
		status = proxy->lookup(table, flags, key, value, error);
	*ret_text = buf_span(status == TABLE_ERROR ? error : value);
	return status;
}

enum table_status lookup_remote(struct lookup *lookup, const char *table, unsigned flags,
				struct span key, struct buf *value, struct buf *error,
				struct span *ret_text)
{
	if (lookup == NULL)
		return ask_proxy(table, flags, key, value, error, ret_text);

	struct lookup_answer *answer = htab_get(&lookup->memo, memo_key(lookup, table, key));

	if (answer == NULL && lookup->is_async) {
		buf_set(&lookup->need.table, span_of(table));
		buf_set(&lookup->need.key, key);
		lookup->need.flags = flags;
		return TABLE_PENDING;
	}
	if (answer == NULL) {
		enum table_status status = ask_proxy(table, flags, key, value, error, ret_text);

		lookup_memo_set(lookup, table, key, status, *ret_text);
		answer = htab_get(&lookup->memo, memo_key(lookup, table, key));
	}
	*ret_text = (struct span){ answer->text, answer->size };
	return answer->status;
}
