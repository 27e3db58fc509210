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
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "ipc/channel.h"
#include "proc/fork.h"
#include "proc/service.h"

enum {
	SPARE_MS = 600 * 1000, /* beside a command's time limit: locks, slow disks */
	SEND_MS = 60 * 1000,
	LASTING_MAX = 4, /* actors that a monitor keeps */
	ANSWER_DATA_MAX = 98304,
};

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

struct actor {
	pid_t pid; /* 0: none */
	uid_t uid;
	gid_t gid;
	struct ipc_channel channel;
};

static void answer_failure(struct msg_act_answer *ret, struct act *act, int error, const char *what)
{
	act_fail(act, "4.3.0", error, "%s", what);
	*ret = (struct msg_act_answer){ .status = span_of(act->status),
					.reason = buf_span(&act->reason),
					.error = (uint32_t)error };
}

/* The process of an actor: one request, or all that come. */
NORETURN static void actor_main(int fd, const struct actor_rules *rules,
				const struct actor_identity *who)
{
	struct actor_work work = { .rules = rules, .identity = who, .dir_fd = AT_FDCWD };
	struct msg_act_request request;
	struct msg_act_answer answer;
	struct ipc_channel channel;
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

		if (error != 0)
			answer_failure(&answer, &work.act, error, "cannot act as the user");
		else
			actor_do(&work, &request, queue_fd, &answer);
		if (queue_fd >= 0)
			(void)close(queue_fd);
		if (IPC_SEND(&channel, act_answer, &answer, -1, clock_in_ms(SEND_MS)) != IPC_OK)
			_exit(1);
	} while (who->is_lasting && error == 0);
	_exit(0);
}

/* ---- the monitor ---- */

static struct {
	const struct actor_rules *rules;
	struct ipc_channel worker;
	struct actor lasting[LASTING_MAX];
	size_t next_to_end;
} monitor;

/* False with errno. */
static bool start_actor(struct actor *actor, const struct actor_identity *who)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return false;
	actor->pid = fork_patiently();
	if (actor->pid == 0)
		actor_main(pair[1], monitor.rules, who);

	int saved = errno;

	(void)close(pair[1]);
	if (actor->pid < 0) {
		(void)close(pair[0]);
		actor->pid = 0;
		errno = saved;
		return false;
	}
	actor->uid = who->uid;
	actor->gid = who->gid;
	ipc_attach(&actor->channel, pair[0]);
	return true;
}

/* With `must_kill` it did not answer; the group of a command it runs is its own business. */
static void end_actor(struct actor *actor, bool must_kill)
{
	if (actor->pid == 0)
		return;
	if (must_kill)
		(void)kill(actor->pid, SIGKILL);
	ipc_close(&actor->channel);
	while (waitpid(actor->pid, NULL, 0) < 0 && errno == EINTR)
		;
	actor->pid = 0;
}

/* One that lives and has this identity, or a new one in a free place or in the oldest's. */
static struct actor *lasting_actor(const struct actor_identity *who)
{
	struct actor *actor = NULL;

	for (size_t i = 0; i < LASTING_MAX; i++) {
		struct actor *one = &monitor.lasting[i];

		if (one->pid != 0 && one->uid == who->uid && one->gid == who->gid)
			return one;
		if (one->pid == 0)
			actor = one;
	}
	if (actor == NULL) {
		actor = &monitor.lasting[monitor.next_to_end++ % LASTING_MAX];
		end_actor(actor, false);
	}
	return start_actor(actor, who) ? actor : NULL;
}

/* Has the request done by an actor. False: it did not answer. */
static bool have_done(struct actor *actor, const struct msg_act_request *request, int queue_fd,
		      struct msg_act_answer *ret)
{
	int64_t limit_ms = SPARE_MS + (int64_t)monitor.rules->time_limit_s * 1000;

	return IPC_SEND(&actor->channel, act_request, request, queue_fd, clock_in_ms(SEND_MS)) ==
		       IPC_OK &&
	       IPC_EXPECT(&actor->channel, act_answer, ret, clock_in_ms(limit_ms)) == IPC_OK;
}

static void send_answer(const struct msg_act_answer *answer)
{
	/* Without a reader nobody needs us. */
	if (IPC_SEND(&monitor.worker, act_answer, answer, -1, clock_in_ms(SEND_MS)) != IPC_OK)
		_exit(0);
}

static void act_as(const struct actor_identity *who, const struct msg_act_request *request,
		   int queue_fd, struct act *act)
{
	struct actor once = { 0 }, *actor = who->is_lasting ? lasting_actor(who) : &once;
	struct msg_act_answer answer;
	bool is_good = true;

	if (actor == NULL || (actor == &once && !start_actor(&once, who))) {
		answer_failure(&answer, act, errno, "cannot start a process");
	} else if (!have_done(actor, request, queue_fd, &answer)) {
		is_good = false;
		answer_failure(&answer, act, EIO, "the delivering process died or took too long");
	}
	send_answer(&answer);
	if (!is_good || !who->is_lasting)
		end_actor(actor, !is_good);
}

static void serve_request(const struct msg_act_request *request, int queue_fd)
{
	struct actor_identity who = { 0 };
	struct msg_act_answer answer;
	struct act act;
	int error = request->verb < 32 && (monitor.rules->verbs & (1U << request->verb)) != 0
			    ? monitor.rules->identify(request, &who)
			    : EPERM;

	act_init(&act);
	if (error != 0) {
		answer_failure(&answer, &act, error, "cannot find out who the user is");
		send_answer(&answer);
	} else if (request->verb == ACTOR_LOOKUP) {
		answer = (struct msg_act_answer){ .status = span_of("2.0.0"),
						  .user = span_of(who.name),
						  .home = span_of(who.home),
						  .shell = span_of(who.shell) };
		send_answer(&answer);
	} else {
		act_as(&who, request, queue_fd, &act);
	}
	act_done(&act);
}

NORETURN static void monitor_main(int fd, const struct actor_rules *rules)
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
	for (size_t i = 0; i < LASTING_MAX; i++)
		end_actor(&monitor.lasting[i], false);
	_exit(0);
}

/* ---- the worker's side ---- */

static struct {
	struct ipc_channel monitor;
	int limit_ms;
} ask;

void actor_start(const struct actor_rules *rules)
{
	int pair[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		fatal("socketpair: %s", strerror(errno));
	pid = fork_patiently();
	if (pid < 0)
		fatal("fork: %s", strerror(errno));
	if (pid == 0)
		monitor_main(pair[1], rules);
	(void)close(pair[1]);
	ipc_attach(&ask.monitor, pair[0]);
	ask.limit_ms = 2 * SPARE_MS + rules->time_limit_s * 1000;
}

void actor_ask(const struct msg_act_request *request, int queue_fd, struct msg_act_answer *ret)
{
	enum ipc_status status = IPC_SEND(&ask.monitor, act_request, request, queue_fd,
					  clock_in_ms(SEND_MS));

	if (status == IPC_OK)
		status = IPC_EXPECT(&ask.monitor, act_answer, ret, clock_in_ms(ask.limit_ms));
	if (status == IPC_OK && dsn_status_length(ret->status) == ret->status.n && ret->status.n > 0)
		return;
	*ret = (struct msg_act_answer){ .status = SPAN("4.3.0"), .error = EIO,
					.reason = SPAN("local delivery process failure") };
	if (status != IPC_BROKEN || errno != EMSGSIZE) {
		/* A late answer would be taken for that of the next request. */
		ipc_close(&ask.monitor);
		service_end_worker();
	}
}
