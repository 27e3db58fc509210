/* SPDX-License-Identifier: MIT */
/* Lines to /dev/log; see syslog.h. Runs in postlogd, as uid net. Manual: postlogd(8), syslog(3). */

#include "services/postlogd/syslog.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/log.h"
#include "conf/conf.h"
#include "proc/facility.h"
#include "services/postlogd/record.h"

enum { LINES_AT_ONCE = 64, PATIENCE_S = 1 };

static struct {
	int fd;       /* connected datagram socket, or -1 */
	bool is_slow; /* it was waited for in vain: not again before it takes a line */
	unsigned count;
	size_t ends[LINES_AT_ONCE]; /* of the lines in `text` */
	struct buf text;
} self = { .fd = -1 };

static void connect_again(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "/dev/log" };
	struct timeval patience = { .tv_sec = PATIENCE_S };

	if (self.fd >= 0)
		(void)close(self.fd);
	self.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (self.fd >= 0 &&
	    (setsockopt(self.fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) < 0 ||
	     connect(self.fd, (struct sockaddr *)&address, sizeof(address)) < 0)) {
		(void)close(self.fd);
		self.fd = -1;
	}
}

void syslog_open(void)
{
	buf_init(&self.text, (size_t)LINES_AT_ONCE * LOG_LINE_MAX * 2);
	connect_again();
}

void syslog_add(const struct log_record *record)
{
	static const char severities[] = "i\x06w\x04" "e\x03" "f\x02p\x02";
	const char *found = strchr(severities, record->severity);

	if (self.count == LINES_AT_ONCE)
		syslog_flush();
	(void)buf_printf(&self.text, "<%d>",
			 facility_number(conf->syslog_facility) | (found != NULL ? found[1] : 6));
	log_record_format(&self.text, record, NULL);
	self.ends[self.count++] = self.text.length;
}

/* Sends lines from the first on; the number of those sent, or -1 with errno. */
static int send_lines(unsigned first)
{
	struct iovec parts[LINES_AT_ONCE];
	struct mmsghdr messages[LINES_AT_ONCE];

	for (unsigned i = first; i < self.count; i++) {
		size_t start = i > 0 ? self.ends[i - 1] : 0;

		/* Without the line end. */
		parts[i] = (struct iovec){ self.text.data + start, self.ends[i] - start - 1 };
		messages[i] = (struct mmsghdr){ .msg_hdr = { .msg_iov = &parts[i],
							     .msg_iovlen = 1 } };
	}
	return sendmmsg(self.fd, messages + first, self.count - first,
			MSG_NOSIGNAL | (self.is_slow ? MSG_DONTWAIT : 0));
}

void syslog_flush(void)
{
	bool was_renewed = false;
	unsigned sent = 0;

	while (sent < self.count) {
		int done = self.fd >= 0 ? send_lines(sent) : -1;

		if (done > 0) {
			self.is_slow = false;
			sent += (unsigned)done;
		} else if (self.fd >= 0 && errno == EINTR) {
			continue;
		} else if (self.fd >= 0 && errno == EMSGSIZE) {
			sent++;
		} else if (self.fd >= 0 && (errno == EAGAIN || errno == ENOBUFS)) {
			self.is_slow = true;
			break;
		} else if (was_renewed) {
			break;
		} else {
			connect_again();
			was_renewed = true;
		}
	}
	self.count = 0;
	buf_reset(&self.text);
}
