/* SPDX-License-Identifier: MIT */
/*
 * The table of restrictions, the parsing of lists, and their evaluation. A new restriction is
 * a row here and a function in a family's file. Lists are parsed before the jail.
 */

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "conf/conf.h"
#include "smtpd/check.h"

enum { CLASS_DEPTH_MAX = 100 };

static const struct restriction_row rows[] = {
	/* any stage */
	{ "permit", restrict_permit, ARG_NONE, SUBJECT_CLIENT },
	{ "reject", restrict_reject, ARG_NONE, SUBJECT_CLIENT },
	{ "defer", restrict_defer, ARG_NONE, SUBJECT_CLIENT },
	{ "defer_if_permit", restrict_defer_if_permit, ARG_NONE, SUBJECT_CLIENT },
	{ "defer_if_reject", restrict_defer_if_reject, ARG_NONE, SUBJECT_CLIENT },
	{ "warn_if_reject", restrict_warn_if_reject, ARG_NONE, SUBJECT_CLIENT },
	{ "sleep", restrict_sleep, ARG_NUMBER, SUBJECT_CLIENT },
	{ "reject_multi_recipient_bounce", reject_multi_recipient_bounce, ARG_NONE, SUBJECT_DATA },
	{ "reject_unauth_pipelining", reject_unauth_pipelining, ARG_NONE, SUBJECT_DATA },
	{ "reject_plaintext_session", reject_plaintext_session, ARG_NONE, SUBJECT_CLIENT },

	/* client */
	{ "check_client_access", check_client_access, ARG_TABLE, SUBJECT_CLIENT },
	{ "check_reverse_client_hostname_access", check_reverse_client_access, ARG_TABLE,
	  SUBJECT_CLIENT },
	{ "permit_inet_interfaces", permit_inet_interfaces, ARG_NONE, SUBJECT_CLIENT },
	{ "permit_mynetworks", permit_mynetworks, ARG_NONE, SUBJECT_CLIENT },
	{ "permit_sasl_authenticated", permit_nobody, ARG_NONE, SUBJECT_CLIENT },
	{ "permit_tls_clientcerts", permit_nobody, ARG_NONE, SUBJECT_CLIENT },
	{ "permit_tls_all_clientcerts", permit_nobody, ARG_NONE, SUBJECT_CLIENT },
	{ "reject_unknown_client_hostname", reject_unknown_client, ARG_NONE, SUBJECT_CLIENT },
	{ "reject_unknown_client", reject_unknown_client, ARG_NONE, SUBJECT_CLIENT },
	{ "reject_unknown_reverse_client_hostname", reject_unknown_reverse_client, ARG_NONE,
	  SUBJECT_CLIENT },
	{ "reject_unknown_forward_client_hostname", reject_unknown_forward_client, ARG_NONE,
	  SUBJECT_CLIENT },
	{ "reject_rbl_client", reject_rbl_client, ARG_DOMAIN, SUBJECT_CLIENT },
	{ "permit_dnswl_client", permit_dnswl_client, ARG_DOMAIN, SUBJECT_CLIENT },
	{ "reject_rhsbl_client", reject_rhsbl_client, ARG_DOMAIN, SUBJECT_CLIENT },
	{ "reject_rhsbl_reverse_client", reject_rhsbl_reverse_client, ARG_DOMAIN, SUBJECT_CLIENT },

	/* helo */
	{ "check_helo_access", check_helo_access, ARG_TABLE, SUBJECT_HELO },
	{ "reject_invalid_helo_hostname", reject_invalid_helo, ARG_NONE, SUBJECT_HELO },
	{ "reject_invalid_hostname", reject_invalid_helo, ARG_NONE, SUBJECT_HELO },
	{ "reject_non_fqdn_helo_hostname", reject_non_fqdn_helo, ARG_NONE, SUBJECT_HELO },
	{ "reject_non_fqdn_hostname", reject_non_fqdn_helo, ARG_NONE, SUBJECT_HELO },
	{ "reject_unknown_helo_hostname", reject_unknown_helo, ARG_NONE, SUBJECT_HELO },
	{ "reject_unknown_hostname", reject_unknown_helo, ARG_NONE, SUBJECT_HELO },
	{ "reject_rhsbl_helo", reject_rhsbl_helo, ARG_DOMAIN, SUBJECT_HELO },

	/* sender */
	{ "check_sender_access", check_sender_access, ARG_TABLE, SUBJECT_SENDER },
	{ "reject_non_fqdn_sender", reject_non_fqdn_sender, ARG_NONE, SUBJECT_SENDER },
	{ "reject_unknown_sender_domain", reject_unknown_sender_domain, ARG_NONE, SUBJECT_SENDER },
	{ "reject_unknown_address", reject_unknown_sender_domain, ARG_NONE, SUBJECT_SENDER },
	{ "reject_unlisted_sender", reject_unlisted_sender, ARG_NONE, SUBJECT_SENDER },
	{ "reject_rhsbl_sender", reject_rhsbl_sender, ARG_DOMAIN, SUBJECT_SENDER },

	/* recipient and relay */
	{ "check_recipient_access", check_rcpt_access, ARG_TABLE, SUBJECT_RCPT },
	{ "permit_auth_destination", permit_auth_destination, ARG_NONE, SUBJECT_RCPT },
	{ "reject_unauth_destination", reject_unauth_destination, ARG_NONE, SUBJECT_RCPT },
	{ "defer_unauth_destination", defer_unauth_destination, ARG_NONE, SUBJECT_RCPT },
	{ "reject_non_fqdn_recipient", reject_non_fqdn_rcpt, ARG_NONE, SUBJECT_RCPT },
	{ "reject_unknown_recipient_domain", reject_unknown_rcpt_domain, ARG_NONE, SUBJECT_RCPT },
	{ "reject_unlisted_recipient", reject_unlisted_rcpt, ARG_NONE, SUBJECT_RCPT },
	{ "check_recipient_maps", reject_unlisted_rcpt, ARG_NONE, SUBJECT_RCPT },
	{ "reject_rhsbl_recipient", reject_rhsbl_rcpt, ARG_DOMAIN, SUBJECT_RCPT },

	/* etrn */
	{ "check_etrn_access", check_etrn_access, ARG_TABLE, SUBJECT_ETRN },
};

