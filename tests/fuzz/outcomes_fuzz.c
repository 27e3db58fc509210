/* SPDX-License-Identifier: MIT */
/*
 * A log of outcomes that anything may have happened to: its records alone, the file as it is on the
 * disk, and what an append makes of it, which must be there afterwards.
 */

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "queue/outcomes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct queue_dirs dirs;
static char name[32];

/* Where logs are: a directory for this process. */
static void start(void)
{
	const char *place = getenv("TMPDIR");

	dirs.fds[QUEUE_BOUNCE] = open(place != NULL ? place : "/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dirs.fds[QUEUE_BOUNCE] < 0)
		abort();
	(void)snprintf(name, sizeof(name), "outcomes_fuzz.%ld", (long)getpid());
}

/* How many outcomes the log has; those of damaged records and behind are gone. */
static size_t count(void)
{
	struct buf log = BUF_INIT(1 << 24);
	struct msg_outcome outcome;
	struct span rest;
	size_t found = 0;

	if (!queue_outcomes_read(&dirs, QUEUE_BOUNCE, name, &log))
		abort();
	for (rest = buf_span(&log); queue_outcomes_next(&rest, &outcome); found++)
		if (outcome.reason.n > log.length)
			abort();
	buf_done(&log);
	return found;
}

/* A log that is larger than there is room for is not read in part. It has one outcome at least. */
static void check_limit(bool is_whole)
{
	struct buf log = BUF_INIT(8);

	if (queue_outcomes_read(&dirs, QUEUE_BOUNCE, name, &log) ? is_whole : errno != EFBIG)
		abort();
	buf_done(&log);
}

/* There is no log: reading says so, and one cannot be made under a name that is a directory. */
static void check_missing(struct span record)
{
	struct buf log = BUF_INIT(4096);

	if (queue_outcomes_read(&dirs, QUEUE_BOUNCE, name, &log) || errno != ENOENT ||
	    queue_outcomes_append(&dirs, QUEUE_BOUNCE, ".", record, false))
		abort();
	buf_done(&log);
}

static void check_file(struct span bytes)
{
	struct msg_outcome outcome = { .address = SPAN("a@b"), .status = SPAN("5.1.1"),
				       .reason = SPAN("no") };
	struct buf record = BUF_INIT(4096);
	int fd = openat(dirs.fds[QUEUE_BOUNCE], name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 || write(fd, bytes.p, bytes.n) != (ssize_t)bytes.n || close(fd) < 0)
		abort();
	(void)count();
	if (!msg_outcome_encode(&record, &outcome) ||
	    !queue_outcomes_append(&dirs, QUEUE_BOUNCE, name, buf_span(&record), false) ||
	    queue_outcomes_append(&dirs, QUEUE_BOUNCE, name, SPAN("x"), false))
		abort();
	if (bytes.n == 0 && count() != 1)
		abort();
	check_limit(bytes.n == 0);
	(void)unlinkat(dirs.fds[QUEUE_BOUNCE], name, 0);
	check_missing(buf_span(&record));
	buf_done(&record);
}

/* A log that takes several reads has them all. */
static void check_long(void)
{
	struct msg_outcome outcome = { .address = SPAN("a@b"), .status = SPAN("5.1.1"),
				       .reason = SPAN("no such user here, and none of a similar name") };
	struct buf records = BUF_INIT(IPC_RECORD_MAX);

	for (size_t i = 0; i < 1000; i++)
		if (!msg_outcome_encode(&records, &outcome))
			abort();
	for (size_t appended = 1000; appended <= 2000; appended += 1000)
		if (!queue_outcomes_append(&dirs, QUEUE_BOUNCE, name, buf_span(&records), false) ||
		    count() != appended)
			abort();
	(void)unlinkat(dirs.fds[QUEUE_BOUNCE], name, 0);
	buf_done(&records);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span input = { (const char *)data, size }, rest = input;
	struct msg_outcome outcome;

	if (name[0] == '\0') {
		start();
		check_long();
	}
	while (queue_outcomes_next(&rest, &outcome))
		if (outcome.reason.n > size)
			abort();
	check_file((struct span){ NULL, 0 });
	check_file(input);
	return 0;
}
