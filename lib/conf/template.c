/* SPDX-License-Identifier: MIT */
/*
 * Templates of delivery status notices (bounce(5)). Read by master, for the bounce service, and by
 * postconf; the file is written by the administrator.
 */

#include "conf/template.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "conf/load.h"

const char *const conf_template_names[CONF_TEMPLATE_COUNT] = {
	"failure", "delay", "success", "verify",
};

#define INTRODUCTION "This is the mail system at host $myhostname.\n\n"
#define SIGNATURE "\n                   The mail system\n"
#define HELP \
	"\nIf you need help, please write to postmaster and include this report.\n" \
	"The text of your own message, attached below, may be left out.\n"

static const struct {
	const char *subject, *postmaster_subject, *text;
} built_in[CONF_TEMPLATE_COUNT] = {
	[CONF_TEMPLATE_FAILURE] = {
		"Undelivered Mail Returned to Sender", "Postmaster Copy: Undelivered Mail",
		INTRODUCTION
		"Your message could not be delivered to one or more recipients,\n"
		"for the reasons given below. It is attached to this report.\n"
		HELP SIGNATURE,
	},
	[CONF_TEMPLATE_DELAY] = {
		"Delayed Mail (still being retried)", "Postmaster Warning: Delayed Mail",
		INTRODUCTION
		"THIS IS ONLY A WARNING. THERE IS NO NEED TO SEND YOUR MESSAGE AGAIN.\n\n"
		"For more than $delay_warning_time_hours hour(s) your message could not be\n"
		"delivered. Delivery is tried until $maximal_queue_lifetime_days day(s) have passed.\n"
		HELP SIGNATURE,
	},
	[CONF_TEMPLATE_SUCCESS] = {
		"Successful Mail Delivery Report", "",
		INTRODUCTION
		"Your message was delivered to the recipients listed below, or handed to\n"
		"a system that sends no such reports. If it reached the mailbox, this is the\n"
		"last report; another system on the way may still send one.\n"
		SIGNATURE,
	},
	[CONF_TEMPLATE_VERIFY] = {
		"Mail Delivery Status Report", "",
		INTRODUCTION
		"This is the report on delivery that you asked for.\n"
		SIGNATURE,
	},
};

static void template_done(struct conf_template *template)
{
	free(template->charset);
	free(template->from);
	free(template->subject);
	free(template->postmaster_subject);
	free(template->text);
}

static void template_init(struct conf_template *template, size_t kind)
{
	template->charset = mem_dup_str("us-ascii");
	template->from = mem_dup_str("Mail Delivery System <MAILER-DAEMON>");
	template->subject = mem_dup_str(built_in[kind].subject);
	template->postmaster_subject = mem_dup_str(built_in[kind].postmaster_subject);
	template->text = mem_dup_str(built_in[kind].text);
}

void conf_templates_init(struct conf_templates *templates)
{
	for (size_t i = 0; i < CONF_TEMPLATE_COUNT; i++)
		template_init(&templates->list[i], i);
}

void conf_templates_done(struct conf_templates *templates)
{
	for (size_t i = 0; i < CONF_TEMPLATE_COUNT; i++)
		template_done(&templates->list[i]);
	*templates = (struct conf_templates){ 0 };
}

struct reader {
	struct span rest;
	int line;
	const char *file;
	struct conf_report *report;
};

static void complain(const struct reader *reader, const char *what, struct span text)
{
	conf_report(reader->report, CONF_IS_ERROR, reader->file, reader->line, "", "%s: \"%.*s\"",
		    what, SPAN_ARG(span_first(text, 100)));
}

static bool set_header(const struct reader *reader, struct conf_template *template, struct span line)
{
	struct span name, value;
	char **field;

	if (!span_cut(line, ':', &name, &value) || utf8_has_8bit(line)) {
		complain(reader, "expected \"Name: value\" in ASCII in front of the empty line", line);
		return false;
	}
	if (span_is_nocase(name, "charset"))
		field = &template->charset;
	else if (span_is_nocase(name, "from"))
		field = &template->from;
	else if (span_is_nocase(name, "subject"))
		field = &template->subject;
	else if (span_is_nocase(name, "postmaster-subject"))
		field = &template->postmaster_subject;
	else {
		complain(reader, "unknown header, expected Charset, From, Subject or "
			 "Postmaster-Subject", line);
		return false;
	}
	free(*field);
	*field = mem_dup(span_trim(value));
	return true;
}

/* Headers and text up to the end word; false when something is wrong with it. */
static bool read_template(struct reader *reader, struct conf_template *template,
			  struct span end_word)
{
	struct buf text = BUF_INIT(CONF_FILE_MAX);
	bool in_headers = true, is_good = true;
	struct span line;

