/* SPDX-License-Identifier: MIT */
/*
 * postern ban: clients that are refused at connect since their logins failed, or because the
 * administrator wants it so. anvil(8) keeps the list; the socket it is asked by is root's.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/mem.h"
#include "commands/postern/postern.h"
#include "conf/conf.h"
#include "conf/param.h"
#include "ipc/channel.h"
#include "net/bans.h"

enum { ANSWER_MS = 10000 };

/* "192.0.2.1 until 2026-01-31 12:00:00" */
static void print_bans(struct span lines)
{
	struct span line, rest, net;
	uint64_t until_s;
	char when[64];
	struct tm tm;

	while (span_line(&lines, &line)) {
		rest = line;
		net = span_word(&rest, " ");
		if (!span_u64(span_trim(rest), INT64_MAX, &until_s))
			continue;
		(void)strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S",
			       localtime_r(&(time_t){ (time_t)until_s }, &tm));
		(void)printf("%.*s until %s\n", SPAN_ARG(net), when);
	}
}

static int ask(const struct msg_ban_command *command)
{
	struct clock_mono deadline = clock_in_ms(ANSWER_MS);
	char *path = mem_printf("%s/private/anvil", conf->queue_directory);
	struct msg_queue_answer answer = { .more = true };
	struct ipc_channel channel;
	bool is_well;

	ipc_attach(&channel, ipc_connect_path(path, deadline));
	is_well = ipc_is_open(&channel) &&
		  IPC_SEND(&channel, ban_command, command, -1, deadline) == IPC_OK;
	while (is_well && answer.more) {
		is_well = IPC_EXPECT(&channel, queue_answer, &answer, deadline) == IPC_OK;
		if (is_well && answer.result != 0)
			log_error("%.*s: %.*s", SPAN_ARG(command->net), SPAN_ARG(answer.text));
		else if (is_well)
			print_bans(answer.text);
	}
	if (!is_well)
		log_error("cannot talk to the anvil service: %s", strerror(errno));
	ipc_close(&channel);
	free(path);
	return is_well && answer.result == 0 ? 0 : 1;
}

static int usage(void)
{
	(void)fprintf(stderr, "usage: postern ban list | add NETWORK [TIME] | del NETWORK\n");
	return 1;
}

int do_ban(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";
	struct msg_ban_command command = { .net = span_of(argc > 2 ? argv[2] : "") };
	int64_t time_s = 0;

	if (argc == 2 && strcmp(verb, "list") == 0)
		command.verb = BAN_LIST;
	else if (argc == 3 && strcmp(verb, "del") == 0)
		command.verb = BAN_DELETE;
	else if ((argc == 3 || argc == 4) && strcmp(verb, "add") == 0)
		command.verb = BAN_ADD;
	else
		return usage();
	if (argc == 4 && (!conf_time_parse(span_of(argv[3]), 1, &time_s) || time_s < 1 ||
			  time_s > UINT32_MAX)) {
		log_error("no time: %s", log_clean_str(argv[3]));
		return 1;
	}
	command.duration_s = (uint32_t)time_s;
	return ask(&command);
}
