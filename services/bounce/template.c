/* SPDX-License-Identifier: MIT */
/*
 * Templates of notifications (bounce(5)): parsing of the administrator's file, which is trusted
 * but may have mistakes, and expansion of $name in their texts.
 *
 *     failure_template = <<EOF
 *     Header: value
 *
 *     text
 *     EOF
 */

#include "services/bounce/template.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "conf/param.h"

#define FROM "Mail Delivery System <MAILER-DAEMON>"
#define GREETING "The mail system at host $myhostname reports:\n\n"
#define HELP \
	"The postmaster of this system can help; please include this report\n" \
	"when you write. The text of your own message is not needed.\n\n"

static struct template templates[TEMPLATE_COUNT] = {
	[TEMPLATE_FAILURE] = {
		"failure_template", "us-ascii", FROM, "Undelivered Mail Returned to Sender",
		"Postmaster Copy: Undelivered Mail",
		GREETING
		"Your message was not delivered to the recipients below, and it\n"
		"will not be tried again. What was sent is attached.\n\n"
		HELP },
	[TEMPLATE_DELAY] = {
		"delay_template", "us-ascii", FROM, "Delayed Mail (still being retried)",
		"Postmaster Warning: Delayed Mail",
		GREETING
		"******************************************************************\n"
		"*  ONLY A WARNING: there is no need to send your message again.  *\n"
		"******************************************************************\n\n"
		"Your message has not been delivered to the recipients below for\n"
		"more than $delay_warning_time_hours hour(s). Delivery will be tried until it is\n"
		"$maximal_queue_lifetime_days day(s) old.\n\n"
		HELP },
	[TEMPLATE_SUCCESS] = {
		"success_template", "us-ascii", FROM, "Successful Mail Delivery Report", NULL,
		GREETING
		"Your message was delivered to the recipients below. A system that\n"
		"it was passed on to may still report a problem.\n\n" },
	[TEMPLATE_VERIFY] = {
		"verify_template", "us-ascii", FROM, "Mail Delivery Status Report", NULL,
		GREETING
		"This is the delivery report that you asked for.\n\n" },
};

const struct template *template_get(enum template_kind kind)
{
	return &templates[kind];
}

/* ---- parsing ---- */

static bool is_ascii(struct span text)
{
	for (size_t i = 0; i < text.n; i++)
		if ((unsigned char)text.p[i] > 0x7f || text.p[i] == '\0')
			return false;
	return true;
}

