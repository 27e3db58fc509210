/* SPDX-License-Identifier: MIT */
/* services/policyfetch/sts_cache.h: files of MTA-STS policies, how many there are, and locks. */

#include "test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proc/service.h"
#include "services/policyfetch/locks.h"
#include "services/policyfetch/sts_cache.h"

#define TEXT "version: STSv1\nmode: enforce\nmx: a.test\nmax_age: 86400\n"

static int directory;
static int64_t now_s;

int service_own_directory(const char *name)
{
	(void)name;
	return directory;
}

static void put(const char *domain, const char *text, int64_t until_s)
{
	struct msg_sts_entry entry = { .domain = span_of(domain), .id = SPAN("1"),
				       .fetched_s = now_s, .text = span_of(text) };

	sts_cache_put(&entry, until_s);
}

static bool has(const char *domain)
{
	struct buf wire = BUF_INIT(STS_ENTRY_MAX);
	struct msg_sts_entry entry;
	bool is_there = sts_cache_get(span_of(domain), &wire, &entry);

	if (is_there)
		CHECK_SPAN(entry.domain, domain);
	buf_done(&wire);
	return is_there;
}

static void test_files(void)
{
	struct stat st;

	CHECK(!has("a.test"));
	put("a.test", TEXT, now_s + 100);
	CHECK(has("a.test"));
	CHECK(fstatat(directory, "a.test", &st, 0) == 0 && (st.st_mode & 0777) == 0600);
	CHECK_INT(st.st_mtim.tv_sec, now_s + 100);
	put("a.test", "", now_s + 200);
	CHECK(has("a.test"));
	/* Neither a policy that is none nor one of somebody else is believed. */
	put("a.test", "version: STSv2\n", now_s + 200);
	CHECK(!has("a.test"));
	put("b.test", TEXT, now_s + 200);
	CHECK(renameat(directory, "b.test", directory, "c.test") == 0);
	CHECK(!has("c.test"));
	CHECK(!has("b.test"));
	CHECK(symlinkat("a.test", directory, "d.test") == 0);
	CHECK(!has("d.test"));
	CHECK(unlinkat(directory, "d.test", 0) == 0);
}

/* Whether it is believed when it comes back from the disk. */
static bool is_believed(struct msg_sts_entry entry)
{
	struct buf wire = BUF_INIT(STS_ENTRY_MAX);
	struct msg_sts_entry read;
	bool is_good;

	entry.domain = SPAN("a.test");
	CHECK(msg_sts_entry_encode(&wire, &entry));
	is_good = sts_entry_read(buf_span(&wire), SPAN("a.test"), &read);
	buf_done(&wire);
	return is_good;
}

/* Ages are added to the times of an entry; what else it says goes to other programs. */
static void test_damage(void)
{
	struct msg_sts_entry good = { .id = SPAN("1"), .fetched_s = 1, .text = SPAN(TEXT),
				      .failed_id = SPAN("2"), .failed_s = 1, .failure = 1 };
	struct msg_sts_entry entry = good;

	CHECK(is_believed(good));
	entry.fetched_s = STS_ENTRY_TIME_MAX_S;
	CHECK(is_believed(entry));
	entry.fetched_s++;
	CHECK(!is_believed(entry));
	entry = good;
	entry.failed_s = INT64_MAX;
	CHECK(!is_believed(entry));
	entry.failed_s = -1;
	CHECK(!is_believed(entry));
	entry = good;
	entry.id = SPAN("1\n2");
	CHECK(!is_believed(entry));
	entry.id = SPAN("");
	CHECK(!is_believed(entry));
	entry = good;
	entry.failed_id = SPAN("2;");
	CHECK(!is_believed(entry));
	entry = good;
	entry.failure = 6;
	CHECK(!is_believed(entry));
}

static void test_next_try(void)
{
	static const struct {
		uint32_t failures;
		int64_t minutes;
	} cases[] = { { 0, 5 },  { 1, 5 },  { 2, 10 }, { 3, 20 },
		      { 4, 40 }, { 5, 60 }, { 6, 60 }, { UINT32_MAX, 60 } };
	struct msg_sts_entry entry = { .failed_s = 1000 };

	CHECK_INT(sts_entry_next_try(&entry), 0);
	entry.failed_id = SPAN("1");
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		entry.failures = cases[i].failures;
		CHECK_INT(sts_entry_next_try(&entry), 1000 + cases[i].minutes * 60);
	}
}

static void make_file(const char *name, int64_t until_s)
{
	const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = until_s } };
	int fd = openat(directory, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	CHECK(fd >= 0 && futimens(fd, times) == 0);
	(void)close(fd);
}

static bool is_there(const char *name)
{
	return faccessat(directory, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* What is of no use any more goes at the start; what expires next, when there is too much. */
static void test_bound(void)
{
	char name[64];

	/* a.test and c.test are there. */

	for (int i = 0; i < STS_CACHE_MAX - 2; i++) {
		(void)snprintf(name, sizeof(name), "d%d.test", i);
		make_file(name, now_s + 1000 + i);
	}
	make_file("old.test", now_s - 10);
	sts_cache_start();
	CHECK(!is_there("old.test") && is_there("d0.test"));
	put("new.test", TEXT, now_s + 5000000);
	CHECK(has("new.test"));
	CHECK(!is_there("d0.test") && !is_there("d4000.test"));
	CHECK(is_there("d5100.test") && is_there("d49990.test"));
}

/* Another process does not get in meanwhile. */
static void test_locks(void)
{
	pid_t child;
	int status;

	CHECK(lock_take(SPAN("a.test"), clock_in_ms(0)));
	child = fork();
	if (child == 0)
		_exit((lock_take(SPAN("a.test"), clock_in_ms(50)) ? 1 : 0) +
		      (lock_take(SPAN("b.test"), clock_in_ms(50)) ? 0 : 2));
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	lock_drop(SPAN("a.test"));
	child = fork();
	if (child == 0)
		_exit(lock_take(SPAN("a.test"), clock_in_ms(50)) ? 0 : 1);
	CHECK(waitpid(child, &status, 0) == child && status == 0);
}

int main(void)
{
	char path[] = "/tmp/sts_cache_test.XXXXXX", *command = NULL;
	int rc;

	if (mkdtemp(path) == NULL || (directory = open(path, O_RDONLY | O_DIRECTORY)) < 0)
		return 2;
	now_s = clock_wall_now().us / 1000000;
	sts_cache_open();
	sts_cache_start();
	TEST(files);
	TEST(damage);
	TEST(next_try);
	TEST(locks);
	TEST(bound);
	if (asprintf(&command, "rm -rf %s", path) < 0 || system(command) != 0)
		return 2;
	free(command);
	rc = test_end();
	return rc;
}
