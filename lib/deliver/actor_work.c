/* SPDX-License-Identifier: MIT */
/* What an actor does once it is the user; see actor.h. Only the user's own rights are at stake. */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "conf/conf.h"
#include "deliver/actor.h"

enum { READ_MAX = 96 * 1024, WORDS_MAX = 4096 };

/*
 * A piece of a file that decides where mail goes: a .forward file, an :include: list. It must be
 * a regular file of the user or of root that not everybody can write; `reason` says what is
 * wrong and error is EPERM. O_NONBLOCK: a FIFO must not hold us up.
 */
static int read_file(struct actor_work *work, const struct msg_act_request *request, bool *ret_more)
{
	char *path = mem_dup(request->target);
	int fd = openat(work->dir_fd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat st;
	ssize_t size = -1;
	int error = 0;

	if (fd < 0 || fstat(fd, &st) < 0) {
		error = errno;
	} else if (!S_ISREG(st.st_mode)) {
		act_fail(&work->act, "4.3.0", 0, "file %s is not a regular file", path);
		error = EPERM;
	} else if (st.st_uid != 0 && st.st_uid != work->identity->uid) {
		act_fail(&work->act, "4.3.0", 0, "file %s has bad owner uid %ld", path, (long)st.st_uid);
		error = EPERM;
	} else if ((st.st_mode & S_IWOTH) != 0) {
		act_fail(&work->act, "4.3.0", 0, "file %s is world writable", path);
		error = EPERM;
	} else {
		size = pread(fd, buf_room(&work->data, READ_MAX), READ_MAX, (off_t)request->offset);
		error = size < 0 ? errno : 0;
	}
	if (size > 0) {
		buf_grew(&work->data, (size_t)size);
		*ret_more = (off_t)request->offset + size < st.st_size;
	}
	if (fd >= 0)
		(void)close(fd);
	free(path);
	return error;
}

static void append_mbox(struct actor_work *work, const struct msg_act_request *request,
			const char *path, int queue_fd, const struct message_format *format)
{
	struct mbox_target target = {
		.dir_fd = work->dir_fd,
		.path = path,
		.must_be_owned = request->is_mailbox && work->rules->must_be_owned,
		.may_be_device = !request->is_mailbox,
		.locks = work->rules->locks,
		.lock_attempts = conf->deliver_lock_attempts,
		.lock_delay_s = conf->deliver_lock_delay,
		.stale_lock_s = conf->stale_lock_time,
		.new_group = work->identity->gid,
		.biff_user = work->rules->has_biff && request->is_mailbox ? work->identity->name
									  : NULL,
	};

	mbox_append(&target, queue_fd, format, &work->act);
}

/* Pointers to the NUL-terminated strings in `packed`, and a NULL. */
static const char **unpack(struct span packed)
{
	const char **list = mem_array(WORDS_MAX + 1, sizeof(*list));
	size_t count = 0;
	struct span one;

	while (count < WORDS_MAX && span_cut(packed, '\0', &one, &packed))
		list[count++] = one.p;
	return list;
}

static void run_command(struct actor_work *work, const struct msg_act_request *request,
			int queue_fd, const struct message_format *format)
{
	const char **arguments = unpack(request->arguments);
	const char **environment = unpack(request->environment);
	char *text = request->target.n > 0 ? mem_dup(request->target) : NULL;
	char *title = mem_dup(request->title), *directory = mem_dup(request->directory);
	struct command command = {
		.text = text,
		.shell = work->rules->shell,
		.argv = arguments,
		.environment = (char *const *)(uintptr_t)environment,
		.title = title,
		.time_limit_s = work->rules->time_limit_s,
	};

	if (text == NULL && arguments[0] == NULL)
		act_fail(&work->act, "4.3.5", 0, "no command");
	else if (*directory != '\0' && chdir(directory) < 0)
		act_fail(&work->act, "4.3.0", errno, "cannot change directory to %s", directory);
	else
		command_run(&command, queue_fd, format, &work->act);
	free(arguments);
	free(environment);
	free(text);
	free(title);
	free(directory);
}

static void deliver(struct actor_work *work, const struct msg_act_request *request, int queue_fd)
{
	struct message_format format = { .flags = request->format, .eol = request->eol,
					 .from_line = request->from_line,
					 .prefix = request->prefix };
	char *path = mem_dup(request->target);

	if (queue_fd < 0)
		act_fail(&work->act, "4.3.0", 0, "no message");
	else if (request->verb == ACTOR_MAILDIR)
		maildir_add(work->dir_fd, path, work->rules->hostname, queue_fd, &format, &work->act);
	else if (request->verb == ACTOR_MBOX)
		append_mbox(work, request, path, queue_fd, &format);
	else
		run_command(work, request, queue_fd, &format);
	free(path);
}

void actor_do(struct actor_work *work, const struct msg_act_request *request, int queue_fd,
	      struct msg_act_answer *ret)
{
	*ret = (struct msg_act_answer){ 0 };
	act_done(&work->act);
	act_init(&work->act);
	buf_reset(&work->data);
	if (request->verb == ACTOR_READ)
		ret->error = (uint32_t)read_file(work, request, &ret->more);
	else
		deliver(work, request, queue_fd);
	ret->status = span_of(work->act.status);
	ret->reason = buf_span(&work->act.reason);
	ret->diagnostic = buf_span(&work->act.diagnostic);
	ret->data = buf_span(&work->data);
	ret->user = span_of(work->identity->name);
	ret->home = span_of(work->identity->home);
	ret->shell = span_of(work->identity->shell);
}
