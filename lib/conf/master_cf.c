/* SPDX-License-Identifier: MIT */
/*
 * The parser for master.cf (master(5)). Run by master and by the commands on a file that the
 * administrator wrote; bounded by CONF_FILE_MAX.
 */

#include "conf/master_cf.h"

#include <limits.h>
#include <stdlib.h>

#include "base/lines.h"
#include "base/mem.h"

const char *const master_column_names[MASTER_COL_COUNT] = {
	"service", "type", "private", "unprivileged", "chroot", "wakeup", "process_limit", "command",
};

static const struct {
	const char *name;
	enum master_type type;
} types[] = {
	{ "inet", MASTER_INET },	     { "unix", MASTER_UNIX },
	{ "fifo", MASTER_FIFO },	     { "unix-dgram", MASTER_UNIX_DGRAM },
	{ "pass", MASTER_PASS },
};

static void service_free(struct master_service *service)
{
	for (int i = 0; i < service->argc; i++)
		free(service->argv[i]);
	for (int i = 0; i < service->word_count; i++)
		free(service->words[i]);
	for (size_t i = 0; i < ARRAY_LEN(service->columns); i++)
		free(service->columns[i]);
	free(service->argv);
	free(service->words);
	free(service->name);
	free(service->command);
	conf_dict_done(&service->overrides);
	free(service);
}

void master_cf_done(struct master_cf *table)
{
	for (size_t i = 0; i < table->count; i++)
		service_free(table->services[i]);
	free(table->services);
	free(table->file);
	*table = (struct master_cf){ 0 };
}

/* The service being parsed and where to complain. */
struct parse {
	struct master_service *service;
	const char *file;
	struct conf_report *report;
};

static bool bad(const struct parse *parse, const char *what, struct span text, const char *expected)
{
	conf_report(parse->report, CONF_IS_ERROR, parse->file, parse->service->line, "",
		    "bad %s \"%.*s\", expected %s", what, SPAN_ARG(span_first(text, 100)), expected);
	return false;
}

static bool parse_flag(const struct parse *parse, const char *what, struct span text,
		       enum master_flag *ret_flag)
{
	if (span_is(text, "y"))
		*ret_flag = MASTER_YES;
	else if (span_is(text, "n"))
		*ret_flag = MASTER_NO;
	else if (span_is(text, "-"))
		*ret_flag = MASTER_DEFAULT;
	else
		return bad(parse, what, text, "y, n or -");
	return true;
}

static bool parse_type(const struct parse *parse, struct span text)
{
	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (span_is(text, types[i].name)) {
			parse->service->type = types[i].type;
			parse->service->type_name = types[i].name;
			return true;
		}
	return bad(parse, "service type", text, "inet, unix, fifo, unix-dgram or pass");
}

static bool parse_wakeup(const struct parse *parse, struct span text)
{
	struct span number = text;
	uint64_t value = 0;

	if (number.n > 1 && number.p[number.n - 1] == '?') {
		parse->service->wakeup_on_use = true;
		number.n--;
	}
	if (!span_is(text, "-") && !span_u64(number, INT_MAX, &value))
		return bad(parse, "wakeup time", text, "a number of seconds, n? or -");
	parse->service->wakeup_seconds = (int)value;
	return true;
}

static bool parse_maxproc(const struct parse *parse, struct span text)
{
	uint64_t value;

	parse->service->maxproc = MASTER_MAXPROC_DEFAULT;
	if (span_is(text, "-"))
		return true;
	if (!span_u64(text, INT_MAX, &value))
		return bad(parse, "process limit", text, "a number, 0 for no limit, or -");
	parse->service->maxproc = (int)value;
	return true;
}

bool master_cf_argument(struct span *rest, struct span *ret_argument, bool *ret_braced)
{
	size_t level = 0, size = 0;

	*ret_braced = false;
	*ret_argument = (struct span){ NULL, 0 };
	while (rest->n > 0 && ascii_is_blank(rest->p[0]))
		*rest = span_from(*rest, 1);
	if (rest->n == 0)
		return true;
	if (rest->p[0] != '{') {
		*ret_argument = span_word(rest, " \t\r\n");
		return true;
	}
	do {
		level += rest->p[size] == '{';
		level -= rest->p[size] == '}';
		size++;
	} while (level > 0 && size < rest->n);
	if (level > 0 || (size < rest->n && !ascii_is_blank(rest->p[size])))
		return false;
	*ret_braced = true;
	*ret_argument = span_trim(span_first(span_from(*rest, 1), size - 2));
	*rest = span_from(*rest, size);
	return true;
}

/* Appends to an array of strings that ends with a NULL. */
static void append(char ***array, int *count, struct span text)
{
	*array = mem_resize(*array, (size_t)(*count + 2) * sizeof(char *));
	(*array)[(*count)++] = mem_dup(text);
	(*array)[*count] = NULL;
}

static bool parse_override(const struct parse *parse, struct span text)
{
	struct master_service *service = parse->service;
	struct span name, value;
	const char *wrong = conf_assignment_parse(text, &name, &value);
	char *assignment;

	if (wrong != NULL)
		return bad(parse, "-o option", text, "name=value or { name = value }");
	conf_dict_set(&service->overrides, name, value, service->line, NULL);
	assignment = mem_printf("%.*s=%.*s", SPAN_ARG(name), SPAN_ARG(value));
	append(&service->words, &service->word_count, SPAN("-o"));
	append(&service->words, &service->word_count, span_of(assignment));
	free(assignment);
	return true;
}

