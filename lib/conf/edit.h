/* SPDX-License-Identifier: MIT */
#ifndef CONF_EDIT_H
#define CONF_EDIT_H

/*
 * Changing a configuration file so that readers see the old or the new one whole. Two who
 * change it at the same time go one after the other.
 */

#include "base/buf.h"

struct conf_edit {
	char *path; /* of the file itself, symbolic links followed */
	char *temp_path;
	int temp_fd; /* holds the lock */
	struct buf text; /* the bytes of the file */
};

/*
 * Locks out other editors and reads the file. False with errno: it cannot be read, or no file
 * can be made beside it. Ends with conf_edit_commit() or conf_edit_cancel().
 */
MUST_USE bool conf_edit_begin(struct conf_edit *edit, const char *path);

/* Puts `text` in its place, with its owner and mode, and flushes it to disk; false with errno. */
MUST_USE bool conf_edit_commit(struct conf_edit *edit, struct span text);

void conf_edit_cancel(struct conf_edit *edit);

#endif
