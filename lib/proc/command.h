/* SPDX-License-Identifier: MIT */
#ifndef PROC_COMMAND_H
#define PROC_COMMAND_H

/* What queue commands share: their log lines, and talking to services in public/. */

#include "ipc/channel.h"

/*
 * Lines of this command go to the log of the mail system as well as to standard error; call it
 * when `conf` is loaded. While the mail system is down they go to syslog.
 */
void command_log(void);

/* For a set-gid program: takes out of the environment what an invoking user may not choose. */
void command_clean_environment(void);

/* As fatal() with another exit status, of sysexits.h. */
NORETURN void command_fatal(int status, const char *format, ...) PRINTF_LIKE(2, 3);

/* What the name of the socket ends with that a service of type fifo has for commands. */
#define COMMAND_BESIDE_FIFO ".socket"

/*
 * Connects to the service whose socket or FIFO is at `path`: where that is a FIFO, which gives no
 * answers, to the socket beside it. A descriptor or -1 with errno.
 */
MUST_USE int command_connect_at(const char *path, struct clock_mono deadline);

/* The same by the service's name in public/ of this instance. */
MUST_USE int command_connect(const char *service_name, struct clock_mono deadline);

/*
 * One question to qmgr or flush on a connected channel. False when no answer came before the
 * deadline. The answer's text is borrowed from the channel.
 */
MUST_USE bool command_ask(struct ipc_channel *channel, const struct msg_queue_command *command,
			  struct msg_queue_answer *ret_answer, struct clock_mono deadline);

#endif