static bool next_argument(const struct parse *parse, struct span *rest, struct span *ret_argument,
			  bool *ret_braced)
{
	return master_cf_argument(rest, ret_argument, ret_braced) ||
	       bad(parse, "argument", *rest, "a closing } and then a blank");
}

/*
 * Arguments behind the program. "-o name=value" is taken out wherever it stands before the
 * first argument that is no option; behind that, all belong to the command (pipe's argv=).
 */
static bool parse_arguments(const struct parse *parse, struct span rest)
{
	struct master_service *service = parse->service;
	struct span argument;
	bool is_braced, are_options = true;

	for (;;) {
		if (!next_argument(parse, &rest, &argument, &is_braced))
			return false;
		if (argument.p == NULL)
			return true;
		if (is_braced || argument.p[0] != '-')
			are_options = false;
		if (!are_options || !span_starts(argument, SPAN("-o"))) {
			append(&service->argv, &service->argc, argument);
			append(&service->words, &service->word_count, argument);
			continue;
		}
		if (argument.n > 2)
			argument = span_from(argument, 2);
		else if (!next_argument(parse, &rest, &argument, &is_braced))
			return false;
		if (!parse_override(parse, argument))
			return false;
	}
}

static bool parse_service(const struct parse *parse, struct span text)
{
	struct master_service *service = parse->service;
	struct span words[MASTER_COL_COUNT], rest = text;

	for (int i = 0; i < MASTER_COL_COUNT; i++) {
		words[i] = span_word(&rest, " \t\r\n");
		if (words[i].n == 0) {
			conf_report(parse->report, CONF_IS_ERROR, parse->file, service->line, "",
				    "service has no %s column, expected: service type private "
				    "unprivileged chroot wakeup process_limit command [arguments]",
				    master_column_names[i]);
			return false;
		}
		if (i < MASTER_COL_COMMAND)
			service->columns[i] = mem_dup(words[i]);
	}
	service->name = mem_dup(words[MASTER_COL_NAME]);
	service->command = mem_dup(words[MASTER_COL_COMMAND]);
	service->argv = mem_array(1, sizeof(char *));
	service->overrides.file = mem_dup_str(parse->file);
	return parse_type(parse, words[MASTER_COL_TYPE]) &&
	       parse_flag(parse, "private column", words[MASTER_COL_PRIVATE],
			  &service->private_service) &&
	       parse_flag(parse, "unprivileged column", words[MASTER_COL_UNPRIVILEGED],
			  &service->unprivileged) &&
	       parse_flag(parse, "chroot column", words[MASTER_COL_CHROOT], &service->chroot) &&
	       parse_wakeup(parse, words[MASTER_COL_WAKEUP]) &&
	       parse_maxproc(parse, words[MASTER_COL_MAXPROC]) && parse_arguments(parse, rest);
}

static void add_service(struct master_cf *table, struct master_service *service,
			struct conf_report *report)
{
	struct master_service *before =
		master_cf_find(table, span_of(service->name), span_of(service->type_name));

	if (before != NULL) {
		before->is_replaced = true;
		conf_report(report, CONF_IS_WARNING, table->file, service->line, "",
			    "duplicate master.cf entry for service \"%s\" (%s) -- using the last entry",
			    service->name, service->type_name);
	}
	if ((table->count & (table->count - 1)) == 0)
		table->services =
			mem_resize(table->services, (table->count > 0 ? table->count * 2 : 1) *
							    sizeof(*table->services));
	table->services[table->count++] = service;
}

void master_cf_parse(struct master_cf *table, struct span text, struct conf_report *report)
{
	struct lines lines;
	struct span line;
	unsigned number;

	if (table->file == NULL)
		table->file = mem_dup_str("master.cf");
	lines_init(&lines, text);
	while (lines_next(&lines, &line, &number)) {
		struct master_service *service = NEW(struct master_service);

		service->line = (int)number;
		service->file = table->file;
		service->source = lines.source;
		if (parse_service(&(struct parse){ service, table->file, report }, line))
			add_service(table, service, report);
		else
			service_free(service);
	}
	lines_done(&lines);
}

bool master_cf_read(struct master_cf *table, const char *path, struct conf_report *report)
{
	struct buf text;

	if (!conf_file_read(path, &text))
		return false;
	if (table->file == NULL)
		table->file = mem_dup_str(path);
	master_cf_parse(table, buf_span(&text), report);
	for (size_t i = 0; i < table->count; i++)
		table->services[i]->source = (struct span){ NULL, 0 };
	buf_done(&text);
	return true;
}

struct master_service *master_cf_find(const struct master_cf *table, struct span name,
				      struct span type)
{
	for (size_t i = 0; i < table->count; i++) {
		struct master_service *service = table->services[i];

		if (!service->is_replaced && span_is(name, service->name) &&
		    span_is(type, service->type_name))
			return service;
	}
	return NULL;
}
