/* SPDX-License-Identifier: MIT */
/* lib/base: spans, buffers, the hash table, log lines. */

#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/htab.h"
#include "base/log.h"
#include "base/mem.h"

static void test_span_words(void)
{
	struct span rest = SPAN("  one,two  three ");

	CHECK_SPAN(span_word(&rest, " ,"), "one");
	CHECK_SPAN(span_word(&rest, " ,"), "two");
	CHECK_SPAN(span_word(&rest, " ,"), "three");
	CHECK_INT(span_word(&rest, " ,").n, 0);
}

static void test_span_lines(void)
{
	struct span rest = SPAN("a\r\n\nlast"), line;

	CHECK(span_line(&rest, &line));
	CHECK_SPAN(line, "a");
	CHECK(span_line(&rest, &line));
	CHECK_SPAN(line, "");
	CHECK(span_line(&rest, &line));
	CHECK_SPAN(line, "last");
	CHECK(!span_line(&rest, &line));
}

static void test_span_numbers(void)
{
	uint64_t value = 7;

	CHECK(span_u64(SPAN("18446744073709551615"), UINT64_MAX, &value) && value == UINT64_MAX);
	CHECK(!span_u64(SPAN("18446744073709551616"), UINT64_MAX, &value));
	CHECK(!span_u64(SPAN("11"), 10, &value));
	CHECK(!span_u64(SPAN(""), 10, &value));
	CHECK(!span_u64(SPAN("-1"), 10, &value));
	CHECK(!span_u64(SPAN("+1"), 10, &value));
	CHECK(!span_u64(SPAN("1 "), 10, &value));
}

static void test_buf_limit(void)
{
	struct buf buf;

	buf_init(&buf, 5);
	CHECK(buf_text(&buf, "abc"));
	CHECK(!buf_text(&buf, "def"));
	CHECK(buf_is_over(&buf));
	CHECK_STR(buf_str(&buf), "abc");
	CHECK(buf_text(&buf, "de"));
	CHECK_STR(buf_str(&buf), "abcde");
	buf_consume(&buf, 2);
	CHECK_STR(buf_str(&buf), "cde");
	buf_reset(&buf);
	CHECK(!buf_is_over(&buf));
	CHECK(buf_printf(&buf, "%d", 12345));
	CHECK(!buf_printf(&buf, "%d", 6));
	buf_done(&buf);
}

static void test_buf_read(void)
{
	struct buf small = BUF_INIT(1000), large = BUF_INIT(200 * 1024), exact = BUF_INIT(100 * 1024);
	FILE *file = tmpfile();

	for (int i = 0; i < 100 * 1024; i++)
		(void)fputc('a' + i % 26, file);
	rewind(file);
	CHECK(!buf_read(&small, fileno(file)) && errno == EFBIG);
	CHECK(small.length == 1000 && buf_is_over(&small));
	rewind(file);
	CHECK(buf_text(&large, "x") && buf_read(&large, fileno(file)));
	CHECK(large.length == 100 * 1024 + 1 && buf_str(&large)[26] == 'z');
	CHECK(buf_read(&large, fileno(file)) && large.length == 100 * 1024 + 1);
	CHECK(!buf_read(&large, -1) && errno == EBADF);
	rewind(file);
	CHECK(buf_read(&exact, fileno(file)) && exact.length == 100 * 1024);
	buf_done(&exact);
	(void)fclose(file);
	buf_done(&small);
	buf_done(&large);
}

static void test_htab(void)
{
	struct htab table = { 0 };
	int values[1000];
	char key[16];
	int seen = 0;

	for (int i = 0; i < 1000; i++) {
		(void)snprintf(key, sizeof(key), "k%d", i);
		CHECK(htab_put(&table, span_of(key), &values[i]) == NULL);
	}
	CHECK_INT(table.count, 1000);
	CHECK(htab_get(&table, SPAN("k500")) == &values[500]);
	CHECK(htab_get(&table, SPAN("nosuch")) == NULL);

	struct htab_slot *cursor = NULL;
	struct span name;
	void *value;

	while (htab_next(&table, &cursor, &name, &value)) {
		seen++;
		CHECK(htab_remove(&table, name) == value);
	}
	CHECK_INT(seen, 1000);
	CHECK_INT(table.count, 0);
	htab_done(&table, NULL);
}

static void test_log_clean(void)
{
	CHECK_STR(log_clean(SPAN("a\x1b[1m\nb\xff")), "a?[1m?b?");
	CHECK_STR(log_clean(SPAN("gr\xc3\xbc\xc3\x9f")), "gr\xc3\xbc\xc3\x9f");
	CHECK_STR(log_clean(SPAN("\xc0\xaf\xed\xa0\x80")), "?????");
}

static void copy_without_memory(enum log_severity severity, const char *tag, const char *text)
{
	(void)severity;
	fatal("no memory to pass on %s: %s", tag, text);
}

/* Whoever reads along and cannot is the end of the process, not of its stack. */
static void test_fatal_in_copy(void)
{
	int status = 0;
	pid_t child = fork();

	if (child == 0) {
		int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

		log_open("test", null);
		log_copy_to(copy_without_memory);
		fatal("no memory");
	}
	CHECK(child > 0 && waitpid(child, &status, 0) == child);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 1);
}

static void test_arena(void)
{
	struct arena arena = { 0 };

	for (int i = 0; i < 3; i++) {
		for (size_t size = 1; size < 20000; size *= 3) {
			char *memory = arena_alloc(&arena, size);

			CHECK(memory[0] == 0 && memory[size - 1] == 0);
			memset(memory, 0xff, size);
		}
		arena_reset(&arena);
	}
	CHECK_STR(arena_printf(&arena, "%s-%d", "x", 5), "x-5");
	arena_done(&arena);
}

int main(void)
{
	TEST(span_words);
	TEST(span_lines);
	TEST(span_numbers);
	TEST(buf_limit);
	TEST(buf_read);
	TEST(htab);
	TEST(log_clean);
	TEST(fatal_in_copy);
	TEST(arena);
	return test_end();
}
