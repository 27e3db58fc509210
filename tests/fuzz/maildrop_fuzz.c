/* SPDX-License-Identifier: MIT */
/* Files in maildrop and the records that sendmail gives to postdrop: any bytes. */

#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "queue/maildrop.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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
	return 0;
}
