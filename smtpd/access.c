/* SPDX-License-Identifier: MIT */
/* What the value found in an access table does: access(5). The value is the administrator's. */

#include <string.h>
#include <stdlib.h>

#include "base/log.h"
#include "conf/conf.h"
#include "mail/dsn.h"
#include "smtpd/check.h"

enum { NESTING_MAX = 10 };

struct action {
	struct check *check;
	enum subject subject;
	struct span text;  /* what follows the word */
	const char *table; /* for warnings */
};

static struct message_actions *actions_of(const struct action *action)
{
	return &action->check->session->mail.actions;
}

/* "5.7.1 text" or "text" into a status of the code's class and the text, with a default. */
static enum verdict reject_with(const struct action *action, int code, const char *fallback)
{
	char status[DSN_STATUS_SIZE];
	struct span reason;

	dsn_split_for_code(action->text, code, "7.1", status, &reason);
	if (reason.n == 0)
		reason = span_of(fallback);
	return check_reject(action->check, action->subject, code, status, "%.*s", SPAN_ARG(reason));
}

static enum verdict act_reject(const struct action *action)
{
	return reject_with(action, conf->access_map_reject_code, "Access denied");
}

static enum verdict act_defer(const struct action *action)
{
	return reject_with(action, conf->access_map_defer_code, "Access denied");
}

static enum verdict act_defer_if_permit(const struct action *action)
{
	char status[DSN_STATUS_SIZE];
	struct span reason;

	dsn_split_for_code(action->text, 450, "7.1", status, &reason);
	return check_defer_if_permit(action->check, action->subject, conf->access_map_defer_code,
				     status, "%.*s",
				     SPAN_ARG(reason.n > 0 ? reason : SPAN("Service unavailable")));
}

static enum verdict act_defer_if_reject(const struct action *action)
{
	char status[DSN_STATUS_SIZE];
	struct span reason;

	dsn_split_for_code(action->text, 450, "7.1", status, &reason);
	return check_defer_if_reject(action->check, action->subject, status,
				     reason.n > 0 ? reason : SPAN("Service unavailable"));
}

static enum verdict act_dunno(const struct action *action)
{
	(void)action;
	return CHECK_DUNNO;
}

static enum verdict act_permit(const struct action *action)
{
	check_log_permit(action->check, action->subject, "OK", action->table);
	return CHECK_PERMIT;
}

/* "discard: RCPT from ...: <a@b>: Recipient address TEXT; ..." */
static void log_action(const struct action *action, const char *word, const char *fallback)
{
	struct buf text = BUF_INIT(4096);

	(void)buf_printf(&text, "%s: %.*s", subject_text(action->check, action->subject),
			 SPAN_ARG(action->text.n > 0 ? action->text : span_of(fallback)));
	check_log(action->check, word, buf_str(&text));
	buf_done(&text);
}

static enum verdict act_discard(const struct action *action)
{
	if (action->check->warn_if_reject)
		return CHECK_DUNNO;
	log_action(action, "discard", "triggers DISCARD action");
	actions_of(action)->must_discard = true;
	return CHECK_PERMIT;
}

static enum verdict act_hold(const struct action *action)
{
	if (action->check->warn_if_reject)
		return CHECK_DUNNO;
	log_action(action, "hold", "triggers HOLD action");
	actions_of(action)->must_hold = true;
	return CHECK_DUNNO;
}

static enum verdict act_filter(const struct action *action)
{
	if (action->check->warn_if_reject)
		return CHECK_DUNNO;
	if (!span_has(action->text, ':')) {
		log_warn("access table %s has FILTER without transport:destination", action->table);
		return CHECK_DUNNO;
	}
	log_action(action, "filter", "");
	(void)buf_set(&actions_of(action)->content_filter, action->text);
	return CHECK_DUNNO;
}

