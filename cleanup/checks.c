/* SPDX-License-Identifier: MIT */
/*
 * header_checks(5): what the tables say about a header or a body line, and what that does to the
 * message. Runs in cleanup's workers; the tables are the administrator's, the lines are not.
 */

#include <string.h>

#include "base/log.h"
#include "cleanup/cleanup.h"
#include "conf/conf.h"
#include "mail/dsn.h"
#include "mail/log_address.h"
#include "mail/mime_value.h"
#include "table/maps.h"

enum { LOG_CONTENT_BYTES = 200 };

/* By enum check_class. */
static struct {
	const char *title;
	const char *what; /* in log lines */
	struct maps *maps;
} checks[] = {
	[CHECK_HEADER] = { "header_checks", "header", NULL },
	[CHECK_MIME_HEADER] = { "mime_header_checks", "header", NULL },
	[CHECK_NESTED_HEADER] = { "nested_header_checks", "header", NULL },
	[CHECK_BODY] = { "body_checks", "body", NULL },
};
static bool has_checks;

void checks_prepare(void)
{
	const char *const lists[] = { conf->header_checks, conf->mime_header_checks,
				      conf->nested_header_checks, conf->body_checks };
	struct buf error = BUF_INIT(1000);

	for (size_t i = 0; i < ARRAY_LEN(checks); i++) {
		checks[i].maps =
			maps_open(checks[i].title, span_of(lists[i]), TABLE_IN_JAIL, &error);
		if (checks[i].maps == NULL)
			fatal("%s: %s", checks[i].title, buf_str(&error));
		has_checks = has_checks || !maps_is_empty(checks[i].maps);
	}
	buf_done(&error);
}

/* Mail made here is looked into only when internal_mail_filter_classes has its kind. */
static bool is_internal_checked(const struct message *message)
{
	struct span rest = span_of(conf->internal_mail_filter_classes), class;
	bool is_bounce = strcmp(message->submitter->client, "bounce") == 0;

	while ((class = span_word(&rest, ", \t\r\n")).n > 0)
		if (span_is(class, is_bounce ? "bounce" : "notify"))
			return true;
	return false;
}

void checks_start(struct message *message)
{
	bool is_internal = (message->options & SUBMIT_INTERNAL) != 0;

	message->is_checked = has_checks &&
			      (message->options & SUBMIT_NO_HEADER_BODY_CHECKS) == 0 &&
			      (!is_internal || is_internal_checked(message));
}

void checks_log(const struct message *message, const char *action, const char *what,
		struct span content, struct span text)
{
	const struct msg_envelope *envelope = &message->envelope;
	struct buf line = BUF_INIT(LOG_LINE_MAX);

	(void)buf_printf(&line, "%s: %s: %s %s from ", message->id, action, what,
			 log_clean(span_first(content, LOG_CONTENT_BYTES)));
	if (envelope->log_client_name.n > 0)
		(void)buf_printf(&line, "%s[%s]", log_clean(envelope->log_client_name),
				 log_clean(envelope->log_client_addr));
	else
		(void)buf_text(&line, "local");
	(void)buf_printf(&line, "; from=<%s> to=<%s>", log_address(envelope->sender),
			 log_address(message->last_rcpt));
	if (envelope->log_protocol.n > 0)
		(void)buf_printf(&line, " proto=%s", log_clean(envelope->log_protocol));
	if (envelope->log_helo.n > 0)
		(void)buf_printf(&line, " helo=<%s>", log_clean(envelope->log_helo));
	if (text.n > 0)
		(void)buf_printf(&line, ": %s", log_clean(text));
	log_info("%s", buf_str(&line));
	buf_done(&line);
}

/* ---- actions ---- */

/* One line that a table answered with, and what it is about. */
struct answer {
	enum check_class class;
	struct span content; /* the header or body line */
	struct span text;    /* behind the action's name */
	struct span *ret_text;
};

typedef enum check_verdict action_fn(struct message *message, const struct answer *answer);

static void log_answer(const struct message *message, const char *action,
		       const struct answer *answer, struct span text)
{
	checks_log(message, action, checks[answer->class].what, answer->content, text);
}

