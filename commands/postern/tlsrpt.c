/* SPDX-License-Identifier: MIT */
/*
 * postern tlsrpt: what is collected for TLS reports, and sending them now. tlsrpt(8) does it; the socket
 * it is asked by is root's.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "commands/postern/postern.h"
#include "conf/conf.h"
#include "ipc/channel.h"
#include "ipc/tlsrpt.h"

/* Reports go one after the other, and a web server may take its time. */
enum { ANSWER_MS = 600 * 1000 };

static int ask(const struct msg_tlsrpt_command *command)
{
	char *path = mem_printf("%s/private/tlsrpt", conf->queue_directory);
	struct msg_queue_answer answer = { .more = true };
	struct ipc_channel channel;
	struct span lines, line;
	bool is_well;

	ipc_attach(&channel, ipc_connect_path(path, clock_in_ms(ANSWER_MS)));
	is_well = ipc_is_open(&channel) && IPC_SEND(&channel, tlsrpt_command, command, -1,
						     clock_in_ms(ANSWER_MS)) == IPC_OK;
	while (is_well && answer.more) {
		is_well = IPC_EXPECT(&channel, queue_answer, &answer, clock_in_ms(ANSWER_MS)) ==
			  IPC_OK;
		lines = is_well ? answer.text : SPAN("");
		while (span_line(&lines, &line))
			(void)printf("%s\n", log_clean(line));
		(void)fflush(stdout);
	}
	if (!is_well)
		log_error("cannot talk to the tlsrpt service: %s", strerror(errno));
	ipc_close(&channel);
	free(path);
	return is_well ? 0 : 1;
}

int do_tlsrpt(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";
	struct msg_tlsrpt_command command = { .domain = span_of(argc > 2 ? argv[2] : "") };

	if (strcmp(verb, "list") == 0)
		command.verb = TLSRPT_LIST;
	else if (strcmp(verb, "send") == 0)
		command.verb = TLSRPT_SEND;
	if (command.verb == 0 || argc > 3) {
		(void)fprintf(stderr, "usage: postern tlsrpt list | send [DOMAIN]\n");
		return 1;
	}
	return ask(&command);
}