	while (span_line(&reader->rest, &line)) {
		reader->line++;
		if (span_eq(line, end_word)) {
			free(template->text);
			template->text = buf_steal(&text);
			return is_good;
		}
		if (in_headers && span_trim(line).n == 0)
			in_headers = false;
		else if (in_headers && buf_span(&text).n == 0 && span_has(line, ':'))
			is_good = set_header(reader, template, line) && is_good;
		else {
			in_headers = false;
			buf_add(&text, line);
			buf_char(&text, '\n');
		}
	}
	complain(reader, "template has no line with its end word", end_word);
	buf_done(&text);
	return false;
}

/* "failure_template = <<EOF": the kind and the end word. */
static bool parse_start(struct span line, size_t *ret_kind, struct span *ret_end_word)
{
	struct span name, value;

	if (conf_assignment_parse(line, &name, &value) != NULL ||
	    !span_starts(value, SPAN("<<")) || span_trim(span_from(value, 2)).n == 0 ||
	    !span_ends(name, SPAN("_template")))
		return false;
	name.n -= sizeof("_template") - 1;
	*ret_end_word = span_trim(span_from(value, 2));
	for (size_t i = 0; i < CONF_TEMPLATE_COUNT; i++)
		if (span_is(name, conf_template_names[i])) {
			*ret_kind = i;
			return true;
		}
	return false;
}

void conf_templates_parse(struct conf_templates *templates, struct span text, const char *file,
			  struct conf_report *report)
{
	struct reader reader = { .rest = text, .file = file, .report = report };
	struct span line, end_word, trimmed;
	size_t kind;

	while (span_line(&reader.rest, &line)) {
		struct conf_template fresh;

		reader.line++;
		trimmed = span_trim(line);
		if (trimmed.n == 0 || trimmed.p[0] == '#')
			continue;
		if (!parse_start(line, &kind, &end_word)) {
			complain(&reader, "expected {failure,delay,success,verify}_template = <<EOF",
				 line);
			return;
		}
		template_init(&fresh, kind);
		if (read_template(&reader, &fresh, end_word)) {
			template_done(&templates->list[kind]);
			templates->list[kind] = fresh;
		} else {
			template_done(&fresh);
		}
	}
}

/* NAME_hours and its like, rounded to the nearest, for a parameter that is a time. */
static bool add_time_names(struct conf_dict *dict, const struct conf_scope *scope, const char *name)
{
	static const struct {
		const char *suffix;
		int64_t seconds;
	} units[] = {
		{ "seconds", 1 }, { "minutes", 60 }, { "hours", 3600 }, { "days", 86400 },
		{ "weeks", 604800 },
	};
	const struct conf_param *param = conf_param_find(span_of(name));
	struct buf text = BUF_INIT(CONF_VALUE_MAX);
	char expected[CONF_EXPECTED_MAX];
	struct conf_value value;
	bool is_good = conf_evaluate_one(scope, param, NULL, &text) &&
		       conf_value_parse(param, buf_span(&text), &value, expected);

	for (size_t i = 0; is_good && i < ARRAY_LEN(units); i++) {
		char full_name[100], number[32];

		snprintf(full_name, sizeof(full_name), "%s_%s", name, units[i].suffix);
		snprintf(number, sizeof(number), "%lld",
			 (long long)((value.number + units[i].seconds / 2) / units[i].seconds));
		conf_dict_set(dict, span_of(full_name), span_of(number), 0, NULL);
	}
	buf_done(&text);
	return is_good;
}

bool conf_template_expand(const struct conf_template *template, const struct conf_scope *scope,
			  struct buf *ret, char *error)
{
	struct conf_scope with_times = *scope;
	struct conf_dict names = { 0 };
	bool is_good;

	for (size_t i = 0; scope->overrides != NULL && i < scope->overrides->count; i++)
		conf_dict_set(&names, span_of(scope->overrides->settings[i]->name),
			      span_of(scope->overrides->settings[i]->value), 0, NULL);
	with_times.overrides = &names;
	is_good = add_time_names(&names, scope, "delay_warning_time") &&
		  add_time_names(&names, scope, "maximal_queue_lifetime");
	if (is_good)
		is_good = conf_expand(&with_times, span_of(template->text), ret, error, NULL, NULL);
	else
		snprintf(error, CONF_EXPAND_ERROR_MAX,
			 "bad value of delay_warning_time or maximal_queue_lifetime");
	conf_dict_done(&names);
	return is_good;
}
