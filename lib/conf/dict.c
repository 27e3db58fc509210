/* SPDX-License-Identifier: MIT */
/*
 * Reading main.cf (postconf(5)) into a list of settings. Run by master and by the commands, with
 * their privilege; the file is written by the administrator and trusted, its size is bounded.
 */

#include "conf/dict.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/lines.h"
#include "base/mem.h"

void conf_report(struct conf_report *report, enum conf_severity severity, const char *file,
		 int line, const char *name, const char *format, ...)
{
	struct conf_problem problem = {
		.severity = severity, .file = file, .line = line, .name = name,
	};
	struct buf text = BUF_INIT(4096);
	va_list args;

	if (report == NULL)
		return;
	report->errors += severity == CONF_IS_ERROR;
	if (report->report == NULL)
		return;
	va_start(args, format);
	if (!buf_vprintf(&text, format, args))
		buf_text(&text, "(text too long)");
	va_end(args);
	problem.text = buf_str(&text);
	report->report(report->context, &problem);
	buf_done(&text);
}

const char *conf_problem_text(const struct conf_problem *problem)
{
	static char text[4500];

	if (problem->file[0] == '\0')
		snprintf(text, sizeof(text), "%s", problem->text);
	else if (problem->line == 0)
		snprintf(text, sizeof(text), "%s: %s", problem->file, problem->text);
	else
		snprintf(text, sizeof(text), "%s, line %d: %s", problem->file, problem->line,
			 problem->text);
	return text;
}

void conf_dict_done(struct conf_dict *dict)
{
	for (size_t i = 0; i < dict->count; i++) {
		free(dict->settings[i]->name);
		free(dict->settings[i]->value);
		free(dict->settings[i]);
	}
	free(dict->settings);
	free(dict->file);
	htab_done(&dict->by_name, NULL);
	*dict = (struct conf_dict){ 0 };
}

void conf_dict_set(struct conf_dict *dict, struct span name, struct span value, int line,
		   struct conf_report *report)
{
	struct conf_setting *setting = NEW(struct conf_setting), *before;

	setting->name = mem_dup(name);
	setting->value = mem_dup(value);
	setting->file = dict->file != NULL ? dict->file : "";
	setting->line = line;
	if ((dict->count & (dict->count - 1)) == 0)
		dict->settings = mem_resize(dict->settings,
					    (dict->count * 2 + 1) * sizeof(*dict->settings));
	dict->settings[dict->count++] = setting;
	before = htab_put(&dict->by_name, name, setting);
	if (before == NULL)
		return;
	before->is_overridden = true;
	conf_report(report, CONF_IS_WARNING, setting->file, line, setting->name,
		    "overriding earlier entry: %s=%s", before->name, before->value);
}

const struct conf_setting *conf_dict_get(const struct conf_dict *dict, struct span name)
{
	return htab_get(&dict->by_name, name);
}

const char *conf_assignment_parse(struct span text, struct span *ret_name, struct span *ret_value)
{
	struct span name, value;

	if (!span_cut(text, '=', &name, &value))
		return "missing '=' after attribute name";
	name = span_trim(name);
	if (name.n == 0)
		return "missing attribute name";
	if (name.n > CONF_NAME_MAX)
		return "attribute name of more than 1000 bytes";
	for (size_t i = 0; i < name.n; i++)
		if (ascii_is_blank(name.p[i]))
			return "whitespace in attribute name";
	*ret_name = name;
	*ret_value = span_trim(value);
	return NULL;
}

/* A value with "#" after a blank is most often a comment that was meant to be one. */
static void warn_about_comment(const struct conf_dict *dict, struct span name, struct span value,
			       int line, struct conf_report *report)
{
	for (size_t i = 1; i < value.n; i++)
		if (value.p[i] == '#' && ascii_is_blank(value.p[i - 1])) {
			conf_report(report, CONF_IS_WARNING, dict->file, line, "",
				    "#comment after other text is not allowed: %.*s = ...",
				    SPAN_ARG(name));
			return;
		}
}

static void parse_line(struct conf_dict *dict, struct span line, int number,
		       struct conf_report *report)
{
	struct span name, value;
	const char *wrong;

	if (ascii_is_blank(line.p[0])) {
		conf_report(report, CONF_IS_WARNING, dict->file, number, "",
			    "logical line must not start with whitespace: \"%.*s\"",
			    SPAN_ARG(span_first(line, 30)));
		return;
	}
	wrong = conf_assignment_parse(line, &name, &value);
	if (wrong != NULL) {
		conf_report(report, CONF_IS_ERROR, dict->file, number, "", "%s: \"%.*s\"", wrong,
			    SPAN_ARG(span_first(line, 100)));
		return;
	}
	warn_about_comment(dict, name, value, number, report);
	conf_dict_set(dict, name, value, number, report);
}

void conf_dict_parse(struct conf_dict *dict, struct span text, struct conf_report *report)
{
	struct lines lines;
	struct span line;
	unsigned number;

	if (dict->file == NULL)
		dict->file = mem_dup_str("main.cf");
	lines_init(&lines, text);
	while (lines_next(&lines, &line, &number))
		parse_line(dict, line, (int)number, report);
	lines_done(&lines);
}

bool conf_file_read(const char *path, struct buf *ret_text)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;
	bool is_read = false;
	int saved;

	buf_init(ret_text, CONF_FILE_MAX);
	if (fd < 0)
		return false;
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		errno = S_ISDIR(st.st_mode) ? EISDIR : EINVAL;
	} else {
		is_read = buf_read(ret_text, fd);
	}
	saved = errno;
	close(fd);
	if (is_read)
		return true;
	buf_done(ret_text);
	errno = saved;
	return false;
}

bool conf_dict_read(struct conf_dict *dict, const char *path, struct conf_report *report)
{
	struct buf text;

	if (!conf_file_read(path, &text))
		return false;
	if (dict->file == NULL)
		dict->file = mem_dup_str(path);
	conf_dict_parse(dict, buf_span(&text), report);
	buf_done(&text);
	return true;
}
