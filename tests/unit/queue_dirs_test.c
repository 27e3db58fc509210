/* SPDX-License-Identifier: MIT */
/* Queue directories and logs of outcomes, in a temporary tree; heaps and SipHash that qmgr needs. */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/heap.h"
#include "base/siphash.h"
#include "queue/dirs.h"
#include "queue/outcomes.h"
#include "queue/walk.h"
#include "test.h"

static char root[] = "/tmp/queue_dirs_test.XXXXXX";
static struct queue_dirs dirs;

static void test_make(void)
{
	static const struct {
		const char *name;
		mode_t mode;
	} rows[] = { { "maildrop", 01730 }, { "public", 02710 }, { "incoming", 0700 },
		     { "pid", 0755 },	    { "jail", 0755 },	 { "saved", 0700 } };
	struct buf error = BUF_INIT(1000);

	CHECK(mkdtemp(root) != NULL);
	CHECK(queue_dirs_make(root, getuid(), getgid(), &error));
	CHECK(queue_dirs_make(root, getuid(), getgid(), &error));
	CHECK_STR(buf_str(&error), "");
	CHECK(queue_dirs_open(&dirs, root));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char path[200];
		struct stat st;

		(void)snprintf(path, sizeof(path), "%s/%s", root, rows[i].name);
		CHECK(stat(path, &st) == 0);
		CHECK_INT(st.st_mode & 07777, rows[i].mode);
	}
	CHECK(!queue_dirs_make("/nonexistent", 0, 0, &error));
	buf_done(&error);
}

