/* SPDX-License-Identifier: MIT */
/*
 * postsuper(1): deletes, holds, releases, requeues and expires messages, and tidies the queue.
 * For the superuser, with the mail system up or down. While it runs, the queue manager is asked
 * to let go of each message before the file is touched, and told afterwards; else the file's
 * lock says whether somebody has it. Queue ids from the command line and from standard input
 * name files only when they look like queue ids.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/htab.h"
#include "base/log.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "proc/command.h"
#include "queue/dirs.h"
#include "queue/verbs.h"
#include "queue/walk.h"

enum { LET_GO_MS = 5000, LEFTOVER_AGE_S = 600, BATCH_BYTES = 8192, DELETERS = 4 };

static struct {
	struct queue_dirs dirs;
	struct ipc_channel qmgr; /* closed: the mail system is down */
	unsigned chosen;         /* bits of directories on the command line; 0: the defaults */
	bool is_active_chosen;
	struct htab active;      /* ids, when is_active_chosen */
} state = { .qmgr = { .fd = -1, .passed_fd = -1 } };

/* What was asked to be done; one row an option. */
struct action {
	char option;
	const char *done;    /* "removed" */
	const char *summary; /* "Deleted" */
	unsigned dirs;       /* where it looks unless directories were named */
	bool (*act)(const char *id, enum queue_dir dir);
	bool is_silent_for_all;
	bool is_wanted;
	size_t count;
	struct htab ids; /* from the command line */
	bool is_all, is_stdin;
};

static bool act_delete(const char *id, enum queue_dir dir);
static bool act_expire(const char *id, enum queue_dir dir);
static bool act_hold(const char *id, enum queue_dir dir);
static bool act_release(const char *id, enum queue_dir dir);
static bool act_requeue(const char *id, enum queue_dir dir);

#define IN(dir) (1u << (dir))
#define IN_QUEUE (IN(QUEUE_INCOMING) | IN(QUEUE_DEFERRED))

/* In the order in which they are done. -f is -e and -H in one. */
static struct action actions[] = {
	{ .option = 'r', .done = "requeued", .summary = "Requeued",
	  .dirs = IN_QUEUE | IN(QUEUE_HOLD), .act = act_requeue },
	{ .option = 'h', .done = "placed on hold", .summary = "Placed on hold", .dirs = IN_QUEUE,
	  .act = act_hold },
	{ .option = 'e', .done = "expired", .summary = "Force-expired",
	  .dirs = IN_QUEUE | IN(QUEUE_HOLD), .act = act_expire },
	{ .option = 'H', .done = "released from hold", .summary = "Released from hold",
	  .dirs = IN(QUEUE_HOLD), .act = act_release },
	{ .option = 'd', .done = "removed", .summary = "Deleted",
	  .dirs = IN_QUEUE | IN(QUEUE_HOLD) | IN(QUEUE_MAILDROP), .act = act_delete,
	  .is_silent_for_all = true },
};

static struct action *find_action(char option)
{
	for (size_t i = 0; i < ARRAY_LEN(actions); i++)
		if (actions[i].option == option)
			return &actions[i];
	return NULL;
}

NORETURN static void usage(void)
{
	fatal("usage: postsuper [-c config_dir] [-d queue_id (delete)] [-e queue_id (expire)] "
	      "[-f queue_id (expire and/or un-hold)] [-h queue_id (hold)] [-H queue_id (un-hold)] "
	      "[-p (purge temporary files)] [-r queue_id (requeue)] [-s (structure fix)] "
	      "[-S (redundant structure fix)] [-v (verbose)] [queue...]");
}

/* ---- the queue manager ---- */

static void connect_qmgr(void)
{
	int fd = command_connect(conf->queue_service_name, clock_in_ms(LET_GO_MS));

	ipc_close(&state.qmgr);
	if (fd >= 0)
		ipc_attach(&state.qmgr, fd);
}