static enum check_verdict do_reject(struct message *message, const struct answer *answer)
{
	char status[DSN_STATUS_SIZE];
	struct span reason;
	char *full;

	dsn_split(answer->text, "5.7.1", status, &reason);
	if (reason.n == 0)
		reason = SPAN("message content rejected");
	full = arena_printf(&message->arena, "%s %.*s", status, SPAN_ARG(reason));
	log_answer(message, "reject", answer, span_of(full));
	message_refuse(message, SUBMIT_REJECT, status, arena_str(&message->arena, reason));
	return CHECK_KEEP;
}

static enum check_verdict do_discard(struct message *message, const struct answer *answer)
{
	log_answer(message, "discard", answer, answer->text);
	message->envelope.flags |= ENVELOPE_DISCARD;
	message->is_checked = false;
	return CHECK_KEEP;
}

static enum check_verdict do_hold(struct message *message, const struct answer *answer)
{
	/* Said once a message. */
	if ((message->envelope.flags & ENVELOPE_HOLD) == 0)
		log_answer(message, "hold", answer, answer->text);
	message->envelope.flags |= ENVELOPE_HOLD;
	return CHECK_KEEP;
}

static enum check_verdict do_filter(struct message *message, const struct answer *answer)
{
	if (!span_has(answer->text, ':')) {
		log_warn("bad FILTER command %s in %s -- need transport:destination",
			 log_clean(answer->text), checks[answer->class].title);
		return CHECK_KEEP;
	}
	message->envelope.content_filter = arena_span(&message->arena, answer->text);
	log_answer(message, "filter", answer, answer->text);
	return CHECK_KEEP;
}

static bool is_address(const struct answer *answer, const char *action)
{
	if (span_has(answer->text, '@'))
		return true;
	log_warn("bad %s target %s in %s -- need user@domain", action, log_clean(answer->text),
		 checks[answer->class].title);
	return false;
}

static enum check_verdict do_redirect(struct message *message, const struct answer *answer)
{
	if (is_address(answer, "REDIRECT")) {
		message->envelope.redirect_to = arena_span(&message->arena, answer->text);
		log_answer(message, "redirect", answer, answer->text);
	}
	return CHECK_KEEP;
}

static enum check_verdict do_bcc(struct message *message, const struct answer *answer)
{
	if (is_address(answer, "BCC")) {
		log_answer(message, "bcc", answer, answer->text);
		expand_bcc(message, arena_span(&message->arena, answer->text));
	}
	return CHECK_KEEP;
}

/* Text that is to stand among headers must be one. */
static bool may_stand(const struct answer *answer, const char *action)
{
	bool is_header = answer->class != CHECK_BODY;

	if (answer->text.n > 0 && (!is_header || header_name_length(answer->text, NULL) > 0))
		return true;
	log_warn("bad %s header text \"%s\" in %s -- need \"headername: headervalue\"", action,
		 log_clean(answer->text), checks[answer->class].title);
	return false;
}

static enum check_verdict do_prepend(struct message *message, const struct answer *answer)
{
	if (!may_stand(answer, "PREPEND"))
		return CHECK_KEEP;
	log_answer(message, "prepend", answer, answer->text);
	*answer->ret_text = answer->text;
	return CHECK_PREPEND;
}

static enum check_verdict do_replace(struct message *message, const struct answer *answer)
{
	if (!may_stand(answer, "REPLACE"))
		return CHECK_KEEP;
	log_answer(message, "replace", answer, answer->text);
	*answer->ret_text = answer->text;
	return CHECK_REPLACE;
}

static enum check_verdict do_ignore(struct message *message, const struct answer *answer)
{
	(void)message;
	(void)answer;
	return CHECK_DROP;
}

static enum check_verdict do_strip(struct message *message, const struct answer *answer)
{
	log_answer(message, "strip", answer, answer->text);
	return CHECK_DROP;
}

static enum check_verdict do_warn(struct message *message, const struct answer *answer)
{
	log_answer(message, "warning", answer, answer->text);
	return CHECK_KEEP;
}

