/* SPDX-License-Identifier: MIT */
/*
 * The monitor and its actors; see actor.h. The monitor is root and the only part of local,
 * virtual and pipe that stays so: it trusts its worker with nothing but well-formed requests.
 * An actor is trusted with nothing but its answer, which is checked as strictly.
 */

#include "deliver/actor.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/landlock.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "ipc/channel.h"
#include "proc/fork.h"
#include "proc/service.h"

enum { ANSWER_DATA_MAX = 98304 };

/* ---- the actor ---- */

/* Closes everything from descriptor 3 on but these two; `other` may be -1. */
static void close_others(int keep, int other)
{
	int low = other >= 3 && other < keep ? other : keep, high = other > keep ? other : keep;

	if (low > 3)
		(void)close_range(3, (unsigned)low - 1, 0);
	if (high > low + 1)
		(void)close_range((unsigned)low + 1, (unsigned)high - 1, 0);
	(void)close_range((unsigned)high + 1, ~0U, 0);
}

static bool may_ask(const struct actor_rules *rules, const struct msg_act_request *request)
{
	return request->verb < 32 && (rules->verbs & (1U << request->verb)) != 0;
}

/*
 * Nothing outside of the directory from here on. Only from its second version on does Landlock
 * allow a rename from tmp/ to new/; without it the uid and the monitor's look at paths must do.
 */
