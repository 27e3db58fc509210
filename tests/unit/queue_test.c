/* SPDX-License-Identifier: MIT */
/* lib/queue: what is written is read back; damage is seen; ids. */

#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "queue/file.h"
#include "queue/id.h"

static int temporary_dir(void)
{
	char path[] = "/tmp/queue_test.XXXXXX";

	return mkdtemp(path) != NULL ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
}

static void write_message(int dir, const char *name, size_t body_bytes)
{
	struct queue_writer writer = { .fd = -1 };
	struct msg_envelope envelope = { .sender = SPAN("s@client.test") };
	struct msg_rcpt one = { .address = SPAN("a@example.test"), .notify = 3 };
	struct msg_rcpt two = { .address = SPAN("b@example.test") };

	CHECK(queue_write_open(&writer, dir, name));
	for (size_t i = 0; i < body_bytes; i += 10)
		queue_write_body(&writer, SPAN("12345678\r\n"));
	queue_write_head(&writer, SPAN("Subject: x\r\n"));
	queue_write_envelope(&writer, &envelope);
	queue_write_rcpt(&writer, &one);
	queue_write_rcpt(&writer, &two);
	CHECK_INT(queue_write_commit(&writer), 0);
	buf_done(&writer.pending);
}

static void check_message(int dir, const char *name, size_t body_bytes)
{
	struct queue_file file;
	struct msg_envelope envelope;
	struct msg_rcpt rcpt;
	enum rcpt_status status;
	struct buf head = BUF_INIT(1000);
	struct queue_body body;
	struct span block;
	size_t at = 0, seen = 0;
	enum body_status got;

	CHECK_INT(queue_read_open(&file, openat(dir, name, O_RDWR | O_CLOEXEC)), QUEUE_GOOD);
	CHECK_INT(file.header.rcpt_count, 2);
	CHECK(queue_read_envelope(&file, &envelope));
	CHECK_SPAN(envelope.sender, "s@client.test");
	CHECK(queue_read_rcpt(&file, &at, &status, &rcpt));
	CHECK_SPAN(rcpt.address, "a@example.test");
	CHECK_INT(rcpt.notify, 3);
	CHECK_INT(status, RCPT_TODO);
	CHECK(queue_mark_rcpt(file.fd, rcpt.offset));
	CHECK(queue_read_rcpt(&file, &at, &status, &rcpt));
	CHECK_SPAN(rcpt.address, "b@example.test");
	CHECK(!queue_read_rcpt(&file, &at, &status, &rcpt));
	CHECK(queue_read_head(file.fd, &file.header, &head));
	CHECK_STR(buf_str(&head), "Subject: x\r\n");
	queue_body_start(&body, file.fd, &file.header);
	while ((got = queue_body_next(&body, &block)) == BODY_BLOCK)
		seen += block.n;
	CHECK_INT(got, BODY_END);
	CHECK_INT(seen, body_bytes);
	queue_body_done(&body);
	queue_read_close(&file);
	buf_done(&head);

	/* The mark does not upset the CRC, and is seen. */
	CHECK_INT(queue_read_open(&file, openat(dir, name, O_RDWR | O_CLOEXEC)), QUEUE_GOOD);
	at = 0;
	CHECK(queue_read_rcpt(&file, &at, &status, &rcpt));
	CHECK_INT(status, RCPT_DONE);
	queue_read_close(&file);
}

static void test_round_trip(void)
{
	static const size_t sizes[] = { 0, 10, 5000, 262140, 262150, 1000000 };
	int dir = temporary_dir();

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		write_message(dir, "A1B2C3D4", sizes[i]);
		check_message(dir, "A1B2C3D4", (sizes[i] + 9) / 10 * 10);
		CHECK_INT(unlinkat(dir, "A1B2C3D4", 0), 0);
	}
	(void)close(dir);
}

