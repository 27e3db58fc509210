/* SPDX-License-Identifier: MIT */
/* The snapshot that a service reads, as smtp and as lmtp: from memory, and from the file that master makes. */

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"
#include "conf/snapshot.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The same bytes as a file say the same. */
static void check_file(struct span bytes, const char *expected)
{
	int fd = memfd_create("snapshot", MFD_CLOEXEC);
	const char *wrong;

	if (fd < 0 || !fd_write_all(fd, bytes))
		abort();
	wrong = conf_snapshot_load(fd, false);
	if ((wrong == NULL) != (expected == NULL))
		abort();
	(void)close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span bytes = { (const char *)data, size }, value;
	const char *wrong = conf_snapshot_parse(bytes, true);

	(void)conf_snapshot_extra_get("secret", &value);
	if ((conf_snapshot_parse(bytes, false) == NULL) != (wrong == NULL))
		abort();
	check_file(bytes, wrong);
	return 0;
}
