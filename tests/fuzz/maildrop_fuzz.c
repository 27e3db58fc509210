/* SPDX-License-Identifier: MIT */
/* Files in maildrop and the records that sendmail gives to postdrop: any bytes. */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "queue/maildrop.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is written is read, whatever the bytes in it are. */
static void write_and_read(const uint8_t *data, size_t size)
{
	struct msg_envelope envelope = { .sender = SPAN("a@b") };
	struct msg_rcpt rcpt = { .address = SPAN("c@d") };
	struct msg_submit_data content = { .bytes = { (const char *)data, size }, .is_last = true };
	int fd = memfd_create("maildrop_fuzz", MFD_CLOEXEC);
	struct buf records = BUF_INIT(1 << 20);
	struct maildrop_writer writer;
	struct maildrop_reader reader;

	maildrop_write_start(&writer, fd);
	if (msg_envelope_encode(&records, &envelope) && msg_rcpt_encode(&records, &rcpt) &&
	    msg_submit_data_encode(&records, &content)) {
		maildrop_write(&writer, buf_span(&records));
		if (maildrop_write_end(&writer) != 0)
			abort();
		(void)lseek(fd, 0, SEEK_SET);
		maildrop_read_start(&reader, fd, true);
		if (maildrop_next(&reader) != MAILDROP_ENVELOPE || maildrop_next(&reader) != MAILDROP_RCPT ||
		    maildrop_next(&reader) != MAILDROP_DATA ||
		    !span_eq(reader.data.bytes, content.bytes) || maildrop_next(&reader) != MAILDROP_END)
			abort();
		maildrop_read_end(&reader);
	} else {
		(void)!maildrop_write_end(&writer);
	}
	buf_done(&records);
	(void)close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = memfd_create("maildrop_fuzz", MFD_CLOEXEC);

	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		return 0;
	for (int is_file = 0; is_file < 2; is_file++) {
		struct maildrop_reader reader;

		(void)lseek(fd, 0, SEEK_SET);
		maildrop_read_start(&reader, fd, is_file == 1);
		while (maildrop_next(&reader) <= MAILDROP_DATA)
			;
		maildrop_read_end(&reader);
	}
	(void)close(fd);
	write_and_read(data, size);
	return 0;
}