/* Not names that can be written: what stands in a list without one. */
static const struct restriction_row class_row = { "", restrict_class, ARG_NONE, SUBJECT_CLIENT };

/* "type:table" by itself is the list's own kind of access table. */
static const struct restriction_row own_rows[STAGE_COUNT] = {
	[STAGE_CLIENT] = { "", check_client_access, ARG_TABLE, SUBJECT_CLIENT },
	[STAGE_HELO] = { "", check_helo_access, ARG_TABLE, SUBJECT_HELO },
	[STAGE_SENDER] = { "", check_sender_access, ARG_TABLE, SUBJECT_SENDER },
	[STAGE_RELAY] = { "", check_rcpt_access, ARG_TABLE, SUBJECT_RCPT },
	[STAGE_RCPT] = { "", check_rcpt_access, ARG_TABLE, SUBJECT_RCPT },
	[STAGE_DATA] = { "", check_rcpt_access, ARG_TABLE, SUBJECT_RCPT },
	[STAGE_END_OF_DATA] = { "", check_rcpt_access, ARG_TABLE, SUBJECT_RCPT },
	[STAGE_ETRN] = { "", check_etrn_access, ARG_TABLE, SUBJECT_ETRN },
};

/* ---- parsing ---- */

static const struct restriction_row *find_row(struct span name)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (span_is_nocase(name, rows[i].name))
			return &rows[i];
	return NULL;
}

/* The next word; "{ a b }" is one, without its braces. */
static struct span next_word(struct span *rest)
{
	struct span text = *rest;
	size_t end = 0, depth = 0;

	while (text.n > 0 && (ascii_is_blank(text.p[0]) || text.p[0] == ','))
		text = span_from(text, 1);
	if (text.n == 0 || text.p[0] != '{')  {
		*rest = text;
		/* A table name may have braces with blanks inside: inline:{a=b, c=d}. */
		for (; end < text.n; end++) {
			if (text.p[end] == '{')
				depth++;
			else if (text.p[end] == '}' && depth > 0)
				depth--;
			else if (depth == 0 && (ascii_is_blank(text.p[end]) || text.p[end] == ','))
				break;
		}
		*rest = span_from(text, end);
		return span_first(text, end);
	}
	for (; end < text.n; end++) {
		if (text.p[end] == '{')
			depth++;
		else if (text.p[end] == '}' && --depth == 0)
			break;
	}
	*rest = span_from(text, end + 1);
	return span_trim(span_from(span_first(text, end), 1));
}

static struct maps *open_access(const char *parameter, struct span table)
{
	struct buf error = BUF_INIT(1000);
	struct maps *maps = maps_open(parameter, table, TABLE_FOLD | TABLE_IN_JAIL, &error);

	if (maps == NULL)
		fatal("%s: %s", parameter, buf_str(&error));
	return maps;
}

static bool is_class(struct span name)
{
	struct span rest = span_of(conf->smtpd_restriction_classes), word;

	while ((word = span_word(&rest, ", \t\r\n")).n > 0)
		if (span_eq(word, name))
			return true;
	return false;
}

static struct restriction_list *parse(const char *parameter, struct span text, enum stage stage,
				      int depth, bool is_from_table);

static bool parse_class(struct restriction *restriction, struct span name, enum stage stage,
			int depth)
{
	char *key;
	const char *value;

	if (!is_class(name))
		return false;
	if (depth > CLASS_DEPTH_MAX)
		fatal("smtpd_restriction_classes: %.*s refers to itself", SPAN_ARG(name));
	key = mem_dup(name);
	value = conf_user(key);
	restriction->row = &class_row;
	restriction->list = parse(key, span_of(value), stage, depth + 1, false);
	return true;
}

