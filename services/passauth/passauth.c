/* SPDX-License-Identifier: MIT */
/*
 * passauth: says whether a password is right, for smtpd_sasl_type = passwd. The file of users is
 * read before the jail, and when it changes a new generation reads it anew; no other program of
 * the mail system ever sees a hash.
 *
 * Runs as uid auth in a directory of its own without a file. Only smtpd can reach it. Names and
 * passwords are those of strangers. Manual: passauth(8).
 */

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "conf/conf.h"
#include "ipc/channel.h"
#include "proc/service.h"
#include "sasl/passwd.h"

enum { ANSWER_MS = 5000, IDLE_MS = 100 * 1000 };

static struct passwd_file users;

static void check_mode(int fd, const char *path)
{
	struct stat st;

	if (fstat(fd, &st) == 0 && (st.st_mode & 04) != 0)
		log_warn("%s can be read by everybody", path);
}

static void prepare(void)
{
	const char *path = conf->smtpd_sasl_passwd_file;
	struct buf text = BUF_INIT(PASSWD_FILE_MAX);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t bad, first_bad = 0;

	service_watch_file(path);
	if (fd < 0) {
		/* Without the file nobody is a user; smtpd asks only where it is configured to. */
		if (errno != ENOENT)
			log_warn("open %s: %s", path, strerror(errno));
		return;
	}
	check_mode(fd, path);
	if (!buf_read(&text, fd))
		log_warn("read %s: %s", path, strerror(errno));
	(void)close(fd);
	bad = passwd_parse(&users, buf_span(&text), &first_bad);
	if (bad > 0)
		log_warn("%s, line %zu: expected USER:HASH (%zu bad lines in all)", path, first_bad,
			 bad);
	if (text.data != NULL)
		explicit_bzero(text.data, text.capacity);
	buf_done(&text);
}

/* One worker of smtpd; it asks when one of its clients logs in. */
static void serve(int fd, const char *client)
{
	struct ipc_channel channel;
	struct msg_login_query query;
	struct msg_login_verdict answer;

	(void)client;
	ipc_attach(&channel, fd);
	while (service_wait(channel.fd, clock_in_ms(IDLE_MS)) &&
	       IPC_EXPECT(&channel, login_query, &query, clock_in_ms(0)) == IPC_OK) {
		answer.verdict = passwd_check(&users, query.user, query.password);
		explicit_bzero(channel.in.data, channel.in.capacity);
		if (IPC_SEND(&channel, login_verdict, &answer, -1, clock_in_ms(ANSWER_MS)) != IPC_OK)
			break;
	}
	ipc_close(&channel);
}

int main(int argc, char **argv)
{
	static const struct service_program program = {
		.name = "passauth",
		.kind = SERVICE_WORKERS,
		.prepare = prepare,
		.serve = serve,
	};

	return service_main(argc, argv, &program);
}
