/* SPDX-License-Identifier: MIT */
/* The way from a command to postlogd; see log_client.h. Runs as root, or set-gid. */

#include "proc/log_client.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <syslog.h>

#include "base/mem.h"
#include "conf/conf.h"
#include "proc/facility.h"

enum { WAIT_US = 200000 };

/* The socket stays, and is not connected: postlogd may be another one for the next line. */
static int open_socket(void)
{
	const struct timeval wait = { .tv_usec = WAIT_US };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd >= 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
	return fd;
}

static bool send_record(enum log_severity severity, const char *tag, const char *text)
{
	static int fd = -1, flags = MSG_NOSIGNAL;
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char record[LOG_LINE_MAX];
	size_t size;

	if (snprintf(address.sun_path, sizeof(address.sun_path), "%s/public/%s", conf->queue_directory,
		     conf->postlog_service_name) >= (int)sizeof(address.sun_path))
		return false;
	if (fd < 0)
		fd = open_socket();
	if (fd < 0)
		return false;
	size = log_record(record, severity, tag, text);
	if (sendto(fd, record, size, flags, (struct sockaddr *)&address, sizeof(address)) >= 0)
		return true;
	if (errno == EAGAIN)
		flags |= MSG_DONTWAIT;
	return false;
}

static void write_syslog(enum log_severity severity, const char *tag, const char *text)
{
	static const int priorities[] = { LOG_INFO, LOG_WARNING, LOG_ERR, LOG_CRIT, LOG_CRIT };
	static char *kept; /* openlog() does not copy it */

	if (kept == NULL) {
		kept = mem_dup_str(tag);
		openlog(kept, LOG_PID, facility_number(conf->syslog_facility));
	}
	syslog(priorities[severity], "%s%s", log_severity_prefix(severity), text);
}

void log_client_write(enum log_severity severity, const char *tag, const char *text)
{
	if (!send_record(severity, tag, text))
		write_syslog(severity, tag, text);
}