static bool parse_one(const char *parameter, struct span name, struct span *rest, enum stage stage,
		      int depth, struct restriction *ret)
{
	const struct restriction_row *row = find_row(name);

	*ret = (struct restriction){ .row = row };
	if (row == NULL && parse_class(ret, name, stage, depth))
		return true;
	if (row == NULL && span_has(name, ':')) {
		ret->row = &own_rows[stage];
		ret->maps = open_access(parameter, name);
		ret->text = name;
		return true;
	}
	if (row == NULL)
		return false;
	if (row->arg == ARG_NONE)
		return true;

	struct span argument = next_word(rest);

	if (argument.n == 0)
		fatal("%s: %s needs an argument", parameter, row->name);
	ret->text = span_of(mem_dup(argument));
	if (row->arg == ARG_TABLE)
		ret->maps = open_access(parameter, argument);
	return true;
}

static struct restriction_list *parse(const char *parameter, struct span text, enum stage stage,
				      int depth, bool is_from_table)
{
	struct restriction_list *list = NEW(struct restriction_list);
	struct span word;

	while ((word = next_word(&text)).n > 0) {
		struct restriction one;

		if (!parse_one(parameter, word, &text, stage, depth, &one)) {
			if (!is_from_table)
				fatal("%s: unknown restriction: \"%.*s\"", parameter, SPAN_ARG(word));
			free(list->list);
			free(list);
			return NULL;
		}
		list->list = mem_resize(list->list, (list->count + 1) * sizeof(*list->list));
		list->list[list->count++] = one;
	}
	return list;
}

struct restriction_list *restrictions_parse(const char *parameter, const char *text,
					    enum stage stage)
{
	/* The text may have been expanded into memory that goes; tables keep their names. */
	return parse(parameter, span_of(mem_dup_str(text)), stage, 0, false);
}

struct restriction_list *restrictions_find(struct span text, enum stage stage)
{
	return parse("access table", text, stage, 0, true);
}

/* ---- evaluation ---- */

enum verdict restrictions_run(struct check *check, const struct restriction_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		const struct restriction *restriction = &list->list[i];
		bool is_warning = check->warn_if_reject;
		enum verdict verdict = restriction->row->check(check, restriction);

		/* warn_if_reject holds for the restriction that follows it. */
		if (is_warning)
			check->warn_if_reject = false;
		if (verdict != CHECK_DUNNO)
			return verdict;
	}
	return CHECK_DUNNO;
}

enum verdict restrict_permit(struct check *check, const struct restriction *restriction)
{
	(void)check;
	(void)restriction;
	return CHECK_PERMIT;
}

/* What a plain "reject" in a list is about. */
static enum subject own_subject(const struct check *check)
{
	return own_rows[check->stage].subject;
}

enum verdict restrict_reject(struct check *check, const struct restriction *restriction)
{
	static const char *const status[] = { [SUBJECT_CLIENT] = "5.7.1", [SUBJECT_HELO] = "5.7.1",
					      [SUBJECT_SENDER] = "5.7.1", [SUBJECT_RCPT] = "5.7.1",
					      [SUBJECT_DATA] = "5.7.1",
					      [SUBJECT_END_OF_DATA] = "5.7.1",
					      [SUBJECT_ETRN] = "5.7.1" };
	enum subject subject = own_subject(check);

	(void)restriction;
	return check_reject(check, subject, conf->reject_code, status[subject], "Access denied");
}

enum verdict restrict_defer(struct check *check, const struct restriction *restriction)
{
	(void)restriction;
	return check_reject(check, own_subject(check), conf->defer_code, "4.3.2", "Try again later");
}

enum verdict restrict_defer_if_permit(struct check *check, const struct restriction *restriction)
{
	(void)restriction;
	return check_defer_if_permit(check, own_subject(check), 450, "4.7.0",
				     "defer_if_permit requested");
}

enum verdict restrict_defer_if_reject(struct check *check, const struct restriction *restriction)
{
	(void)restriction;
	if (!check->if_reject.is_set) {
		check->if_reject.is_set = true;
		buf_init(&check->if_reject.reply, 2048);
		(void)buf_printf(&check->if_reject.reply, "450 4.7.0 %s: defer_if_reject requested",
				 subject_text(check, own_subject(check)));
	}
	return CHECK_DUNNO;
}

enum verdict restrict_warn_if_reject(struct check *check, const struct restriction *restriction)
{
	(void)restriction;
	check->warn_if_reject = true;
	return CHECK_DUNNO;
}

enum verdict restrict_sleep(struct check *check, const struct restriction *restriction)
{
	uint64_t value;
	struct timespec pause = { 0 };

	(void)check;
	if (span_u64(restriction->text, 3600, &value)) {
		pause.tv_sec = (time_t)value;
		(void)nanosleep(&pause, NULL);
	}
	return CHECK_DUNNO;
}

enum verdict restrict_class(struct check *check, const struct restriction *restriction)
{
	return restrictions_run(check, restriction->list);
}
