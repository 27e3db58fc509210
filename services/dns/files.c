/* SPDX-License-Identifier: MIT */
/* /etc/resolv.conf and /etc/hosts; see dns.h. Runs before the jail. */

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "services/dns/dns.h"

enum { FILE_BYTES_MAX = 4 * 1024 * 1024 };

/* The whole file into `out`; a file that is not there is empty. */
static void read_file(const char *path, struct buf *out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0) {
		if (errno != ENOENT)
			log_warn("%s: %s", path, strerror(errno));
		return;
	}
	if (!buf_read(out, fd)) {
		if (errno == EFBIG)
			log_warn("%s: only the first %zu bytes are used", path, buf_span(out).n);
		else
			log_warn("%s: %s", path, strerror(errno));
	}
	(void)close(fd);
}

void files_read(void)
{
	struct buf text = BUF_INIT(FILE_BYTES_MAX);
	struct resolv_conf servers;

	read_file("/etc/resolv.conf", &text);
	resolv_conf_parse(buf_span(&text), &servers);
	carrier_prepare(&servers);
	buf_reset(&text);
	read_file("/etc/hosts", &text);
	hosts_parse(buf_span(&text), &hosts);
	buf_done(&text);
}
