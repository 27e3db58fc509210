/* SPDX-License-Identifier: MIT */
/* Shared parts of the queue commands; see command.h. Run by root, or set-gid by any user. */

#include "proc/command.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "proc/log_client.h"

static void copy_line(enum log_severity severity, const char *name, const char *text)
{
	char tag[200];

	(void)snprintf(tag, sizeof(tag), "%s/%s", conf->syslog_name, name);
	log_client_write(severity, tag, text);
}

void command_log(void)
{
	log_copy_to(copy_line);
}

void command_clean_environment(void)
{
	static const char *const kept[] = { "MAIL_CONFIG", "TZ", "LANG", "LC_ALL" };
	char *values[ARRAY_LEN(kept)];

	for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
		const char *value = getenv(kept[i]);

		values[i] = value != NULL ? mem_dup_str(value) : NULL;
	}
	(void)clearenv();
	(void)setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin", 1);
	for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
		if (values[i] != NULL)
			(void)setenv(kept[i], values[i], 1);
		free(values[i]);
	}
}

void command_fatal(int status, const char *format, ...)
{
	struct buf text = BUF_INIT(LOG_LINE_MAX);
	va_list args;

	va_start(args, format);
	(void)buf_vprintf(&text, format, args);
	va_end(args);
	log_fatal_status(status);
	fatal("%s", buf_str(&text));
}

int command_connect_at(const char *path, struct clock_mono deadline)
{
	struct stat st;
	bool is_fifo = stat(path, &st) == 0 && S_ISFIFO(st.st_mode);
	char *at = mem_printf("%s%s", path, is_fifo ? COMMAND_BESIDE_FIFO : "");
	int fd = ipc_connect_path(at, deadline), saved = errno;

	free(at);
	errno = saved;
	return fd;
}

int command_connect(const char *service_name, struct clock_mono deadline)
{
	char *path = mem_printf("%s/public/%s", conf->queue_directory, service_name);
	int fd = command_connect_at(path, deadline), saved = errno;

	free(path);
	errno = saved;
	return fd;
}

bool command_ask(struct ipc_channel *channel, const struct msg_queue_command *command,
		 struct msg_queue_answer *ret_answer, struct clock_mono deadline)
{
	return IPC_SEND(channel, queue_command, command, -1, deadline) == IPC_OK &&
	       IPC_EXPECT(channel, queue_answer, ret_answer, deadline) == IPC_OK;
}
