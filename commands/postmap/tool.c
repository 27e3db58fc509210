/* SPDX-License-Identifier: MIT */
/*
 * Options and configuration of postmap and postalias (postmap(1), postalias(1)). The commands
 * run as whoever calls them, mostly root; arguments and files are the caller's.
 */

#include "commands/postmap/tool.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "conf/conf.h"

static void warn(const char *text)
{
	log_warn("%s", text);
}

static void trace(const char *text)
{
	log_info("%s", text);
}

static void set_up_tables(void)
{
	struct table_settings settings = table_settings_default();

	settings.warn = warn;
	settings.trace = trace;
	settings.db_create_buffer_bytes = (size_t)conf->berkeley_db_create_buffer_size;
	settings.db_read_buffer_bytes = (size_t)conf->berkeley_db_read_buffer_size;
	settings.lmdb_map_bytes = (size_t)conf->lmdb_map_size;
	table_setup(&settings);
	table_register_databases();
}

NORETURN static void usage(const struct tool *tool)
{
	fatal("usage: %s %s", tool->format->name, tool->format->usage);
}

static void set_action(const struct tool *tool)
{
	if (tool->query != NULL || tool->remove != NULL || tool->wants_listing)
		fatal("specify only one of -s or -q or -d");
}

/* One option that stands for itself. False: it has a value, or there is no such option. */
static bool set_switch(struct tool *tool, int letter)
{
	switch (letter) {
	case 'b': tool->wants_body = true; return true;
	case 'f': tool->keeps_case = true; return true;
	case 'F': tool->has_file_values = true; return true;
	case 'h': tool->wants_headers = true; return true;
	case 'i': tool->is_incremental = true; return true;
	case 'j': tool->wants_json = true; return true;
	case 'm': tool->parses_mime = true; return true;
	case 'N': tool->nul_flags = TABLE_WITH_NUL; return true;
	case 'n': tool->nul_flags = TABLE_WITHOUT_NUL; return true;
	case 'o': tool->keeps_root = true; return true;
	case 'p': tool->ignores_permissions = true; return true;
	case 'r': tool->replaces_duplicates = true; return true;
	case 'u': tool->has_no_utf8 = true; return true;
	case 'U': tool->forces_utf8 = true; return true;
	case 'w': tool->ignores_duplicates = true; return true;
	default: return false;
	}
}

static void read_options(struct tool *tool, int argc, char **argv)
{
	int letter;

	while ((letter = getopt(argc, argv, tool->format->letters)) != -1) {
		if (set_switch(tool, letter))
			continue;
		switch (letter) {
		case 'c': tool->config_directory = optarg; break;
		case 'd':
			set_action(tool);
			tool->remove = optarg;
			break;
		case 'q':
			set_action(tool);
			tool->query = optarg;
			break;
		case 's':
			set_action(tool);
			tool->wants_listing = true;
			break;
		case 'v': log_verbose(log_verbosity() + 1); break;
		default: usage(tool);
		}
	}
	if (optind == argc)
		usage(tool);
	if ((tool->wants_headers || tool->wants_body || tool->parses_mime) &&
	    (tool->query == NULL || strcmp(tool->query, "-") != 0))
		fatal("specify -b -h or -m only with \"-q -\"");
	if (tool->wants_json && tool->query == NULL && !tool->wants_listing)
		fatal("specify -j only with -q or -s");
	if (tool->replaces_duplicates && tool->ignores_duplicates)
		fatal("specify only one of -r or -w");
}

unsigned tool_flags(const struct tool *tool)
{
	unsigned flags = tool->nul_flags;
	bool is_message = tool->wants_headers || tool->wants_body;

	if (!tool->keeps_case)
		flags |= TABLE_FOLD;
	if (conf->smtputf8_enable && !tool->has_no_utf8 && (!is_message || tool->forces_utf8))
		flags |= TABLE_UTF8;
	if (tool->replaces_duplicates)
		flags |= TABLE_REPLACE;
	return flags;
}

struct table *tool_open(const char *name, unsigned flags)
{
	struct buf error = BUF_INIT(BUF_LIMIT_DEFAULT);
	char *full = strchr(name, ':') != NULL
			     ? mem_dup_str(name)
			     : mem_printf("%s:%s", conf->default_database_type, name);
	struct table *table = table_open(full, flags, &error);

	if (table == NULL)
		fatal("%s", buf_str(&error));
	if (!table_is_loaded(table))
		fatal("%s", table_error(table));
	buf_done(&error);
	free(full);
	return table;
}

/* A signal must not leave a half-made change: they wait while tables are written. */
static void postpone_signals(void)
{
	sigset_t signals;

	(void)sigemptyset(&signals);
	(void)sigaddset(&signals, SIGINT);
	(void)sigaddset(&signals, SIGQUIT);
	(void)sigaddset(&signals, SIGTERM);
	(void)sigaddset(&signals, SIGHUP);
	(void)sigprocmask(SIG_BLOCK, &signals, NULL);
}

int tool_main(int argc, char **argv, const struct tool_format *format)
{
	struct tool tool = { .format = format };
	char **names;
	bool is_found = true;

	log_open(format->name, -1);
	read_options(&tool, argc, argv);
	conf_load_command(tool.config_directory);
	set_up_tables();
	names = argv + optind;
	if (tool.remove != NULL) {
		postpone_signals();
		is_found = remove_keys(&tool, names);
	} else if (tool.query != NULL) {
		is_found = strcmp(tool.query, "-") == 0 ? query_stream(&tool, names)
							: query_key(&tool, names);
	} else if (tool.wants_listing) {
		list_tables(&tool, names);
	} else {
		postpone_signals();
		for (; *names != NULL; names++)
			build_table(&tool, *names);
	}
	return is_found ? EXIT_SUCCESS : EXIT_FAILURE;
}
