/* SPDX-License-Identifier: MIT */
/*
 * Results of probes, by address, in the form of record.h: in address_verify_map, or in memory when there
 * is no table.
 */

#include "services/verify/verify.h"

#include <stdlib.h>
#include <string.h>

#include "base/htab.h"
#include "base/log.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "table/table.h"

enum { MEMORY_RECORDS = 100000, CLEAN_BATCH = 1000 };

static struct table *table; /* NULL: memory */
static struct htab memory;  /* of texts */
static struct event_timer clean_timer;

static int64_t now_s(void)
{
	return clock_wall_now().us / 1000000;
}

/* ---- age ---- */

static bool is_older(const struct record *record, seconds good, seconds bad)
{
	return now_s() - record->updated_s > (record->state == VERIFY_OK ? good : bad);
}

static bool is_expired(const struct record *record)
{
	return is_older(record, conf->address_verify_positive_expire_time,
			conf->address_verify_negative_expire_time);
}

bool cache_is_stale(const struct record *record)
{
	return is_older(record, conf->address_verify_positive_refresh_time,
			conf->address_verify_negative_refresh_time);
}

/* ---- the table ---- */

static void complain(void)
{
	log_warn("address_verify_map: %s", table_error(table));
}

bool cache_get(struct span address, struct record *ret)
{
	struct span value;

	if (table == NULL) {
		const char *text = htab_get(&memory, address);

		return text != NULL && record_parse(span_of(text), ret) && !is_expired(ret);
	}
	switch (table_lookup(table, NULL, address, &value)) {
	case TABLE_FOUND: return record_parse(value, ret) && !is_expired(ret);
	case TABLE_ERROR: complain(); return false;
	case TABLE_NOT_FOUND:
	case TABLE_PENDING: return false;
	}
	return false;
}

void cache_put(struct span address, const struct record *record)
{
	char *text = record_format(record);

	if (table == NULL) {
		/* Starting over is as good as choosing: what is asked for again comes back. */
		if (memory.count >= MEMORY_RECORDS)
			htab_done(&memory, free);
		free(htab_put(&memory, address, text));
		return;
	}
	if (table_put(table, address, span_of(text)) == TABLE_PUT_FAILED || !table_commit(table))
		complain();
	free(text);
}

void cache_remove(struct span address)
{
	if (table == NULL)
		free(htab_remove(&memory, address));
	else if (table_delete(table, address) == TABLE_ERROR || !table_commit(table))
		complain();
}

/* ---- cleaning ---- */

/* Removes some of what does not count any more; true when there may be more of it. */
static bool clean_batch(void)
{
	char *old[CLEAN_BATCH];
	size_t count = 0;
	struct record record;
	struct span key, value;
	bool is_first = true;

	while (count < CLEAN_BATCH && table_next(table, is_first, &key, &value) == TABLE_FOUND) {
		is_first = false;
		if (!record_parse(value, &record) || is_expired(&record))
			old[count++] = mem_dup(key);
	}
	for (size_t i = 0; i < count; i++) {
		(void)!table_delete(table, span_of(old[i]));
		free(old[i]);
	}
	if (count > 0 && !table_commit(table))
		complain();
	return count == CLEAN_BATCH;
}

static void on_clean_time(struct event_timer *timer)
{
	bool has_more = clean_batch();
	int64_t interval_ms = (int64_t)conf->address_verify_cache_cleanup_interval * 1000;

	event_at(timer, clock_in_ms(has_more ? 0 : interval_ms), on_clean_time);
}

void cache_open(void)
{
	struct buf error = BUF_INIT(1000);

	if (*conf->address_verify_map == '\0')
		return;
	table = table_open(conf->address_verify_map, TABLE_WRITE | TABLE_REPLACE, &error);
	if (table == NULL)
		log_warn("address_verify_map: %s: results are kept in memory", buf_str(&error));
	else if (conf->address_verify_cache_cleanup_interval > 0 &&
		 strncmp(conf->address_verify_map, "proxy:", 6) != 0)
		event_at(&clean_timer,
			 clock_in_ms((int64_t)conf->address_verify_cache_cleanup_interval * 1000),
			 on_clean_time);
	buf_done(&error);
}
