/* SPDX-License-Identifier: MIT */
#ifndef POSTMAP_TOOL_H
#define POSTMAP_TOOL_H

/* What postmap and postalias share: all but their names and the format of their sources. */

#include "base/buf.h"
#include "table/table.h"

/* What differs between the two commands. */
struct tool_format {
	const char *name; /* as in the log lines */
	const char *usage;
	const char *letters; /* for getopt(3) */
	const char *separator; /* between key and value in what is printed */
	/*
	 * Splits one logical line of a source into key and value. False after a warning that
	 * names file and line when it is not an entry.
	 */
	bool (*split)(const char *file, unsigned line, struct span text, struct buf *ret_key,
		      struct buf *ret_value);
};

struct tool {
	const struct tool_format *format;
	const char *config_directory;
	const char *query; /* -q */
	const char *remove; /* -d */
	bool wants_listing; /* -s */
	bool is_incremental; /* -i */
	bool keeps_case; /* -f */
	bool has_file_values; /* -F */
	bool wants_headers, wants_body, parses_mime; /* -h, -b, -m */
	bool forces_utf8, has_no_utf8; /* -U, -u */
	bool wants_json; /* -j */
	bool keeps_root; /* -o */
	bool ignores_permissions; /* -p */
	bool replaces_duplicates, ignores_duplicates; /* -r, -w */
	unsigned nul_flags; /* -N, -n */
};

int tool_main(int argc, char **argv, const struct tool_format *format);

/* The flags of table_open() for what the options say. */
unsigned tool_flags(const struct tool *tool);

/* Opens a table named by the user, "type:" left out or not. Fatal when that fails. */
struct table *tool_open(const char *name, unsigned flags);

/* build.c: makes the table from its source, or with -i adds what standard input says. */
void build_table(const struct tool *tool, const char *name);

/* query.c: -q, -d, -s over all tables. True when something was found. */
bool query_key(const struct tool *tool, char **names);
bool query_stream(const struct tool *tool, char **names);
bool remove_keys(const struct tool *tool, char **names);
void list_tables(const struct tool *tool, char **names);

/*
 * message.c: reads a message from standard input and hands each logical header, or each line of
 * the body, to `ask`: with -m by MIME structure, else up to the first line that is no header.
 */
void message_walk(const struct tool *tool, void (*ask)(void *context, struct span key),
		  void *context);

#endif