/* Every byte before the mutable part and behind it counts, the status bytes aside. */
static void test_damage(void)
{
	int dir = temporary_dir();
	struct queue_header header;
	unsigned char byte;

	write_message(dir, "A1B2C3D4", 100);

	int fd = openat(dir, "A1B2C3D4", O_RDWR | O_CLOEXEC);

	CHECK_INT(queue_read_header(fd, &header), QUEUE_GOOD);
	for (off_t at = 0; at < 100; at++) {
		CHECK_INT(pread(fd, &byte, 1, at), 1);
		byte ^= 1;
		CHECK_INT(pwrite(fd, &byte, 1, at), 1);
		CHECK(queue_read_header(fd, &header) == QUEUE_DAMAGED);
		byte ^= 1;
		CHECK_INT(pwrite(fd, &byte, 1, at), 1);
	}

	struct queue_file file;
	off_t end = (off_t)(header.envelope.offset + header.envelope.size);

	for (off_t at = (off_t)header.envelope.offset; at < end; at += 7) {
		CHECK_INT(pread(fd, &byte, 1, at), 1);
		byte ^= 0x10;
		CHECK_INT(pwrite(fd, &byte, 1, at), 1);
		CHECK_INT(queue_read_open(&file, dup(fd)), QUEUE_DAMAGED);
		byte ^= 0x10;
		CHECK_INT(pwrite(fd, &byte, 1, at), 1);
	}
	CHECK_INT(ftruncate(fd, end - 1), 0);
	CHECK_INT(queue_read_header(fd, &header), QUEUE_DAMAGED);
	CHECK_INT(ftruncate(fd, 100), 0);
	CHECK_INT(queue_read_header(fd, &header), QUEUE_UNFINISHED);
	(void)close(fd);
	(void)unlinkat(dir, "A1B2C3D4", 0);
	(void)close(dir);
}

static void test_abort_removes(void)
{
	int dir = temporary_dir();
	struct queue_writer writer = { .fd = -1 };

	CHECK(queue_write_open(&writer, dir, "A1B2C3D4"));
	queue_write_body(&writer, SPAN("half"));

	struct queue_writer second = { .fd = -1 };

	CHECK(!queue_write_open(&second, dir, "A1B2C3D4") && errno == EEXIST);
	queue_write_abort(&writer);
	CHECK(faccessat(dir, "A1B2C3D4", F_OK, 0) < 0);
	buf_done(&writer.pending);
	(void)close(dir);
}

static void test_notes(void)
{
	int dir = temporary_dir();
	struct queue_notes notes = { .warning_sent = true, .attempts = 77 };

	write_message(dir, "A1B2C3D4", 10);

	int fd = openat(dir, "A1B2C3D4", O_RDWR | O_CLOEXEC);

	CHECK(queue_write_notes(fd, &notes));
	notes = (struct queue_notes){ 0 };
	CHECK(queue_read_notes(fd, &notes));
	CHECK(notes.warning_sent && !notes.is_expired && notes.attempts == 77);
	(void)close(fd);
	check_message(dir, "A1B2C3D4", 10);
	(void)unlinkat(dir, "A1B2C3D4", 0);
	(void)close(dir);
}

static void test_ids(void)
{
	char id[QUEUE_ID_MAX], next[QUEUE_ID_MAX];
	struct clock_wall now = { 1795300000123456 };

	queue_id_make(id, false, now, 0xabc);
	CHECK_INT(strlen(id), 16);
	CHECK(queue_id_is_valid(span_of(id)));
	CHECK_INT(strspn(id, "0123456789ABCDEF"), 16);
	queue_id_make(id, true, now, 5);
	CHECK(id[10] == 'z' && strlen(id) == 15);
	now.us++;
	queue_id_make(next, true, now, 0);
	CHECK(strcmp(id, next) < 0);
	CHECK(!queue_id_is_valid(SPAN("../../x")));
	CHECK(!queue_id_is_valid(SPAN("ABC")));
}

static void test_crc(void)
{
	CHECK_INT(crc32c(0, "123456789", 9), 0xe3069283u);
	CHECK_INT(crc32c(crc32c(0, "1234", 4), "56789", 5), 0xe3069283u);
}

int main(void)
{
	TEST(round_trip);
	TEST(damage);
	TEST(abort_removes);
	TEST(notes);
	TEST(ids);
	TEST(crc);
	return test_end();
}
