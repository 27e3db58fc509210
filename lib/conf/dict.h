/* SPDX-License-Identifier: MIT */
#ifndef CONF_DICT_H
#define CONF_DICT_H

/*
 * The raw name = value settings of one main.cf, or of the -o options of one service, in the
 * order of the file, each with the place it came from. Nothing is expanded or checked here.
 */

#include "base/buf.h"
#include "base/htab.h"

/* A problem found in a configuration file. `file` may be "" and `line` 0 when there is none. */
enum conf_severity { CONF_IS_NOTE, CONF_IS_WARNING, CONF_IS_ERROR };

struct conf_problem {
	enum conf_severity severity;
	const char *file;
	int line;
	const char *name; /* the parameter, or "" */
	const char *text; /* the whole message, without file and line */
};

/* Takes each problem as it is found; everything in it is borrowed for the call. */
typedef void conf_problem_fn(void *context, const struct conf_problem *problem);

/* Where problems go: pass NULL for nowhere. `errors` counts those of severity CONF_IS_ERROR. */
struct conf_report {
	conf_problem_fn *report;
	void *context;
	int errors;
};

void conf_report(struct conf_report *report, enum conf_severity severity, const char *file,
		 int line, const char *name, const char *format, ...) PRINTF_LIKE(6, 7);

/* "FILE, line N: TEXT" or "FILE: TEXT" or "TEXT", as it is logged; static, until the next call. */
const char *conf_problem_text(const struct conf_problem *problem);

struct conf_setting {
	char *name;
	char *value;
	const char *file; /* belongs to the dict */
	int line;
	bool is_overridden; /* a later setting of the same name counts */
};

struct conf_dict {
	struct conf_setting **settings;
	size_t count;
	struct htab by_name;
	char *file; /* as messages name it */
};

enum { CONF_FILE_MAX = 16 * 1024 * 1024 }; /* bytes of a configuration file */

void conf_dict_done(struct conf_dict *dict); /* accepts a zeroed struct, an empty dict */

/* Sets a value; with `report`, an earlier one of the same name is warned about. */
void conf_dict_set(struct conf_dict *dict, struct span name, struct span value, int line,
		   struct conf_report *report);

/* The setting that counts, or NULL. */
const struct conf_setting *conf_dict_get(const struct conf_dict *dict, struct span name);

enum { CONF_NAME_MAX = 1000 }; /* bytes; a snapshot has room for 65,535 */

/*
 * Parses "name = value": blanks around both are dropped. NULL when it is good; otherwise what is
 * wrong, in words.
 */
const char *conf_assignment_parse(struct span text, struct span *ret_name, struct span *ret_value);

/* Adds what a main.cf file with these bytes sets; `dict->file` names it in messages. */
void conf_dict_parse(struct conf_dict *dict, struct span text, struct conf_report *report);

/*
 * Reads and adds a file. False, with errno and no report, when it cannot be read; CONF_FILE_MAX
 * bytes at most.
 */
MUST_USE bool conf_dict_read(struct conf_dict *dict, const char *path, struct conf_report *report);

/* The bytes of a file of at most CONF_FILE_MAX bytes; false with errno. */
MUST_USE bool conf_file_read(const char *path, struct buf *ret_text);

#endif