static void touch_at(int dir_fd, const char *id)
{
	int fd = openat(dir_fd, id, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	CHECK(fd >= 0);
	(void)close(fd);
}

static void touch(enum queue_dir dir, const char *id)
{
	touch_at(queue_dir_fd(&dirs, dir, id), id);
}

static void test_moves(void)
{
	enum queue_dir dir;
	struct queue_walk walk = { 0 };
	char id[QUEUE_ID_MAX];
	int fd;

	touch(QUEUE_INCOMING, "AAAA1111");
	touch(QUEUE_DEFERRED, "BBBB2222");
	fd = queue_open_message(&dirs, "BBBB2222", O_RDONLY, &dir);
	CHECK(fd >= 0);
	CHECK_INT(dir, QUEUE_DEFERRED);
	(void)close(fd);
	CHECK_INT(queue_open_message(&dirs, "CCCC3333", O_RDONLY, &dir), -1);
	CHECK_INT(errno, ENOENT);
	CHECK(queue_move(&dirs, "AAAA1111", QUEUE_INCOMING, QUEUE_DEFERRED));
	touch(QUEUE_INCOMING, "AAAA1111");
	CHECK(!queue_move(&dirs, "AAAA1111", QUEUE_INCOMING, QUEUE_DEFERRED));
	CHECK_INT(errno, EEXIST);
	CHECK(queue_walk_start(&walk, &dirs, QUEUE_DEFERRED));
	CHECK(queue_walk_next(&walk, id));
	CHECK(queue_walk_next(&walk, id));
	CHECK(!queue_walk_next(&walk, id));
	queue_walk_end(&walk);
	CHECK(queue_remove(&dirs, QUEUE_INCOMING, "AAAA1111"));
	CHECK(queue_remove(&dirs, QUEUE_INCOMING, "AAAA1111"));
}

static void name_id(char id[QUEUE_ID_MAX], int number)
{
	(void)snprintf(id, QUEUE_ID_MAX, "0C5CB%011d", number);
}

static int count_walked(enum queue_dir dir)
{
	struct queue_walk walk = { 0 };
	char id[QUEUE_ID_MAX];
	int count = 0;

	CHECK(queue_walk_start(&walk, &dirs, dir));
	while (queue_walk_next(&walk, id))
		count++;
	CHECK_INT(walk.error, 0);
	CHECK(walk.stream == NULL);
	return count;
}

/* Files of incoming are spread over its parts, and a walk goes through all of them. */
static void test_parts(void)
{
	enum { COUNT = 320 };
	int in_part[QUEUE_INCOMING_PARTS] = { 0 };
	char id[QUEUE_ID_MAX];

	for (int i = 0; i < COUNT; i++) {
		name_id(id, i);
		touch(QUEUE_INCOMING, id);
		for (int part = 0; part < QUEUE_INCOMING_PARTS; part++)
			in_part[part] += dirs.incoming[part] == queue_dir_fd(&dirs, QUEUE_INCOMING, id);
	}
	for (int part = 0; part < QUEUE_INCOMING_PARTS; part++)
		CHECK(in_part[part] >= 8 && in_part[part] <= 40);
	CHECK_INT(count_walked(QUEUE_INCOMING), COUNT);
	for (int i = 0; i < COUNT; i++) {
		name_id(id, i);
		CHECK(queue_remove(&dirs, QUEUE_INCOMING, id));
	}
	CHECK_INT(count_walked(QUEUE_INCOMING), 0);
}

static int moved_count;

static void on_moved(const char *id)
{
	CHECK(queue_id_is_valid(span_of(id)));
	moved_count++;
}

/* What lies in incoming itself or in a wrong part is moved, not over another file. */
static void test_sort(void)
{
	struct stat st;
	int wrong;

	touch_at(dirs.fds[QUEUE_INCOMING], "EEEE5555");
	wrong = dirs.incoming[0] == queue_dir_fd(&dirs, QUEUE_INCOMING, "FFFF6666") ?
			dirs.incoming[1] : dirs.incoming[0];
	touch_at(wrong, "FFFF6666");
	touch(QUEUE_INCOMING, "GGGG7777");
	CHECK(!queue_stat(&dirs, QUEUE_INCOMING, "EEEE5555", &st));
	CHECK(queue_sort_incoming(&dirs, on_moved));
	CHECK_INT(moved_count, 2);
	CHECK(queue_stat(&dirs, QUEUE_INCOMING, "EEEE5555", &st));
	CHECK(queue_stat(&dirs, QUEUE_INCOMING, "FFFF6666", &st));
	CHECK_INT(count_walked(QUEUE_INCOMING), 3);
	touch_at(dirs.fds[QUEUE_INCOMING], "EEEE5555");
	CHECK(!queue_sort_incoming(&dirs, on_moved));
	CHECK_INT(errno, EEXIST);
	CHECK_INT(moved_count, 2);
	CHECK(unlinkat(dirs.fds[QUEUE_INCOMING], "EEEE5555", 0) == 0);
	CHECK(queue_remove(&dirs, QUEUE_INCOMING, "EEEE5555"));
	CHECK(queue_remove(&dirs, QUEUE_INCOMING, "FFFF6666"));
	CHECK(queue_remove(&dirs, QUEUE_INCOMING, "GGGG7777"));
}

/* A part is never a link: whoever has the queue's uid could lead root's commands anywhere by it. */
static void test_linked_part(void)
{
	struct buf error = BUF_INIT(1000);
	struct queue_dirs others;

	CHECK(unlinkat(dirs.fds[QUEUE_INCOMING], "3", AT_REMOVEDIR) == 0);
	CHECK(symlinkat("/etc", dirs.fds[QUEUE_INCOMING], "3") == 0);
	CHECK(!queue_dirs_open(&others, root));
	CHECK_INT(errno, ENOTDIR);
	CHECK(!queue_dirs_make(root, getuid(), getgid(), &error));
	CHECK(unlinkat(dirs.fds[QUEUE_INCOMING], "3", 0) == 0);
	buf_reset(&error);
	CHECK(queue_dirs_make(root, getuid(), getgid(), &error));
	CHECK(queue_dirs_open(&others, root));
	queue_dirs_close(&others);
	buf_done(&error);
}

static void append(const char *address, bool is_durable)
{
	struct buf many = BUF_INIT(10000);
	struct msg_outcome outcome = { .address = span_of(address), .status = SPAN("4.4.1"),
				       .reason = SPAN("a reason") };

	CHECK(msg_outcome_encode(&many, &outcome));
	CHECK(queue_outcomes_append(&dirs, QUEUE_DEFER, "DDDD4444", buf_span(&many), is_durable));
	buf_done(&many);
}

static void test_outcomes(void)
{
	struct buf log = BUF_INIT(100000);
	struct msg_outcome outcome;
	struct span rest;
	int fd;

	CHECK(!queue_outcomes_read(&dirs, QUEUE_DEFER, "DDDD4444", &log));
	CHECK_INT(errno, ENOENT);
	append("a@b.test", true);
	/* A torn append leaves bytes that do not count. */
	fd = openat(dirs.fds[QUEUE_DEFER], "DDDD4444", O_WRONLY | O_APPEND | O_CLOEXEC);
	CHECK(write(fd, "torn", 4) == 4);
	append("c@d.test", false);
	CHECK(queue_outcomes_read(&dirs, QUEUE_DEFER, "DDDD4444", &log));
	rest = buf_span(&log);
	CHECK(queue_outcomes_next(&rest, &outcome));
	CHECK_SPAN(outcome.address, "a@b.test");
	CHECK(queue_outcomes_next(&rest, &outcome));
	CHECK_SPAN(outcome.address, "c@d.test");
	CHECK_SPAN(outcome.reason, "a reason");
	CHECK(!queue_outcomes_next(&rest, &outcome));
	/* After a power cut the header can count what is not there: what comes then can be read. */
	CHECK(ftruncate(fd, 16 + 2 * (off_t)(log.length / 2) - 3) == 0);
	append("e@f.test", true);
	buf_reset(&log);
	CHECK(queue_outcomes_read(&dirs, QUEUE_DEFER, "DDDD4444", &log));
	rest = buf_span(&log);
	CHECK(queue_outcomes_next(&rest, &outcome));
	CHECK_SPAN(outcome.address, "a@b.test");
	CHECK(queue_outcomes_next(&rest, &outcome));
	CHECK_SPAN(outcome.address, "e@f.test");
	CHECK(!queue_outcomes_next(&rest, &outcome));
	/* Damage ends the reading. */
	CHECK(pwrite(fd, "x", 1, 30) == 1 || errno != 0);
	(void)close(fd);
	log.data[30] ^= 1;
	rest = buf_span(&log);
	CHECK(!queue_outcomes_next(&rest, &outcome));
	CHECK(!queue_outcomes_append(&dirs, QUEUE_DEFER, "DDDD4444", SPAN("garbage"), false));
	buf_done(&log);
}

struct number {
	struct heap_node node;
	int value;
};

static bool is_less(struct heap_node *a, struct heap_node *b)
{
	return CONTAINER_OF(a, struct number, node)->value <
	       CONTAINER_OF(b, struct number, node)->value;
}

static void test_heap(void)
{
	enum { COUNT = 100 };
	struct number numbers[COUNT] = { 0 };
	struct heap heap;
	int last = -1;

	heap_init(&heap, is_less);
	for (int i = 0; i < COUNT; i++) {
		numbers[i].value = (i * 37) % COUNT;
		heap_put(&heap, &numbers[i].node);
	}
	heap_remove(&heap, &numbers[10].node);
	heap_remove(&heap, &numbers[10].node);
	numbers[20].value = 1000;
	heap_put(&heap, &numbers[20].node);
	for (int i = 0; i < COUNT - 1; i++) {
		struct number *first = CONTAINER_OF(heap_first(&heap), struct number, node);

		CHECK(first->value > last);
		last = first->value;
		heap_remove(&heap, &first->node);
	}
	CHECK_INT(last, 1000);
	CHECK(heap_first(&heap) == NULL);
	heap_done(&heap);
}

/* From the paper's test vector: key 00..0f, data 00..0e. */
static void test_siphash(void)
{
	struct siphash_key key = { UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908) };
	char data[15];

	for (int i = 0; i < 15; i++)
		data[i] = (char)i;
	CHECK(siphash(&key, (struct span){ data, sizeof(data) }) == UINT64_C(0xa129ca6149be45e5));
}

int main(void)
{
	char command[100];

	TEST(make);
	TEST(moves);
	TEST(parts);
	TEST(sort);
	TEST(linked_part);
	TEST(outcomes);
	TEST(heap);
	TEST(siphash);
	(void)snprintf(command, sizeof(command), "rm -rf %s", root);
	return system(command) != 0 || test_end();
}