/* Whether the message may be touched. An agent that has it can take minutes. */
static bool let_go(const char *id)
{
	struct msg_queue_command command = { .verb = QUEUE_LET_GO, .queue_id = span_of(id) };
	struct msg_queue_answer answer;

	if (!ipc_is_open(&state.qmgr))
		return true;
	if (command_ask(&state.qmgr, &command, &answer, clock_in_ms(LET_GO_MS)))
		return answer.result == QUEUE_DONE;
	/* A late answer may not be taken for that to another question. */
	connect_qmgr();
	return false;
}

/*
 * The same for many: those of `ids` (a line each) that qmgr has not scheduled. The others are
 * in *ret_scheduled, borrowed until the next question.
 */
static bool let_go_idle(struct span ids, struct span *ret_scheduled)
{
	struct msg_queue_command command = { .verb = QUEUE_LET_GO_IDLE, .ids = ids };
	struct msg_queue_answer answer;

	*ret_scheduled = ids;
	if (!ipc_is_open(&state.qmgr))
		return false;
	if (!command_ask(&state.qmgr, &command, &answer, clock_in_ms(LET_GO_MS))) {
		connect_qmgr();
		return false;
	}
	*ret_scheduled = answer.text;
	return true;
}

/* One id, or many (a line each). */
static void give_back(const char *id, struct span ids)
{
	struct msg_queue_command command = { .verb = QUEUE_TAKE, .queue_id = span_of(id),
					     .ids = ids };
	struct msg_queue_answer answer;

	if (ipc_is_open(&state.qmgr) &&
	    !command_ask(&state.qmgr, &command, &answer, clock_in_ms(LET_GO_MS)))
		connect_qmgr();
}

static void load_active(void)
{
	struct msg_queue_command command = { .verb = QUEUE_LIST_ACTIVE };
	struct msg_queue_answer answer = { .more = false };

	if (!ipc_is_open(&state.qmgr) ||
	    !command_ask(&state.qmgr, &command, &answer, clock_in_ms(LET_GO_MS)))
		return;
	for (;;) {
		struct span rest = answer.text, id;

		while (span_line(&rest, &id))
			(void)htab_put(&state.active, id, &state);
		if (!answer.more || IPC_EXPECT(&state.qmgr, queue_answer, &answer,
					       clock_in_ms(LET_GO_MS)) != IPC_OK)
			return;
	}
}

/* ---- what is done to one message ---- */

static void remove_logs(const char *id)
{
	static const enum queue_dir logs[] = { QUEUE_BOUNCE, QUEUE_DEFER, QUEUE_TRACE };

	for (size_t i = 0; i < ARRAY_LEN(logs); i++)
		(void)queue_remove(&state.dirs, logs[i], id);
}

static bool act_delete(const char *id, enum queue_dir dir)
{
	if (unlinkat(queue_dir_fd(&state.dirs, dir, id), id, 0) < 0)
		return false;
	remove_logs(id);
	return true;
}

static bool act_hold(const char *id, enum queue_dir dir)
{
	return queue_move(&state.dirs, id, dir, QUEUE_HOLD);
}

static bool act_release(const char *id, enum queue_dir dir)
{
	queue_try_now(&state.dirs, dir, id);
	return queue_move(&state.dirs, id, dir, QUEUE_DEFERRED);
}

/* pickup gives it to cleanup once more. */
static bool act_requeue(const char *id, enum queue_dir dir)
{
	if (!queue_move(&state.dirs, id, dir, QUEUE_MAILDROP))
		return false;
	remove_logs(id);
	return true;
}

static bool act_expire(const char *id, enum queue_dir dir)
{
	int fd = queue_open_in(&state.dirs, dir, id, O_RDWR);
	struct queue_notes notes;
	bool is_changed = false;

	if (fd < 0)
		return false;
	if (queue_read_notes(fd, &notes) && !notes.is_expired) {
		notes.is_expired = true;
		is_changed = queue_write_notes(fd, &notes) && queue_flush(fd);
	}
	(void)close(fd);
	return is_changed;
}