static enum check_verdict do_info(struct message *message, const struct answer *answer)
{
	log_answer(message, "info", answer, answer->text);
	return CHECK_KEEP;
}

static enum check_verdict do_pass(struct message *message, const struct answer *answer)
{
	log_answer(message, "pass", answer, answer->text);
	message->is_checked = false;
	return CHECK_KEEP;
}

static enum check_verdict do_dunno(struct message *message, const struct answer *answer)
{
	(void)message;
	(void)answer;
	return CHECK_KEEP;
}

static const struct {
	const char *name;
	action_fn *act;
} actions[] = {
	{ "REJECT", do_reject },   { "DISCARD", do_discard },	{ "HOLD", do_hold },
	{ "FILTER", do_filter },   { "REDIRECT", do_redirect }, { "BCC", do_bcc },
	{ "PREPEND", do_prepend }, { "REPLACE", do_replace },	{ "IGNORE", do_ignore },
	{ "STRIP", do_strip },	   { "WARN", do_warn },		{ "INFO", do_info },
	{ "PASS", do_pass },	   { "DUNNO", do_dunno },	{ "OK", do_dunno },
};

/* ---- asking ---- */

/*
 * Readers put a file name together from filename*0=, filename*1= and so on (RFC 2231): the table is
 * asked about the header once more with the name in one piece.
 */
static enum table_status find_joined(struct message *message, struct maps *maps, struct span text,
				     struct span *ret_value)
{
	static const char *const params[] = { "filename", "name" };
	size_t at = 0, length = header_name_length(text, &at);
	enum header_id id = header_find(span_first(text, length))->id;
	struct buf key = BUF_INIT(HEAD_MAX_BYTES);
	enum table_status status = TABLE_NOT_FOUND;
	struct span rest = span_from(text, at), word;

	if ((id != HEADER_CONTENT_TYPE && id != HEADER_CONTENT_DISPOSITION) || !span_has(text, '*'))
		return TABLE_NOT_FOUND;
	if (id == HEADER_CONTENT_DISPOSITION)
		(void)mime_value_token(rest, &rest);
	else if (!mime_value_type(rest, &word, &word, &rest))
		return TABLE_NOT_FOUND;
	for (size_t i = 0; status == TABLE_NOT_FOUND && i < ARRAY_LEN(params); i++) {
		buf_set(&key, span_first(text, text.n - rest.n));
		buf_printf(&key, "; %s=\"", params[i]);
		if (!mime_value_pieces(&key, rest, params[i]))
			continue;
		buf_char(&key, '"');
		status = maps_find(maps, &message->lookup, buf_span(&key), false, ret_value);
	}
	buf_done(&key);
	return status;
}

static enum table_status find(struct message *message, enum check_class class, struct span text,
			      struct span *ret_value)
{
	struct maps *maps = checks[class].maps;
	enum table_status status = maps_find(maps, &message->lookup, text, false, ret_value);

	if (status == TABLE_NOT_FOUND && class != CHECK_BODY)
		status = find_joined(message, maps, text, ret_value);
	return status;
}

enum check_verdict checks_ask(struct message *message, enum check_class class, struct span text,
			      struct span *ret_text)
{
	struct answer answer = { .class = class, .content = text, .ret_text = ret_text };
	struct span value, name;

	if (!message->is_checked || maps_is_empty(checks[class].maps))
		return CHECK_KEEP;
	switch (find(message, class, text, &value)) {
	case TABLE_FOUND: break;
	case TABLE_NOT_FOUND: return CHECK_KEEP;
	case TABLE_ERROR:
	case TABLE_PENDING:
		message_table_failed(message, checks[class].title, text);
		return CHECK_KEEP;
	}
	answer.text = value;
	name = span_word(&answer.text, " \t");
	answer.text = span_trim(answer.text);
	for (size_t i = 0; i < ARRAY_LEN(actions); i++)
		if (span_is_nocase(name, actions[i].name))
			return actions[i].act(message, &answer);
	log_warn("unknown command in %s map: %s", checks[class].title, log_clean(value));
	return CHECK_KEEP;
}
