/* SPDX-License-Identifier: MIT */
/*
 * Making a table from its source, atomically, or adding to it (-i). When root does that with a
 * source that somebody else owns, it is read with that user's rights, since with -F it names
 * files, and the table becomes that user's (postmap(1), option -o).
 */

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base64.h"
#include "base/lines.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "commands/postmap/tool.h"

enum { SOURCE_MAX = 1024 * 1024 * 1024 };

/* One source on its way into one table. */
struct build {
	const struct tool *tool;
	const char *file; /* as warnings name it */
	struct table *table;
	struct buf key, value;
	struct buf encoded; /* with -F, the content of the files */
};

static void read_file(int fd, const char *name, struct buf *text)
{
	if (!buf_read(text, fd))
		fatal("read %s: %s", name, errno == EFBIG ? "file is too large" : strerror(errno));
}

/*
 * -F: the value is a list of files. Their contents, with a line end between, are stored in
 * base64. False after a warning: the entry is left out.
 */
static bool take_files(struct build *build, unsigned line)
{
	struct span rest = buf_span(&build->value), name;
	struct buf text = BUF_INIT(BUF_LIMIT_DEFAULT);
	bool is_good = true, is_first = true;

	while (is_good && (name = span_word(&rest, ", \t\r\n")).n > 0) {
		char *path = mem_dup(name);
		int fd = open(path, O_RDONLY | O_CLOEXEC);

		if (!is_first)
			buf_char(&text, '\n');
		is_first = false;
		is_good = fd >= 0;
		if (is_good) {
			read_file(fd, path, &text);
			close(fd);
		} else {
			log_warn("%s, line %u: open %s: %s: skipping this entry", build->file,
				 line, path, strerror(errno));
		}
		free(path);
	}
	buf_reset(&build->encoded);
	is_good = is_good && base64_encode(&build->encoded, buf_span(&text));
	buf_done(&text);
	return is_good;
}

static void store(struct build *build, unsigned line)
{
	struct span value = buf_span(&build->value);

	if (build->tool->has_file_values) {
		if (!take_files(build, line))
			return;
		value = buf_span(&build->encoded);
	}
	switch (table_put(build->table, buf_span(&build->key), value)) {
	case TABLE_STORED: break;
	case TABLE_DUPLICATE:
		if (!build->tool->ignores_duplicates)
			log_warn("%s, line %u: duplicate entry: \"%s\"", build->file, line,
				 buf_str(&build->key));
		break;
	case TABLE_PUT_FAILED: fatal("%s", table_error(build->table));
	}
}

static void take_line(struct build *build, unsigned number, struct span line)
{
	if ((tool_flags(build->tool) & TABLE_UTF8) && !utf8_is_valid(line)) {
		log_warn("%s, line %u: non-UTF-8 input \"%s\" -- ignoring this line", build->file,
			 number, log_clean(line));
		return;
	}
	if (span_has(line, '\0')) {
		log_warn("%s, line %u: NUL byte in input -- ignoring this line", build->file, number);
		return;
	}
	if (build->tool->format->split(build->file, number, line, &build->key, &build->value))
		store(build, number);
}

static void take_source(struct build *build, struct span text)
{
	struct lines lines;
	struct span line;
	unsigned number;

	lines_init(&lines, text);
	while (lines_next(&lines, &line, &number))
		take_line(build, number, line);
	lines_done(&lines);
}

/* Reads the source from `fd` into the table. */
static void fill_table(const struct tool *tool, struct table *table, int fd, const char *file)
{
	struct build build = { .tool = tool, .file = file, .table = table };
	struct buf text = BUF_INIT(SOURCE_MAX);

	buf_init(&build.key, BUF_LIMIT_DEFAULT);
	buf_init(&build.value, BUF_LIMIT_DEFAULT);
	buf_init(&build.encoded, 2 * (size_t)BUF_LIMIT_DEFAULT);
	read_file(fd, file, &text);
	take_source(&build, buf_span(&text));
	buf_done(&text);
	buf_done(&build.key);
	buf_done(&build.value);
	buf_done(&build.encoded);
}

static void finish(struct table *table)
{
	if (!table_commit(table))
		fatal("%s", table_error(table));
	table_close(table);
}

static void add_from_input(const struct tool *tool, const char *name)
{
	struct table *table = tool_open(name, tool_flags(tool) | TABLE_WRITE);

	fill_table(tool, table, STDIN_FILENO, "stdin");
	finish(table);
}

/* Takes the rights of a user for a while; act_as_root() ends it. */
static void act_as(uid_t uid, gid_t gid)
{
	if (setgroups(1, &gid) != 0 || setegid(gid) != 0 || seteuid(uid) != 0)
		fatal("cannot take the rights of user %ld: %s", (long)uid, strerror(errno));
}

static void act_as_root(void)
{
	if (seteuid(0) != 0 || setegid(0) != 0)
		fatal("cannot take back the rights of root: %s", strerror(errno));
}

/*
 * Whether nobody but root can change what is in the folder of `path`. Only there may root make
 * and rename files on behalf of somebody who could not.
 */
static bool folder_is_roots(const struct stat *folder)
{
	return folder->st_uid == 0 && (folder->st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

static struct stat folder_of(const char *path)
{
	size_t slash;
	bool has_slash = span_rchr(span_of(path), '/', &slash);
	char *folder = has_slash ? mem_dup(span_first(span_of(path), slash + 1)) : mem_dup_str(".");
	struct stat st;

	if (stat(folder, &st) != 0)
		fatal("stat %s: %s", folder, strerror(errno));
	free(folder);
	return st;
}

/* Who owns the folder could put another file, or a link, in place of the source or the table. */
static void check_folder(const char *path, const struct stat *source, const struct stat *folder)
{
	if (geteuid() == 0 && folder->st_uid != 0 && folder->st_uid != source->st_uid)
		fatal("%s: its owner is user %ld, but its folder belongs to user %ld", path,
		      (long)source->st_uid, (long)folder->st_uid);
}

static void set_new_file(const struct tool *tool, const struct stat *source, bool is_owners)
{
	struct table_settings settings = table_settings_default();

	settings.new_file_mode = tool->ignores_permissions ? 0644 : source->st_mode & 0666;
	settings.new_file_owner = is_owners ? source->st_uid : (uid_t)-1;
	settings.new_file_group = is_owners ? source->st_gid : (gid_t)-1;
	table_setup(&settings);
}

static void build_from_source(const struct tool *tool, const char *name, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat source, folder;

	if (fd < 0 || fstat(fd, &source) != 0)
		fatal("open %s: %s", path, strerror(errno));
	folder = folder_of(path);
	check_folder(path, &source, &folder);

	bool is_owners = geteuid() == 0 && source.st_uid != 0 && !tool->keeps_root;
	bool with_root = is_owners && folder_is_roots(&folder);

	set_new_file(tool, &source, is_owners);
	if (is_owners && !with_root)
		act_as(source.st_uid, source.st_gid);

	struct table *table = tool_open(name, tool_flags(tool) | TABLE_REBUILD);

	if (with_root)
		act_as(source.st_uid, source.st_gid);
	fill_table(tool, table, fd, path);
	close(fd);
	if (with_root)
		act_as_root();
	finish(table);
	if (is_owners && !with_root)
		act_as_root();
}

void build_table(const struct tool *tool, const char *name)
{
	const char *colon = strchr(name, ':');

	if (tool->is_incremental)
		add_from_input(tool, name);
	else
		build_from_source(tool, name, colon != NULL ? colon + 1 : name);
}
