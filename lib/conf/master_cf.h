/* SPDX-License-Identifier: MIT */
#ifndef CONF_MASTER_CF_H
#define CONF_MASTER_CF_H

/*
 * master.cf (master(5)): one service a logical line, with the columns
 * service type private unprivileged chroot wakeup maxproc command [arguments].
 */

#include "conf/dict.h"

enum master_type { MASTER_INET, MASTER_UNIX, MASTER_FIFO, MASTER_UNIX_DGRAM, MASTER_PASS };
enum master_flag { MASTER_NO, MASTER_YES, MASTER_DEFAULT };

enum master_column {
	MASTER_COL_NAME,
	MASTER_COL_TYPE,
	MASTER_COL_PRIVATE,
	MASTER_COL_UNPRIVILEGED,
	MASTER_COL_CHROOT,
	MASTER_COL_WAKEUP,
	MASTER_COL_MAXPROC,
	MASTER_COL_COMMAND, /* the program and all arguments */
	MASTER_COL_COUNT
};

/* The column names as postconf -F has them, by enum master_column. */
extern const char *const master_column_names[MASTER_COL_COUNT];

/* Values of maxproc: 0 is no limit. */
enum { MASTER_MAXPROC_DEFAULT = -1 };

struct master_service {
	char *name;
	enum master_type type;
	const char *type_name;
	enum master_flag private_service; /* "-" (MASTER_DEFAULT) means yes */
	enum master_flag unprivileged; /* "-" means yes */
	enum master_flag chroot; /* "-" is for master to decide */
	int wakeup_seconds; /* 0: never */
	bool wakeup_on_use; /* "n?": not before the first use */
	int maxproc; /* MASTER_MAXPROC_DEFAULT: $default_process_limit */
	char *command; /* the program */
	int argc; /* arguments without the program and without -o options; in { } as one */
	char **argv; /* argc strings and a NULL */
	struct conf_dict overrides; /* the -o options, in order */
	int word_count;
	char **words; /* all arguments in order; -o and its setting are two */
	char *columns[MASTER_COL_COMMAND]; /* as written */
	struct span source; /* bytes of the text given to master_cf_parse(), borrowed */
	const char *file;
	int line; /* first line of the entry */
	bool is_replaced; /* a later entry with this name and type counts */
};

struct master_cf {
	struct master_service **services; /* in the order of the file */
	size_t count;
	char *file; /* as messages name it */
};

void master_cf_done(struct master_cf *table); /* accepts a zeroed struct */

/*
 * Parses the bytes of a master.cf and adds its services. A line that is wrong is reported as
 * an error, with what was expected, and left out; an earlier service with the same name and type is
 * marked is_replaced, and a warning goes to the report.
 */
void master_cf_parse(struct master_cf *table, struct span text, struct conf_report *report);

/* Reads a file and parses it; false, with errno, when it cannot be read. */
MUST_USE bool master_cf_read(struct master_cf *table, const char *path,
			     struct conf_report *report);

/* The service that counts for a name and type ("smtp", "inet"), or NULL. */
struct master_service *master_cf_find(const struct master_cf *table, struct span name,
				      struct span type);

/*
 * Next argument of a command line: blanks separate; "{ a b }" is one, without the braces and the
 * blanks inside next to them (*ret_braced says so). An empty span with NULL pointer at the end.
 * False when a brace is not closed or followed by other text.
 */
MUST_USE bool master_cf_argument(struct span *rest, struct span *ret_argument, bool *ret_braced);

#endif
