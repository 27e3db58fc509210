/* SPDX-License-Identifier: MIT */
/* smtpd/front/pace.c: how many sessions may begin at once. */

#include "test.h"

#include <stdlib.h>

#include "base/mem.h"
#include "smtpd/front/front.h"

enum { MOST = 1 << 16 };

static struct pace *sessions;
static struct clock_mono now = { 1000000 };

static bool may_begin(void)
{
	struct clock_mono next;

	return pace_allows(now, &next);
}

/* Begins as many as may, a microsecond apart; how many that were. */
static size_t begin_all(void)
{
	size_t count = 0;

	for (; count < MOST && may_begin(); now.us++)
		pace_begin(&sessions[count++], now);
	return count;
}

static void end_all(size_t count)
{
	for (size_t i = 0; i < count; i++)
		pace_end(&sessions[i]);
}

static void test_one_ends(void)
{
	size_t count = begin_all();

	CHECK(count >= 8 && count < MOST);
	pace_end(&sessions[count / 2]);
	CHECK(may_begin());
	pace_begin(&sessions[count / 2], now);
	CHECK(!may_begin());
	end_all(count);
	CHECK_INT(begin_all(), count);
	end_all(count);
}

/* Sessions that go on hold up others for a moment; that they end later changes nothing. */
static void test_not_new_any_more(void)
{
	size_t count = begin_all();
	struct clock_mono next;

	CHECK(!pace_allows(now, &next));
	CHECK(next.us > now.us && next.us <= now.us + 50000);
	now = next;
	CHECK(pace_allows(now, &next));
	CHECK_INT(next.us, now.us);
	pace_begin(&sessions[count], now);
	CHECK(!may_begin());
	now = sessions[count].end;
	CHECK(may_begin());
	end_all(count + 1);
	CHECK_INT(begin_all(), count);
	end_all(count);
}

int main(void)
{
	sessions = mem_array(MOST + 1, sizeof(*sessions));
	pace_prepare();
	TEST(one_ends);
	TEST(not_new_any_more);
	free(sessions);
	return test_end();
}