/* While the mail system is down the lock tells whether an agent still has it. */
static bool is_locked(const char *id, enum queue_dir dir)
{
	int fd = dir != QUEUE_MAILDROP ? queue_open_in(&state.dirs, dir, id, O_RDONLY) : -1;
	bool is_locked = fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0;

	if (fd >= 0)
		(void)close(fd);
	return is_locked;
}

static unsigned dirs_of(const struct action *action)
{
	if (state.chosen == 0 && !state.is_active_chosen)
		return action->dirs;
	return (state.chosen | (state.is_active_chosen ? IN_QUEUE : 0)) & action->dirs;
}

/* "active" names the messages that the queue manager has, wherever their files are. */
static bool is_chosen(const char *id, enum queue_dir dir)
{
	if (state.chosen == 0 && !state.is_active_chosen)
		return true;
	return (state.chosen & IN(dir)) != 0 || htab_get(&state.active, span_of(id)) != NULL;
}

static void note_done(struct action *action, const char *id)
{
	action->count++;
	if (!action->is_all || !action->is_silent_for_all)
		log_info("%s: %s", id, action->done);
}

static bool do_in(struct action *action, const char *id, enum queue_dir dir)
{
	struct stat st;
	bool is_done = false, is_free;

	if (!queue_stat(&state.dirs, dir, id, &st) || !is_chosen(id, dir))
		return false;
	is_free = let_go(id);
	if (is_free && !ipc_is_open(&state.qmgr) && is_locked(id, dir))
		is_free = false;
	/* What is to be deleted goes, though a delivery under way may still succeed. */
	if (!is_free && action->option != 'd')
		log_warn("%s: is being delivered; try again later", id);
	else
		is_done = action->act(id, dir);
	if (is_done)
		note_done(action, id);
	give_back(id, SPAN(""));
	return is_done;
}

static void do_one(struct action *action, const char *id)
{
	/* Twice: qmgr may move it from one directory to the next. */
	for (int round = 0; round < 2; round++)
		for (int dir = 0; dir < QUEUE_DIR_COUNT; dir++)
			if ((dirs_of(action) & IN(dir)) != 0 &&
			    do_in(action, id, (enum queue_dir)dir))
				return;
}

static bool next_id(struct span *rest, char ret_id[QUEUE_ID_MAX])
{
	struct span line;

	if (!span_line(rest, &line) || line.n >= QUEUE_ID_MAX)
		return false;
	(void)snprintf(ret_id, QUEUE_ID_MAX, "%.*s", SPAN_ARG(line));
	return true;
}

/* Every `parts`-th of those that nobody works on, from the one with number `part` on. */
static void do_idle(struct action *action, struct span ids, const struct htab *others,
		    enum queue_dir dir, size_t part, size_t parts)
{
	char id[QUEUE_ID_MAX];

	for (size_t number = 0; next_id(&ids, id); number++)
		if (number % parts == part && htab_get(others, span_of(id)) == NULL &&
		    is_chosen(id, dir) && action->act(id, dir))
			note_done(action, id);
}

/*
 * Deleting waits for the disk, for each file by itself where the file system discards its blocks at
 * once, so that some processes do it together. What one that failed has left is done here.
 */
static void delete_together(struct action *action, struct span ids, const struct htab *others,
			    enum queue_dir dir)
{
	size_t before = action->count;
	size_t *counts = mmap(NULL, DELETERS * sizeof(*counts), PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pids[DELETERS] = { 0 };
	int status;

	if (counts == MAP_FAILED) {
		do_idle(action, ids, others, dir, 0, 1);
		return;
	}
	for (size_t i = 1; i < DELETERS; i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			do_idle(action, ids, others, dir, i, DELETERS);
			counts[i] = action->count - before;
			_exit(0);
		}
	}
	do_idle(action, ids, others, dir, 0, DELETERS);
	for (size_t i = 1; i < DELETERS; i++) {
		if (pids[i] < 0 || waitpid(pids[i], &status, 0) < 0 || status != 0)
			do_idle(action, ids, others, dir, i, DELETERS);
		action->count += counts[i];
	}
	(void)munmap(counts, DELETERS * sizeof(*counts));
}

