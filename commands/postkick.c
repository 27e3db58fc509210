/* SPDX-License-Identifier: MIT */
/*
 * postkick(1): sends a request to a service by its class (public, private) and name, for
 * scripts. Needs the permissions of the service's directory. Exit status 1 when nobody listens.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "proc/command.h"
#include "proc/service.h"

enum { PATIENCE_MS = 10000 };

NORETURN static void usage(void)
{
	fatal("usage: postkick [-c config_dir] [-v] class service request");
}

int main(int argc, char **argv)
{
	struct msg_service_event kick = { .event = EVENT_KICK };
	const char *directory = NULL;
	struct ipc_channel channel;
	int option, fd;
	char *path;

	log_open("postkick", -1);
	while ((option = getopt(argc, argv, "c:v")) != -1) {
		if (option == 'c')
			directory = optarg;
		else if (option == 'v')
			log_verbose(log_verbosity() + 1);
		else
			usage();
	}
	if (argc - optind != 3)
		usage();
	conf_load_command(directory);
	command_log("postkick");
	kick.text = span_of(argv[optind + 2]);
	path = mem_printf("%s/%s/%s", conf->queue_directory, argv[optind], argv[optind + 1]);
	fd = ipc_connect_path(path, clock_in_ms(PATIENCE_MS));
	if (fd < 0) {
		log_warn("Cannot contact class %s service %s - perhaps the mail system is down (%s)",
			 argv[optind], argv[optind + 1], strerror(errno));
		return 1;
	}
	free(path);
	ipc_attach(&channel, fd);
	/* A service that wants no words may close at once: it was reached all the same. */
	(void)!IPC_SEND(&channel, service_event, &kick, -1, clock_in_ms(PATIENCE_MS));
	ipc_close(&channel);
	return 0;
}