/* One header of a template; false when it is none of the known ones. */
static bool set_header(struct template *template, struct span name, struct span value)
{
	const struct {
		const char *name;
		const char **field;
	} rows[] = {
		{ "Charset", &template->charset },
		{ "From", &template->from },
		{ "Subject", &template->subject },
		{ "Postmaster-Subject", &template->postmaster_subject },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (span_is_nocase(name, rows[i].name)) {
			*rows[i].field = mem_dup(value);
			return true;
		}
	return false;
}

/* Headers until an empty line, then the text. */
static void set_template(struct template *template, const char *path, struct span body)
{
	struct template made = *template;
	struct span rest = body, line, name, value;

	while (span_line(&rest, &line) && line.n > 0) {
		if (!span_cut(line, ':', &name, &value) || !is_ascii(line) ||
		    !set_header(&made, span_trim(name), span_trim(value))) {
			log_warn("%s: %s: bad header line: %s; the built-in template is used",
				 path, template->name, log_clean(line));
			return;
		}
	}
	made.text = mem_dup(rest);
	*template = made;
}

/* "name = <<WORD": false when the line is something else. */
static bool parse_start(struct span line, struct span *ret_name, struct span *ret_word)
{
	struct span name, value;

	if (!span_cut(line, '=', &name, &value))
		return false;
	value = span_trim(value);
	if (!span_starts(value, SPAN("<<")))
		return false;
	*ret_name = span_trim(name);
	*ret_word = span_trim(span_from(value, 2));
	return ret_word->n > 0;
}

/* Takes everything up to the line that is `word` alone; false when there is none. */
static bool take_body(struct span *rest, struct span word, struct span *ret_body)
{
	struct span start = *rest, line;

	while (span_line(rest, &line))
		if (span_eq(span_trim(line), word)) {
			*ret_body = span_first(start, (size_t)(line.p - start.p));
			return true;
		}
	return false;
}

void template_load(const char *path, struct span text)
{
	struct span line, name, word, body;

	while (span_line(&text, &line)) {
		struct template *found = NULL;

		if (span_trim(line).n == 0 || line.p[0] == '#')
			continue;
		if (!parse_start(line, &name, &word) || !take_body(&text, word, &body)) {
			log_warn("%s: expected \"NAME = <<WORD\" and a line with WORD: %s", path,
				 log_clean(line));
			return;
		}
		for (size_t i = 0; i < TEMPLATE_COUNT; i++)
			if (span_is(name, templates[i].name))
				found = &templates[i];
		if (found == NULL)
			log_warn("%s: unknown template: %s", path, log_clean(name));
		else
			set_template(found, path, body);
	}
}

/* ---- expansion ---- */

/* "delay_warning_time_hours": a time in another unit. */
static bool expand_time(struct span name, struct buf *out)
{
	static const struct {
		const char *suffix;
		int seconds;
	} units[] = { { "_seconds", 1 }, { "_minutes", 60 }, { "_hours", 3600 },
		      { "_days", 86400 }, { "_weeks", 604800 } };
	const struct {
		const char *name;
		seconds value;
	} times[] = { { "delay_warning_time", conf->delay_warning_time },
		      { "maximal_queue_lifetime", conf->maximal_queue_lifetime } };

	for (size_t i = 0; i < ARRAY_LEN(times); i++) {
		struct span suffix = span_from(name, strlen(times[i].name));

		if (!span_starts(name, span_of(times[i].name)))
			continue;
		for (size_t j = 0; j < ARRAY_LEN(units); j++)
			if (span_is(suffix, units[j].suffix))
				return buf_printf(out, "%d", times[i].value / units[j].seconds);
	}
	return false;
}

/* The value of a parameter as this program knows it. */
static bool expand_parameter(struct span name, struct buf *out)
{
	const struct conf_param *param = conf_param_find(name);
	const void *field;

	if (param == NULL || param->field == CONF_NO_FIELD)
		return false;
	field = (const char *)conf + param->field;
	switch (param->type) {
	case CONF_TIME_S:
	case CONF_TIME_H:
	case CONF_TIME_D:
		return buf_printf(out, "%ds", *(const seconds *)field);
	case CONF_SIZE:
		return buf_printf(out, "%lld", (long long)*(const int64_t *)field);
	case CONF_COUNT:
		return buf_printf(out, "%d", *(const int *)field);
	case CONF_BOOL:
		return buf_text(out, *(const bool *)field ? "yes" : "no");
	case CONF_TEXT:
	case CONF_RAW:
	case CONF_TABLE:
	case CONF_CHOICE:
		return buf_text(out, *(const char *const *)field);
	}
	return false;
}

/* "$" ( "$" / name / "{" name "}" / "(" name ")" ); returns the length of what was taken. */
static size_t expand_one(struct span at, struct buf *out)
{
	struct span name;
	size_t length = 0, start = 1;
	char close = '\0';

	if (at.n > 1 && at.p[1] == '$') {
		(void)buf_char(out, '$');
		return 2;
	}
	if (at.n > 1 && (at.p[1] == '{' || at.p[1] == '(')) {
		close = at.p[1] == '{' ? '}' : ')';
		start = 2;
	}
	while (start + length < at.n &&
	       (ascii_is_alnum(at.p[start + length]) || at.p[start + length] == '_'))
		length++;
	name = span_first(span_from(at, start), length);
	if (close != '\0' && (start + length >= at.n || at.p[start + length] != close))
		name.n = 0;
	if (name.n == 0 || (!expand_time(name, out) && !expand_parameter(name, out))) {
		/* Not ours to expand: it stays as it is written. */
		(void)buf_char(out, '$');
		return 1;
	}
	return start + length + (close != '\0');
}

void template_expand(const struct template *template, struct buf *out)
{
	struct span rest = span_of(template->text);
	size_t at;

	while (span_chr(rest, '$', &at)) {
		(void)buf_add(out, span_first(rest, at));
		rest = span_from(rest, at);
		rest = span_from(rest, expand_one(rest, out));
	}
	(void)buf_add(out, rest);
}