static void confine_to(int dir_fd)
{
	static const uint64_t all = (LANDLOCK_ACCESS_FS_REFER << 1) - 1;
	struct landlock_ruleset_attr rules = { .handled_access_fs = all };
	struct landlock_path_beneath_attr beneath = {
		.allowed_access = all & ~(uint64_t)LANDLOCK_ACCESS_FS_EXECUTE,
		.parent_fd = dir_fd,
	};
	long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	int fd;

	if (version < 2 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return;
	fd = (int)syscall(SYS_landlock_create_ruleset, &rules, sizeof(rules), 0);
	if (fd < 0)
		return;
	if (syscall(SYS_landlock_add_rule, fd, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0) == 0)
		(void)syscall(SYS_landlock_restrict_self, fd, 0);
	(void)close(fd);
}

/* False with errno: then nothing may be done. Without root (a private instance) nobody changes. */
static bool become(const struct actor_identity *who)
{
	if (who->root != NULL && (chroot(who->root) < 0 || chdir("/") < 0))
		return false;
	if (geteuid() != 0) {
		errno = EPERM;
		return who->uid == geteuid();
	}
	if (who->uid == 0 || who->gid == 0 || setgroups(1, &who->gid) < 0 ||
	    setresgid(who->effective_gid, who->effective_gid, who->effective_gid) < 0 ||
	    setresuid(who->uid, who->uid, who->uid) < 0)
		return false;
	if (setuid(0) == 0)
		panic("root came back after setresuid %ld", (long)who->uid);
	return true;
}

static void limit_files(int64_t bytes)
{
	struct rlimit limit = { .rlim_cur = (rlim_t)bytes, .rlim_max = (rlim_t)bytes };

	(void)signal(SIGXFSZ, SIG_IGN);
	if (bytes > 0)
		(void)setrlimit(RLIMIT_FSIZE, &limit);
}

static void answer_failure(struct msg_act_answer *ret, struct act *act, int error, const char *what)
{
	act_fail(act, "4.3.0", error, "%s", what);
	*ret = (struct msg_act_answer){ .status = span_of(act->status),
					.reason = buf_span(&act->reason),
					.error = (uint32_t)error };
}

/* Who asks for more than the monitor allowed gets nothing. */
static int check_again(const struct actor_rules *rules, const struct actor_identity *who,
		       const struct msg_act_request *request)
{
	struct actor_identity again = { 0 };
	int error = may_ask(rules, request) ? rules->identify(request, &again) : EPERM;

	return error == 0 && (again.uid != who->uid || again.gid != who->gid) ? EPERM : error;
}

/* Whether the directory that we stay in still has its name. Another may have been put or mounted there. */
static bool is_in_place(const struct actor_work *work)
{
	struct stat ours, named;

	return work->identity->beneath == NULL ||
	       (fstat(work->dir_fd, &ours) == 0 && stat(work->identity->beneath, &named) == 0 &&
		ours.st_dev == named.st_dev && ours.st_ino == named.st_ino);
}

/* The process of an actor: one request, or all that come. */
NORETURN static void actor_main(int fd, const struct actor_rules *rules,
				const struct actor_identity *who)
{
	struct actor_work work = { .rules = rules, .identity = who, .dir_fd = AT_FDCWD };
	struct msg_act_request request;
	struct msg_act_answer answer;
	struct ipc_channel channel;
	bool is_kept = false, is_elsewhere;
	int error = 0;

	close_others(fd, -1);
	log_open("", -1);
	ipc_attach(&channel, fd);
	act_init(&work.act);
	buf_init(&work.data, ANSWER_DATA_MAX);
	limit_files(rules->file_limit_bytes);
	if (!become(who))
		error = errno != 0 ? errno : EPERM;
	if (error == 0 && who->beneath != NULL) {
		work.dir_fd = open(who->beneath, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (work.dir_fd < 0 || fchdir(work.dir_fd) < 0)
			error = errno;
		else
			confine_to(work.dir_fd);
	}
	do {
		if (IPC_EXPECT(&channel, act_request, &request, CLOCK_NEVER) != IPC_OK)
			_exit(0);

		int queue_fd = ipc_take_fd(&channel);

		if (error == 0 && rules->are_lasting)
			error = check_again(rules, who, &request);
		is_elsewhere = error == 0 && is_kept && !is_in_place(&work);
		if (is_elsewhere)
			error = ESTALE;
		if (error != 0)
			answer_failure(&answer, &work.act, error, "cannot act as the user");
		else
			actor_do(&work, &request, queue_fd, &answer);
		answer.is_elsewhere = is_elsewhere;
		is_kept = true;
		if (queue_fd >= 0)
			(void)close(queue_fd);
		if (IPC_SEND(&channel, act_answer, &answer, -1, clock_in_ms(ACTOR_SEND_MS)) != IPC_OK)
			_exit(1);
	} while (rules->are_lasting && error == 0);
	_exit(0);
}

/* ---- the monitor ---- */

static struct {
	const struct actor_rules *rules;
	struct ipc_channel worker;
} monitor;

/* The socket to it, or -1 with errno. */
static int start_actor(const struct actor_identity *who, pid_t *ret_pid)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -1;
	*ret_pid = fork_patiently();
	if (*ret_pid == 0)
		actor_main(pair[1], monitor.rules, who);

	int saved = errno;

	(void)close(pair[1]);
	if (*ret_pid < 0) {
		(void)close(pair[0]);
		errno = saved;
		return -1;
	}
	return pair[0];
}

/* Has the request done by an actor. False: it did not answer. */
static bool have_done(struct ipc_channel *actor, const struct msg_act_request *request, int queue_fd,
		      struct msg_act_answer *ret)
{
	int64_t limit_ms = ACTOR_SPARE_MS + (int64_t)monitor.rules->time_limit_s * 1000;

	return IPC_SEND(actor, act_request, request, queue_fd, clock_in_ms(ACTOR_SEND_MS)) == IPC_OK &&
	       IPC_EXPECT(actor, act_answer, ret, clock_in_ms(limit_ms)) == IPC_OK;
}

static void send_answer(const struct msg_act_answer *answer, int pass_fd)
{
	/* Without a reader nobody needs us. */
	if (IPC_SEND(&monitor.worker, act_answer, answer, pass_fd, clock_in_ms(ACTOR_SEND_MS)) != IPC_OK)
		_exit(0);
}

static void cannot_start(struct act *act)
{
	struct msg_act_answer answer;

	answer_failure(&answer, act, errno, "cannot start a process");
	send_answer(&answer, -1);
}

/* One request, one process. */
static void act_once(const struct actor_identity *who, const struct msg_act_request *request,
		     int queue_fd, struct act *act)
{
	struct msg_act_answer answer;
	struct ipc_channel actor;
	pid_t pid;
	int fd = start_actor(who, &pid);

	if (fd < 0) {
		cannot_start(act);
		return;
	}
	ipc_attach(&actor, fd);
	if (!have_done(&actor, request, queue_fd, &answer)) {
		/* The group of a command that it runs is its own business. */
		(void)kill(pid, SIGKILL);
		answer_failure(&answer, act, EIO, ACTOR_GONE);
	}
	send_answer(&answer, -1);
	ipc_close(&actor);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

/* The worker gets it all to itself. Those that ended meanwhile are buried. */
static void start_lasting(const struct actor_identity *who, struct act *act)
{
	struct msg_act_answer good = { .status = SPAN("2.0.0") };
	pid_t pid;
	int fd;

	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	fd = start_actor(who, &pid);
	if (fd < 0) {
		cannot_start(act);
		return;
	}
	send_answer(&good, fd);
	(void)close(fd);
}

static void serve_request(const struct msg_act_request *request, int queue_fd)
{
	struct actor_identity who = { 0 };
	struct msg_act_answer answer;
	struct act act;
	int error = may_ask(monitor.rules, request) ? monitor.rules->identify(request, &who) : EPERM;

	act_init(&act);
	if (error != 0) {
		answer_failure(&answer, &act, error, "cannot find out who the user is");
		send_answer(&answer, -1);
	} else if (request->verb == ACTOR_LOOKUP) {
		answer = (struct msg_act_answer){ .status = span_of("2.0.0"),
						  .user = span_of(who.name),
						  .home = span_of(who.home),
						  .shell = span_of(who.shell) };
		send_answer(&answer, -1);
	} else if (monitor.rules->are_lasting) {
		start_lasting(&who, &act);
	} else {
		act_once(&who, request, queue_fd, &act);
	}
	act_done(&act);
}

void actor_monitor(int fd, const struct actor_rules *rules)
{
	struct msg_act_request request;

	monitor.rules = rules;
	close_others(fd, log_fd());
	ipc_attach(&monitor.worker, fd);
	while (IPC_EXPECT(&monitor.worker, act_request, &request, CLOCK_NEVER) == IPC_OK) {
		int queue_fd = ipc_take_fd(&monitor.worker);

		serve_request(&request, queue_fd);
		if (queue_fd >= 0)
			(void)close(queue_fd);
	}
	_exit(0);
}