/* Messages of one directory, `ids` a line each: first those that nobody works on, all at once. */
static void do_batch(struct action *action, struct span ids, enum queue_dir dir)
{
	struct span scheduled, rest = ids;
	struct htab others = { 0 };
	bool is_asked = let_go_idle(ids, &scheduled);
	char id[QUEUE_ID_MAX];

	if (is_asked) {
		while (next_id(&scheduled, id))
			(void)htab_put(&others, span_of(id), action);
		if (action->option == 'd')
			delete_together(action, ids, &others, dir);
		else
			do_idle(action, ids, &others, dir, 0, 1);
		give_back("", ids);
		rest = ids;
	}
	while (next_id(&rest, id))
		if (!is_asked || htab_get(&others, span_of(id)) != NULL)
			(void)do_in(action, id, dir);
	htab_done(&others, NULL);
}

static void do_all(struct action *action)
{
	for (int dir = 0; dir < QUEUE_DIR_COUNT; dir++) {
		struct queue_walk walk = { .stream = NULL };
		struct buf ids = BUF_INIT(BATCH_BYTES + QUEUE_ID_MAX);
		char id[QUEUE_ID_MAX];

		if ((dirs_of(action) & IN(dir)) == 0 ||
		    !queue_walk_start(&walk, &state.dirs, (enum queue_dir)dir))
			continue;
		while (queue_walk_next(&walk, id)) {
			(void)buf_printf(&ids, "%s\n", id);
			if (ids.length < BATCH_BYTES)
				continue;
			do_batch(action, buf_span(&ids), (enum queue_dir)dir);
			buf_reset(&ids);
		}
		if (ids.length > 0)
			do_batch(action, buf_span(&ids), (enum queue_dir)dir);
		if (walk.error != 0)
			log_warn("read directory %s: %s", queue_dir_name((enum queue_dir)dir),
				 strerror(walk.error));
		queue_walk_end(&walk);
		buf_done(&ids);
	}
}

/* ---- which messages ---- */

static void do_id(struct action *action, struct span id)
{
	char name[QUEUE_ID_MAX];

	if (id.n >= QUEUE_ID_MAX || !queue_id_is_valid(id)) {
		log_warn("invalid mail queue id: %s", log_clean(id));
		return;
	}
	(void)snprintf(name, sizeof(name), "%.*s", SPAN_ARG(id));
	do_one(action, name);
}

static void do_from_stdin(struct action *action)
{
	char line[256];

	while (fgets(line, sizeof(line), stdin) != NULL) {
		struct span id = span_trim(span_of(line));

		if (id.n > 0)
			do_id(action, id);
	}
}

static void run(struct action *action)
{
	struct htab_slot *cursor = NULL;
	struct span id;
	void *value;

	if (action->is_all)
		do_all(action);
	if (action->is_stdin)
		do_from_stdin(action);
	while (htab_next(&action->ids, &cursor, &id, &value))
		do_id(action, id);
}

/* ---- tidying ---- */

/* -p: what a process left that ended in the middle of writing. */
static void purge(void)
{
	struct queue_walk walk = { .stream = NULL };
	int64_t now = clock_wall_now().us / 1000000;
	char id[QUEUE_ID_MAX];

	if (!queue_walk_start(&walk, &state.dirs, QUEUE_INCOMING))
		return;
	while (queue_walk_next(&walk, id)) {
		int fd = queue_open_in(&state.dirs, QUEUE_INCOMING, id, O_RDONLY);
		struct queue_header header;
		struct stat st;

		if (fd < 0)
			continue;
		if (flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &st) == 0 &&
		    now - st.st_mtim.tv_sec > LEFTOVER_AGE_S &&
		    queue_read_header(fd, &header) == QUEUE_UNFINISHED &&
		    queue_remove(&state.dirs, QUEUE_INCOMING, id))
			log_info("%s: removed: unfinished file", id);
		(void)close(fd);
	}
	queue_walk_end(&walk);
}

