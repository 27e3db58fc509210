/* SPDX-License-Identifier: MIT */
/*
 * pickup: hands the mail in maildrop to cleanup. postdrop puts it there for local users, and
 * postsuper -r queue files. Runs when postdrop says that there is something, and by master's timer.
 * Runs as uid queue in the queue directory. Nothing in a file is trusted: it is a user's. Manual:
 * pickup(8).
 */

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/event.h"
#include "base/fd.h"
#include "base/log.h"
#include "proc/service.h"
#include "queue/walk.h"
#include "services/pickup/pickup.h"

/* How long to leave maildrop alone when something in it has to wait, and when more has come since. */
enum { PAUSE_MS = 5000, SHORT_PAUSE_MS = 200, SCRAPS_AGE_S = 10 };

static struct {
	struct queue_dirs dirs;
	struct event_timer pause;
	bool may_shorten; /* the pause: cleanup is there, and only some files have to wait */
} state;

static void collect(void);

static void on_pause_end(struct event_timer *timer)
{
	(void)timer;
	collect();
}

static bool set_aside(const char *name, const char *why)
{
	log_warn("maildrop/%s: %s; moved to corrupt", name, why);
	if (queue_move(&state.dirs, name, QUEUE_MAILDROP, QUEUE_CORRUPT))
		return true;
	log_warn("maildrop/%s: cannot be moved to corrupt: %s", name, strerror(errno));
	return false;
}

static bool remove_taken(const char *name)
{
	if (queue_remove(&state.dirs, QUEUE_MAILDROP, name))
		return true;
	log_warn("maildrop/%s: cannot be removed: %s", name, strerror(errno));
	return false;
}

/* A file of the owner of the queue that not everybody may read is a queue file. */
static bool is_queue_file(const struct stat *st)
{
	return st->st_uid == geteuid() && (st->st_mode & S_IROTH) == 0;
}

static enum pickup_result take(const char *name)
{
	struct stat st;
	enum pickup_result result;
	int fd = openat(state.dirs.fds[QUEUE_MAILDROP], name,
			O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return errno == ENOENT	? PICKUP_DONE
		       : errno == ELOOP ? PICKUP_DAMAGED
					: PICKUP_LATER;
	if (fstat(fd, &st) < 0) {
		(void)close(fd);
		return PICKUP_LATER;
	}
	if (!S_ISREG(st.st_mode) || st.st_nlink != 1) {
		(void)close(fd);
		return PICKUP_DAMAGED;
	}
	if (is_queue_file(&st))
		return take_requeued(fd, name, st.st_uid);
	result = take_submission(fd, name, st.st_uid);
	(void)close(fd);
	return result;
}

/* One file: PICKUP_DONE when it has gone, PICKUP_LATER when it stays, PICKUP_STOP. */
static enum pickup_result collect_one(const char *name)
{
	enum pickup_result result = take(name);
	bool has_gone = true;

	switch (result) {
	case PICKUP_LATER:
	case PICKUP_STOP: return result;
	case PICKUP_DONE: has_gone = remove_taken(name); break;
	case PICKUP_DAMAGED: has_gone = set_aside(name, "damaged, or no file of postdrop"); break;
	case PICKUP_REFUSED: has_gone = set_aside(name, "refused"); break;
	}
	return has_gone ? PICKUP_DONE : PICKUP_LATER;
}

/*
 * Whether a file has no postdrop any more. A postdrop locks its file right after it has made it; one
 * that needs longer finds the file gone when it wants to put it in place.
 */
static bool is_scrap(const char *name)
{
	int fd = openat(state.dirs.fds[QUEUE_MAILDROP], name,
			O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;
	bool is_left;

	if (fd < 0)
		return false;
	is_left = fstat(fd, &st) == 0 &&
		  clock_wall_now().us / 1000000 - st.st_mtime >= SCRAPS_AGE_S &&
		  flock(fd, LOCK_EX | LOCK_NB) == 0;
	(void)close(fd);
	return is_left;
}

/* Removes what a postdrop that was killed left behind. */
static void remove_scraps(void)
{
	int dir = state.dirs.fds[QUEUE_MAILDROP];
	DIR *stream = fd_open_dir(dir, ".");
	struct dirent *entry;

	while (stream != NULL && (entry = readdir(stream)) != NULL)
		if (strncmp(entry->d_name, "tmp.", 4) == 0 && is_scrap(entry->d_name))
			(void)unlinkat(dir, entry->d_name, 0);
	if (stream != NULL)
		(void)closedir(stream);
}

/*
 * Everything that is there, until a walk through the directory finds nothing to do. A file that
 * has to wait holds nobody up; it is tried again after a pause, as all are without cleanup.
 */
static void collect(void)
{
	enum pickup_result result = PICKUP_DONE;
	bool must_wait;
	int done;

	event_cancel(&state.pause);
	do {
		struct queue_walk walk = { .stream = NULL };
		char name[QUEUE_ID_MAX];

		done = 0;
		must_wait = !queue_walk_start(&walk, &state.dirs, QUEUE_MAILDROP);
		if (must_wait)
			log_warn("open maildrop: %s", strerror(errno));
		while (result != PICKUP_STOP && queue_walk_next(&walk, name)) {
			result = collect_one(name);
			done += result == PICKUP_DONE;
			must_wait |= result != PICKUP_DONE;
		}
		queue_walk_end(&walk);
		must_wait |= walk.error != 0;
	} while (result != PICKUP_STOP && done > 0);
	state.may_shorten = result != PICKUP_STOP;
	if (must_wait)
		event_at(&state.pause, clock_in_ms(PAUSE_MS), on_pause_end);
}

/* Whoever writes or connects says by that alone that there is mail. */
static void on_letters(struct span letters)
{
	(void)letters;
	if (!event_is_set(&state.pause)) {
		collect();
	} else if (state.may_shorten) {
		state.may_shorten = false;
		event_at(&state.pause, clock_in_ms(SHORT_PAUSE_MS), on_pause_end);
	}
}

static void on_connection(int fd, const char *client)
{
	(void)client;
	(void)close(fd);
	on_letters(SPAN(""));
}

static void on_wakeup(void)
{
	remove_scraps();
	collect();
}

static void start(void)
{
	service_open_queue(&state.dirs);
	on_wakeup();
}

int main(int argc, char **argv)
{
	static const struct service_program program = {
		.name = "pickup",
		.kind = SERVICE_LOOP,
		.start = start,
		.on_connection = on_connection,
		.on_letters = on_letters,
		.on_wakeup = on_wakeup,
	};

	return service_main(argc, argv, &program);
}