static enum verdict act_redirect(const struct action *action)
{
	if (action->check->warn_if_reject)
		return CHECK_DUNNO;
	if (!span_has(action->text, '@')) {
		log_warn("access table %s: bad REDIRECT target: %.*s", action->table,
			 SPAN_ARG(action->text));
		return CHECK_DUNNO;
	}
	log_action(action, "redirect", "");
	(void)buf_set(&actions_of(action)->redirect_to, action->text);
	return CHECK_DUNNO;
}

static enum verdict act_bcc(const struct action *action)
{
	struct message_actions *actions = actions_of(action);
	struct arena *arena = &action->check->session->mail_arena;

	if (action->check->warn_if_reject)
		return CHECK_DUNNO;
	if (!span_has(action->text, '@')) {
		log_warn("access table %s: bad BCC address: %.*s", action->table,
			 SPAN_ARG(action->text));
		return CHECK_DUNNO;
	}
	log_action(action, "bcc", "");
	actions->bcc = mem_resize(actions->bcc, (actions->bcc_count + 1) * sizeof(*actions->bcc));
	actions->bcc[actions->bcc_count++] = arena_span(arena, action->text);
	return CHECK_DUNNO;
}

static enum verdict act_prepend(const struct action *action)
{
	if (action->check->warn_if_reject)
		return CHECK_DUNNO;
	if (action->check->stage == STAGE_END_OF_DATA || !span_has(action->text, ':')) {
		log_warn("access table %s: PREPEND needs a header, before the end of data",
			 action->table);
		return CHECK_DUNNO;
	}
	(void)buf_add(&actions_of(action)->prepended, action->text);
	(void)buf_text(&actions_of(action)->prepended, "\r\n");
	return CHECK_DUNNO;
}

static enum verdict act_warn(const struct action *action)
{
	log_action(action, "warn", "");
	return CHECK_DUNNO;
}

static enum verdict act_info(const struct action *action)
{
	log_action(action, "info", "");
	return CHECK_DUNNO;
}

static const struct {
	const char *word;
	enum verdict (*act)(const struct action *action);
} words[] = {
	{ "DUNNO", act_dunno },
	{ "OK", act_permit },
	{ "RELAY", act_permit },
	{ "REJECT", act_reject },
	{ "DEFER", act_defer },
	{ "DEFER_IF_PERMIT", act_defer_if_permit },
	{ "DEFER_IF_REJECT", act_defer_if_reject },
	{ "DISCARD", act_discard },
	{ "HOLD", act_hold },
	{ "FILTER", act_filter },
	{ "REDIRECT", act_redirect },
	{ "BCC", act_bcc },
	{ "PREPEND", act_prepend },
	{ "WARN", act_warn },
	{ "INFO", act_info },
};

/* "550 5.7.1 text": the whole reply is the table's. */
static enum verdict numeric_reply(const struct action *action, struct span value, int code)
{
	struct action numbered = *action;

	numbered.text = span_trim(span_from(value, 3));
	/* 421 and 521 end the session: the command loop sees it in the reply. */
	return reject_with(&numbered, code, "Access denied");
}

static bool is_all_digits(struct span s)
{
	uint64_t value;

	return span_u64(s, UINT64_MAX, &value);
}

enum verdict access_action(struct check *check, enum subject subject, struct span value,
			   const char *table)
{
	struct span rest = value, word = span_word(&rest, " \t");
	struct action action = { check, subject, span_trim(rest), table };

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (span_is_nocase(word, words[i].word))
			return words[i].act(&action);
	if (word.n == 3 && (word.p[0] == '4' || word.p[0] == '5') && is_all_digits(word))
		return numeric_reply(&action, value, (word.p[0] - '0') * 100 +
							     (word.p[1] - '0') * 10 + word.p[2] - '0');
	if (is_all_digits(value))
		return act_permit(&action);
	if (check->depth >= NESTING_MAX) {
		log_warn("access table %s: restrictions name each other without end", table);
		return check_config_error(check);
	}

	enum verdict verdict;

	check->depth++;
	verdict = restrictions_run_text(check, value);
	check->depth--;
	return verdict;
}