static void on_sorted(const char *id)
{
	log_info("%s: moved within incoming to where it is looked for", id);
}

/* -s: nothing may be in active, for qmgr keeps that list in memory. */
static void fix_structure(void)
{
	struct queue_walk walk = { .stream = NULL };
	char id[QUEUE_ID_MAX];

	if (!queue_walk_start(&walk, &state.dirs, QUEUE_ACTIVE))
		return;
	while (queue_walk_next(&walk, id))
		if (queue_move(&state.dirs, id, QUEUE_ACTIVE, QUEUE_INCOMING))
			log_info("%s: moved from active to incoming", id);
	queue_walk_end(&walk);
	if (!queue_sort_incoming(&state.dirs, on_sorted))
		log_warn("incoming: %s", strerror(errno));
}

/* ---- command line ---- */

static void want(char option, const char *argument)
{
	struct action *action = find_action(option);

	action->is_wanted = true;
	if (strcmp(argument, "ALL") == 0)
		action->is_all = true;
	else if (strcmp(argument, "-") == 0)
		action->is_stdin = true;
	else
		(void)htab_put(&action->ids, span_of(argument), action);
}

static void choose_queue(const char *name)
{
	enum queue_dir dir;

	if (strcmp(name, "active") == 0)
		state.is_active_chosen = true;
	else if (queue_dir_find(span_of(name), &dir))
		state.chosen |= IN(dir);
	else
		fatal("invalid directory name: %s", name);
}

/* pickup looks by itself once in a while; a connection makes it look now. */
static void kick_pickup(void)
{
	int fd = command_connect(conf->pickup_service_name, clock_in_ms(LET_GO_MS));

	if (fd >= 0)
		(void)close(fd);
}

static void summarize(void)
{
	for (size_t i = 0; i < ARRAY_LEN(actions); i++)
		if (actions[i].is_wanted)
			log_info("%s: %zu message%s", actions[i].summary, actions[i].count,
				 actions[i].count == 1 ? "" : "s");
}

int main(int argc, char **argv)
{
	const char *directory = NULL;
	bool is_purge = false, is_fix = false, is_any = false;
	int option;

	log_open("postsuper", -1);
	while ((option = getopt(argc, argv, "c:d:e:f:h:H:pr:sSv")) != -1) {
		if (option == 'c')
			directory = optarg;
		else if (option == 'v')
			log_verbose(log_verbosity() + 1);
		else if (option == 'p')
			is_purge = true;
		else if (option == 's' || option == 'S')
			is_fix = true;
		else if (option == 'f') {
			want('e', optarg);
			want('H', optarg);
		} else if (option != '?' && find_action((char)option) != NULL)
			want((char)option, optarg);
		else
			usage();
	}
	conf_load_command(directory);
	command_log();
	if (getuid() != 0)
		fatal("use of this command is reserved for the superuser");
	for (int i = optind; i < argc; i++)
		choose_queue(argv[i]);
	if (!queue_dirs_open(&state.dirs, conf->queue_directory))
		fatal("open the queue directories in %s: %s", conf->queue_directory,
		      strerror(errno));
	connect_qmgr();
	if (state.is_active_chosen)
		load_active();
	for (size_t i = 0; i < ARRAY_LEN(actions); i++)
		is_any |= actions[i].is_wanted;
	/* Without any option it tidies everything. */
	if (is_fix || (!is_any && !is_purge))
		fix_structure();
	if (is_purge || (!is_any && !is_fix))
		purge();
	for (size_t i = 0; i < ARRAY_LEN(actions); i++)
		if (actions[i].is_wanted)
			run(&actions[i]);
	if (find_action('r')->count > 0)
		kick_pickup();
	summarize();
	ipc_close(&state.qmgr);
	return 0;
}
