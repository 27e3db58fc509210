/* SPDX-License-Identifier: MIT */
/* lib/queue/maildrop: what is written is read back; everything else is damaged. */

#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "queue/maildrop.h"

static void put(struct buf *records, const struct ipc_desc *desc, const void *message)
{
	CHECK(ipc_encode(records, desc, message));
}

/* The records of a good message; `mask` leaves some out. */
enum { WITH_ENVELOPE = 1, WITH_RCPTS = 2, WITH_DATA = 4, WITH_LAST = 8, WITH_ALL = 15 };

static void make_records(struct buf *records, unsigned mask)
{
	struct msg_envelope envelope = { .sender = SPAN("alice"), .login_uid = 7 };
	struct msg_rcpt one = { .address = SPAN("bob") }, two = { .address = SPAN("carol") };
	struct msg_submit_data data = { .bytes = SPAN("Subject: x\r\n\r\n") };
	struct msg_submit_data last = { .bytes = SPAN("body\r\n"), .is_last = true };

	if ((mask & WITH_ENVELOPE) != 0)
		put(records, msg_envelope_desc(), &envelope);
	if ((mask & WITH_RCPTS) != 0) {
		put(records, msg_rcpt_desc(), &one);
		put(records, msg_rcpt_desc(), &two);
	}
	if ((mask & WITH_DATA) != 0)
		put(records, msg_submit_data_desc(), &data);
	if ((mask & WITH_LAST) != 0)
		put(records, msg_submit_data_desc(), &last);
}

static int memory_file(struct span bytes)
{
	int fd = memfd_create("maildrop_test", MFD_CLOEXEC);

	CHECK(fd >= 0 && write(fd, bytes.p, bytes.n) == (ssize_t)bytes.n &&
	      lseek(fd, 0, SEEK_SET) == 0);
	return fd;
}

/* Letters of the items that are read: e r d, then E for the end, X damaged. */
static const char *read_items(int fd, bool is_file)
{
	static const char letters[] = "erdEXI";
	static char items[64];
	struct maildrop_reader reader;
	enum maildrop_item item;
	size_t count = 0;

	maildrop_read_start(&reader, fd, is_file);
	do {
		item = maildrop_next(&reader);
		items[count++] = letters[item];
	} while (item <= MAILDROP_DATA && count < sizeof(items) - 1);
	items[count] = '\0';
	CHECK_INT(maildrop_next(&reader), item);
	maildrop_read_end(&reader);
	(void)close(fd);
	return items;
}

static void test_fields(void)
{
	struct buf records = BUF_INIT(100000);
	struct maildrop_reader reader;
	int fd;

	make_records(&records, WITH_ALL);
	fd = memory_file(buf_span(&records));
	maildrop_read_start(&reader, fd, false);
	CHECK_INT(maildrop_next(&reader), MAILDROP_ENVELOPE);
	CHECK_SPAN(reader.envelope.sender, "alice");
	CHECK_INT(maildrop_next(&reader), MAILDROP_RCPT);
	CHECK_SPAN(reader.rcpt.address, "bob");
	CHECK_INT(maildrop_next(&reader), MAILDROP_RCPT);
	CHECK_INT(maildrop_next(&reader), MAILDROP_DATA);
	CHECK_SPAN(reader.data.bytes, "Subject: x\r\n\r\n");
	maildrop_read_end(&reader);
	(void)close(fd);
	buf_done(&records);
}

static void test_records(void)
{
	static const struct {
		unsigned mask;
		const char *items;
	} cases[] = {
		{ WITH_ALL, "errddE" },
		{ WITH_ENVELOPE | WITH_LAST, "edE" },
		{ WITH_ALL & ~WITH_LAST, "errdX" },
		{ WITH_ALL & ~WITH_ENVELOPE, "X" },
		{ 0, "X" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct buf records = BUF_INIT(100000);

		make_records(&records, cases[i].mask);
		CHECK_STR(read_items(memory_file(buf_span(&records)), false), cases[i].items);
		buf_done(&records);
	}
}

static void test_order(void)
{
	struct buf records = BUF_INIT(100000);

	make_records(&records, WITH_ENVELOPE | WITH_DATA);
	make_records(&records, WITH_RCPTS);
	CHECK_STR(read_items(memory_file(buf_span(&records)), false), "edX");
	buf_reset(&records);
	make_records(&records, WITH_ALL);
	make_records(&records, WITH_ENVELOPE);
	CHECK_STR(read_items(memory_file(buf_span(&records)), false), "errddX");
	buf_done(&records);
}

static void test_junk(void)
{
	CHECK_STR(read_items(memory_file(SPAN("junk")), false), "X");
	CHECK_STR(read_items(memory_file(SPAN("\xff\xff\xff\xff\xff\xff\xff\xff")), false), "X");
	CHECK_STR(read_items(memory_file(SPAN("\0\0\0\0\0\0\0\0")), false), "X");
	CHECK_STR(read_items(memory_file(SPAN("")), true), "X");
}

/* Every byte of a file counts, and so does its length. */
static void test_file(void)
{
	struct buf records = BUF_INIT(100000), file = BUF_INIT(100000);
	struct maildrop_writer writer;
	int fd = memfd_create("maildrop_test", MFD_CLOEXEC);
	ssize_t size;

	make_records(&records, WITH_ALL);
	maildrop_write_start(&writer, fd);
	maildrop_write(&writer, buf_span(&records));
	CHECK_INT(maildrop_write_end(&writer), 0);
	size = pread(fd, buf_room(&file, 10000), 10000, 0);
	CHECK(size > 0);
	buf_grew(&file, (size_t)size);
	CHECK_INT(lseek(fd, 0, SEEK_SET), 0);
	CHECK_STR(read_items(fd, true), "errddE");
	for (size_t i = 0; i < file.length; i++) {
		file.data[i] ^= 1;

		const char *items = read_items(memory_file(buf_span(&file)), true);

		CHECK(items[strlen(items) - 1] == 'X');
		file.data[i] ^= 1;
		items = read_items(memory_file(span_first(buf_span(&file), i)), true);
		CHECK(items[strlen(items) - 1] == 'X');
	}
	(void)buf_char(&file, 'x');
	CHECK_STR(read_items(memory_file(buf_span(&file)), true), "errddX");
	buf_done(&records);
	buf_done(&file);
}

int main(void)
{
	TEST(fields);
	TEST(records);
	TEST(order);
	TEST(junk);
	TEST(file);
	return test_end();
}
