/* SPDX-License-Identifier: MIT */
#ifndef POSTMULTI_H
#define POSTMULTI_H

/* What the files of postmulti(1) share: the instances of this machine, and how to act on them. */

#include "base/buf.h"

/* One instance: its configuration directory, and what its main.cf says. All texts are owned. */
struct instance {
	char *directory;
	char *name, *group; /* "" when it has none */
	char *queue_directory, *data_directory;
	char *command_directory, *daemon_directory;
	bool is_enabled;
};

/* The primary instance first, then those of multi_instance_directories, in their order. */
struct instances {
	struct instance *list;
	size_t count;
	bool is_managed;         /* multi_instance_enable of the primary one */
	const char *wrapper;     /* multi_instance_wrapper of the primary one */
};

/* What options select: all members of a group, or one by name or directory ("-": the first). */
struct selection {
	const char *group, *name;
};

/* instances.c: reads all; what cannot be read is fatal(). */
void instances_load(struct instances *ret);

/* Reads the main.cf in `directory`. */
void instance_load(struct instance *ret, const char *directory);

bool instance_is_selected(const struct instances *all, size_t index,
			  const struct selection *selection);

/*
 * Runs a command with MAIL_CONFIG and the directories of an instance in its environment, and
 * waits. Its exit status; 128 and its number for a signal.
 */
int instance_run(const struct instance *instance, char *const *argv);

/* The same for a command of the mail system, which is in command_directory. */
int instance_run_own(const struct instance *instance, const char *command, char *const *arguments);

/* ---- lifecycle.c: -e ---- */

struct lifecycle {
	const char *action;
	struct selection selection;
	bool at_front;                   /* -a */
	const char *new_name, *new_group; /* -I, -G; NULL: not given */
	char *const *settings;           /* name=value, to NULL */
};

int lifecycle_run(struct instances *all, const struct lifecycle *what);

#endif
