/* SPDX-License-Identifier: MIT */
/*
 * postkick(1): sends a request to a service by its class (public, private) and name, for
 * scripts. Needs the permissions of the service's directory. Exit status 1 when nobody listens.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "proc/command.h"
#include "proc/service.h"

NORETURN static void usage(void)
{
	fatal("usage: postkick [-c config_dir] [-v] class service request");
}

/* Over a connection, as one message. False, with errno, when nobody listens. */
static bool kick_socket(const char *path, struct span request)
{
	struct msg_service_event kick = { .event = EVENT_KICK, .text = request };
	struct ipc_channel channel;
	int fd = ipc_connect_path(path, clock_in_ms((int64_t)conf->trigger_timeout * 1000));

	if (fd < 0)
		return false;
	ipc_attach(&channel, fd);
	/* A service that wants no words may close at once: it was reached all the same. */
	(void)!IPC_SEND(&channel, service_event, &kick, -1,
			clock_in_ms((int64_t)conf->application_event_drain_time * 1000));
	ipc_close(&channel);
	return true;
}

static bool kick_fifo(const char *path, struct span request)
{
	int fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	bool is_written = fd >= 0 && write(fd, request.p, request.n) == (ssize_t)request.n;

	if (fd >= 0)
		(void)close(fd);
	return is_written;
}

static bool kick_service(const char *class, const char *name, struct span request)
{
	char *path = mem_printf("%s/%s/%s", conf->queue_directory, class, name);
	struct stat st;
	bool is_fifo = stat(path, &st) == 0 && S_ISFIFO(st.st_mode);
	bool is_kicked = is_fifo ? kick_fifo(path, request) : kick_socket(path, request);

	free(path);
	return is_kicked;
}

int main(int argc, char **argv)
{
	const char *directory = NULL;
	int option;

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
	command_log();
	if (kick_service(argv[optind], argv[optind + 1], span_of(argv[optind + 2])))
		return 0;
	log_warn("Cannot contact class %s service %s - perhaps the mail system is down (%s)",
		 argv[optind], argv[optind + 1], strerror(errno));
	return 1;
}
