/* SPDX-License-Identifier: MIT */
/*
 * The table of restrictions, the parsing of lists, and their evaluation. A new restriction is
 * a row here and a function in a family's file. Lists are parsed before the jail.
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "conf/conf.h"
#include "smtpd/check.h"
#include "smtpd/policy.h"

static const struct restriction_row rows[] = {
	/* any stage */
	{ "permit", restrict_permit, ARG_NONE, SUBJECT_CLIENT },
	{ "reject", restrict_reject, ARG_NONE, SUBJECT_CLIENT },
	{ "defer", restrict_defer, ARG_NONE, SUBJECT_CLIENT },
	{ "defer_if_permit", restrict_defer_if_permit, ARG_NONE, SUBJECT_CLIENT },
	{ "defer_if_reject", restrict_defer_if_reject, ARG_NONE, SUBJECT_CLIENT },
	{ "warn_if_reject", restrict_warn_if_reject, ARG_NONE, SUBJECT_CLIENT },
	{ "check_policy_service", check_policy_service, ARG_POLICY, SUBJECT_CLIENT },
	{ "sleep", restrict_sleep, ARG_NUMBER, SUBJECT_CLIENT },
	{ "reject_multi_recipient_bounce", reject_multi_recipient_bounce, ARG_NONE, SUBJECT_DATA },
	{ "reject_unauth_pipelining", reject_unauth_pipelining, ARG_NONE, SUBJECT_DATA },
	{ "reject_plaintext_session", reject_plaintext_session, ARG_NONE, SUBJECT_CLIENT },

	/* client */
	{ "check_client_access", check_client_access, ARG_TABLE, SUBJECT_CLIENT },
	{ "check_client_a_access", check_host_a_access, ARG_TABLE, SUBJECT_CLIENT },
	{ "check_client_mx_access", check_host_mx_access, ARG_TABLE, SUBJECT_CLIENT },
	{ "check_client_ns_access", check_host_ns_access, ARG_TABLE, SUBJECT_CLIENT },
	{ "check_reverse_client_hostname_a_access", check_reverse_a_access, ARG_TABLE,
	  SUBJECT_CLIENT },
	{ "check_reverse_client_hostname_mx_access", check_reverse_mx_access, ARG_TABLE,
	  SUBJECT_CLIENT },
	{ "check_reverse_client_hostname_ns_access", check_reverse_ns_access, ARG_TABLE,
	  SUBJECT_CLIENT },
	{ "check_address_map", check_address_map, ARG_TABLE, SUBJECT_CLIENT },
	{ "check_ccert_access", check_ccert_access, ARG_TABLE, SUBJECT_CLIENT },
	{ "check_sasl_access", check_sasl_access, ARG_TABLE, SUBJECT_LOGIN },
	{ "check_reverse_client_hostname_access", check_reverse_client_access, ARG_TABLE,
	  SUBJECT_CLIENT },
	{ "permit_inet_interfaces", permit_inet_interfaces, ARG_NONE, SUBJECT_CLIENT },
	{ "permit_mynetworks", permit_mynetworks, ARG_NONE, SUBJECT_CLIENT },
	{ "permit_sasl_authenticated", permit_sasl_authenticated, ARG_NONE, SUBJECT_CLIENT },
	{ "permit_tls_clientcerts", permit_tls_clientcerts, ARG_NONE, SUBJECT_CLIENT },
	{ "permit_tls_all_clientcerts", permit_tls_all_clientcerts, ARG_NONE,
	  SUBJECT_CLIENT },
	{ "reject_unknown_client_hostname", reject_unknown_client, ARG_NONE, SUBJECT_CLIENT },
	{ "reject_unknown_client", reject_unknown_client, ARG_NONE, SUBJECT_CLIENT },
	{ "reject_unknown_reverse_client_hostname", reject_unknown_reverse_client, ARG_NONE,
	  SUBJECT_CLIENT },
	{ "reject_unknown_forward_client_hostname", reject_unknown_forward_client, ARG_NONE,
	  SUBJECT_CLIENT },
	{ "reject_rbl_client", reject_rbl_client, ARG_DOMAIN, SUBJECT_CLIENT },
	{ "permit_dnswl_client", permit_dnswl_client, ARG_DOMAIN, SUBJECT_CLIENT },
	{ "permit_rhswl_client", permit_rhswl_client, ARG_DOMAIN, SUBJECT_CLIENT },
	{ "reject_rhsbl_client", reject_rhsbl_client, ARG_DOMAIN, SUBJECT_CLIENT },
	{ "reject_rhsbl_reverse_client", reject_rhsbl_reverse_client, ARG_DOMAIN, SUBJECT_CLIENT },

	/* helo */
	{ "check_helo_access", check_helo_access, ARG_TABLE, SUBJECT_HELO },
	{ "check_helo_a_access", check_host_a_access, ARG_TABLE, SUBJECT_HELO },
	{ "check_helo_mx_access", check_host_mx_access, ARG_TABLE, SUBJECT_HELO },
	{ "check_helo_ns_access", check_host_ns_access, ARG_TABLE, SUBJECT_HELO },
	{ "reject_invalid_helo_hostname", reject_invalid_helo, ARG_NONE, SUBJECT_HELO },
	{ "reject_invalid_hostname", reject_invalid_helo, ARG_NONE, SUBJECT_HELO },
	{ "reject_non_fqdn_helo_hostname", reject_non_fqdn_helo, ARG_NONE, SUBJECT_HELO },
	{ "reject_non_fqdn_hostname", reject_non_fqdn_helo, ARG_NONE, SUBJECT_HELO },
	{ "reject_unknown_helo_hostname", reject_unknown_helo, ARG_NONE, SUBJECT_HELO },
	{ "reject_unknown_hostname", reject_unknown_helo, ARG_NONE, SUBJECT_HELO },
	{ "reject_rhsbl_helo", reject_rhsbl_helo, ARG_DOMAIN, SUBJECT_HELO },

	/* sender */
	{ "check_sender_access", check_sender_access, ARG_TABLE, SUBJECT_SENDER },
	{ "check_sender_a_access", check_host_a_access, ARG_TABLE, SUBJECT_SENDER },
	{ "check_sender_mx_access", check_host_mx_access, ARG_TABLE, SUBJECT_SENDER },
	{ "check_sender_ns_access", check_host_ns_access, ARG_TABLE, SUBJECT_SENDER },
	{ "reject_non_fqdn_sender", reject_non_fqdn_sender, ARG_NONE, SUBJECT_SENDER },
	{ "reject_unknown_sender_domain", reject_unknown_sender_domain, ARG_NONE, SUBJECT_SENDER },
	{ "reject_unknown_address", reject_unknown_sender_domain, ARG_NONE, SUBJECT_SENDER },
	{ "reject_unlisted_sender", reject_unlisted_sender, ARG_NONE, SUBJECT_SENDER },
	{ "reject_unverified_sender", reject_unverified_sender, ARG_NONE, SUBJECT_SENDER },
	{ "reject_unverified_address", reject_unverified_sender, ARG_NONE, SUBJECT_SENDER },
	{ "reject_rhsbl_sender", reject_rhsbl_sender, ARG_DOMAIN, SUBJECT_SENDER },
	{ "reject_sender_login_mismatch", reject_login_mismatch, ARG_NONE, SUBJECT_SENDER },
	{ "reject_known_sender_login_mismatch", reject_login_mismatch_known, ARG_NONE,
	  SUBJECT_SENDER },
	{ "reject_authenticated_sender_login_mismatch", reject_login_mismatch_in, ARG_NONE,
	  SUBJECT_SENDER },
	{ "reject_unauthenticated_sender_login_mismatch", reject_login_mismatch_out, ARG_NONE,
	  SUBJECT_SENDER },

	/* recipient and relay */
	{ "check_recipient_access", check_rcpt_access, ARG_TABLE, SUBJECT_RCPT },
	{ "check_recipient_a_access", check_host_a_access, ARG_TABLE, SUBJECT_RCPT },
	{ "check_recipient_mx_access", check_host_mx_access, ARG_TABLE, SUBJECT_RCPT },
	{ "check_recipient_ns_access", check_host_ns_access, ARG_TABLE, SUBJECT_RCPT },
	{ "permit_mx_backup", permit_mx_backup, ARG_NONE, SUBJECT_RCPT },
	{ "permit_auth_destination", permit_auth_destination, ARG_NONE, SUBJECT_RCPT },
	{ "reject_unauth_destination", reject_unauth_destination, ARG_NONE, SUBJECT_RCPT },
	{ "defer_unauth_destination", defer_unauth_destination, ARG_NONE, SUBJECT_RCPT },
	{ "reject_non_fqdn_recipient", reject_non_fqdn_rcpt, ARG_NONE, SUBJECT_RCPT },
	{ "reject_unknown_recipient_domain", reject_unknown_rcpt_domain, ARG_NONE, SUBJECT_RCPT },
	{ "reject_unlisted_recipient", reject_unlisted_rcpt, ARG_NONE, SUBJECT_RCPT },
	{ "check_recipient_maps", reject_unlisted_rcpt, ARG_NONE, SUBJECT_RCPT },
	{ "reject_unverified_recipient", reject_unverified_rcpt, ARG_NONE, SUBJECT_RCPT },
	{ "reject_rhsbl_recipient", reject_rhsbl_rcpt, ARG_DOMAIN, SUBJECT_RCPT },

	/* etrn */
	{ "check_etrn_access", check_etrn_access, ARG_TABLE, SUBJECT_ETRN },
};

/* Names that would let something through, or refuse it, by what this version does not know. */
static const struct {
	const char *name, *lacks;
} lacking[] = {
	{ "permit_naked_ip_address", "a retired restriction: see permit_mynetworks" },
	{ "check_relay_domains", "a retired restriction: see reject_unauth_destination" },
	{ "reject_maps_rbl", "a retired restriction: see reject_rbl_client" },
};

/* Not names that can be written: what stands in a list without one. */
static const struct restriction_row class_row = { "", restrict_class, ARG_NONE, SUBJECT_CLIENT };
static const struct restriction_row unknown_row = { "", restrict_unknown, ARG_NONE,
						    SUBJECT_CLIENT };

/* "type:table" by itself is an access table of the list's own kind. */
static const struct restriction_row own_row = { "", restrict_own_access, ARG_TABLE,
						SUBJECT_CLIENT };

static const struct {
	check_fn *access;
	enum subject subject; /* of what says nothing more, as "reject" */
} stages[STAGE_COUNT] = {
	[STAGE_CLIENT] = { check_client_access, SUBJECT_CLIENT },
	[STAGE_HELO] = { check_helo_access, SUBJECT_HELO },
	[STAGE_SENDER] = { check_sender_access, SUBJECT_SENDER },
	[STAGE_RELAY] = { check_rcpt_access, SUBJECT_RCPT },
	[STAGE_RCPT] = { check_rcpt_access, SUBJECT_RCPT },
	[STAGE_DATA] = { check_rcpt_access, SUBJECT_DATA },
	[STAGE_END_OF_DATA] = { check_rcpt_access, SUBJECT_END_OF_DATA },
	[STAGE_ETRN] = { check_etrn_access, SUBJECT_ETRN },
};

/* ---- parsing ---- */

static const struct restriction_row *find_row(struct span name)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (span_is_nocase(name, rows[i].name))
			return &rows[i];
	return NULL;
}

struct span restriction_word(struct span *rest)
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

/* Where a list is from: main.cf is read once and must be right, a table's value may be anything. */
struct source {
	const char *parameter;
	bool is_table;
};

/* NULL: a table's value names a table that cannot be opened. */
static struct maps *open_access(const struct source *source, struct span table)
{
	struct buf error = BUF_INIT(1000);
	struct maps *maps = maps_open(source->parameter, table, TABLE_FOLD | TABLE_IN_JAIL, &error);

	if (maps == NULL && !source->is_table)
		fatal("%s: %s", source->parameter, buf_str(&error));
	buf_done(&error);
	return maps;
}

/* A table can only name a server that main.cf names as well. */
static struct policy_server *find_policy(const struct source *source, struct span argument)
{
	struct buf error = BUF_INIT(1000);
	struct policy_server *server = source->is_table ? policy_server_known(argument)
							: policy_server_find(argument, &error);

	if (server == NULL && !source->is_table)
		fatal("%s: %s", source->parameter, buf_str(&error));
	return server;
}

static struct restriction_list *parse(const struct source *source, struct span text);

/* One name of smtpd_restriction_classes. All are parsed before any other list. */
struct class {
	char *name;
	struct restriction_list *list; /* NULL: not yet */
	bool is_open;                  /* being parsed: to meet it again is a loop */
};

static struct class *classes;
static size_t class_count;

static void parse_class(struct class *class)
{
	struct source source = { class->name, false };

	if (class->list != NULL)
		return;
	if (class->is_open)
		fatal("smtpd_restriction_classes: %s refers to itself", class->name);
	class->is_open = true;
	class->list = parse(&source, span_of(conf_user(class->name)));
}

void restrictions_parse_classes(void)
{
	struct span rest = span_of(conf->smtpd_restriction_classes), word;

	while ((word = span_word(&rest, ", \t\r\n")).n > 0) {
		classes = mem_resize(classes, (class_count + 1) * sizeof(*classes));
		classes[class_count++] = (struct class){ .name = mem_dup(word) };
	}
	for (size_t i = 0; i < class_count; i++)
		parse_class(&classes[i]);
}

static bool find_class(struct span name, struct restriction *ret)
{
	for (size_t i = 0; i < class_count; i++) {
		if (!span_is(name, classes[i].name))
			continue;
		parse_class(&classes[i]);
		*ret = (struct restriction){ .row = &class_row, .list = classes[i].list };
		return true;
	}
	return false;
}

/* What an argument is for its restriction; false when it is nothing usable. */
static bool take_argument(const struct source *source, struct span argument,
			  struct restriction *ret)
{
	if (argument.n == 0) {
		if (!source->is_table)
			fatal("%s: %s needs an argument", source->parameter, ret->row->name);
		return false;
	}
	ret->text = span_of(mem_dup(argument));
	if (ret->row->arg == ARG_TABLE)
		ret->maps = open_access(source, argument);
	if (ret->row->arg == ARG_POLICY)
		ret->policy = find_policy(source, argument);
	return (ret->row->arg != ARG_TABLE || ret->maps != NULL) &&
	       (ret->row->arg != ARG_POLICY || ret->policy != NULL);
}

static void refuse_lacking(const struct source *source, struct span name)
{
	for (size_t i = 0; i < ARRAY_LEN(lacking) && !source->is_table; i++)
		if (span_is_nocase(name, lacking[i].name))
			fatal("%s: %s needs what this version lacks: %s", source->parameter,
			      lacking[i].name, lacking[i].lacks);
}

static bool parse_one(const struct source *source, struct span name, struct span *rest,
		      struct restriction *ret)
{
	const struct restriction_row *row = find_row(name);

	*ret = (struct restriction){ .row = row };
	if (row == NULL && find_class(name, ret))
		return true;
	if (row == NULL && span_has(name, ':')) {
		ret->row = &own_row;
		return take_argument(source, name, ret);
	}
	/* It knows nothing of actions: it is for this one list alone. */
	if (row != NULL && row->check == check_address_map &&
	    strcmp(source->parameter, "local_header_rewrite_clients") != 0)
		row = NULL;
	if (row == NULL)
		return false;
	return row->arg == ARG_NONE || take_argument(source, restriction_word(rest), ret);
}

static void add(struct restriction_list *list, const struct restriction *one)
{
	list->list = mem_resize(list->list, (list->count + 1) * sizeof(*list->list));
	list->list[list->count++] = *one;
}

/* Of a list from a table, which does not last; those of main.cf are for good. */
static void free_argument(struct restriction *restriction)
{
	maps_close(restriction->maps);
	free((void *)(uintptr_t)restriction->text.p);
}

/* In a table's value, all up to the first thing that is unknown counts. */
static struct restriction_list *parse(const struct source *source, struct span text)
{
	struct restriction_list *list = NEW(struct restriction_list);
	struct span word;

	while ((word = restriction_word(&text)).n > 0) {
		struct restriction one;
		bool is_known = parse_one(source, word, &text, &one);

		if (!is_known && !source->is_table) {
			refuse_lacking(source, word);
			fatal("%s: unknown restriction: \"%.*s\"", source->parameter,
			      SPAN_ARG(word));
		}
		if (!is_known) {
			free_argument(&one);
			one = (struct restriction){ .row = &unknown_row,
						    .text = span_of(mem_dup(word)) };
		}
		add(list, &one);
		if (!is_known)
			break;
	}
	return list;
}

struct restriction_list *restrictions_parse(const char *parameter, const char *text)
{
	struct source source = { parameter, false };

	/* The text may have been expanded into memory that goes; tables keep their names. */
	return parse(&source, span_of(mem_dup_str(text)));
}

enum verdict restrictions_run_text(struct check *check, struct span text)
{
	struct source source = { "access table", true };
	struct restriction_list *list = parse(&source, text);
	enum verdict verdict = restrictions_run(check, list);

	for (size_t i = 0; i < list->count; i++)
		free_argument(&list->list[i]);
	free(list->list);
	free(list);
	return verdict;
}

/* ---- evaluation ---- */

enum subject restriction_subject(const struct check *check)
{
	return stages[check->stage].subject;
}

/* smtpd_log_access_permit_actions. An access table's "OK" is logged where it is found. */
static void log_permit(struct check *check, const struct restriction *restriction)
{
	const struct restriction_row *row = restriction->row;

	if (*row->name == '\0' || row->arg == ARG_TABLE || row->arg == ARG_POLICY)
		return;
	check_log_permit(check, row->check == restrict_permit ? restriction_subject(check) : row->subject,
			 row->name, NULL);
}

enum verdict restrictions_run(struct check *check, const struct restriction_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		const struct restriction *restriction = &list->list[i];
		bool is_warning = check->warn_if_reject;
		enum verdict verdict = restriction->row->check(check, restriction);

		/* warn_if_reject holds for the restriction that follows it. */
		if (is_warning)
			check->warn_if_reject = false;
		if (verdict == CHECK_PERMIT && tables.logged_permits != NULL)
			log_permit(check, restriction);
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

enum verdict restrict_reject(struct check *check, const struct restriction *restriction)
{
	(void)restriction;
	return check_reject(check, restriction_subject(check), conf->reject_code, "5.7.1",
			    "Access denied");
}

enum verdict restrict_defer(struct check *check, const struct restriction *restriction)
{
	(void)restriction;
	return check_reject(check, restriction_subject(check), conf->defer_code, "4.3.2", "Try again later");
}

enum verdict restrict_defer_if_permit(struct check *check, const struct restriction *restriction)
{
	(void)restriction;
	return check_defer_if_permit(check, restriction_subject(check), 450, "4.7.0",
				     "defer_if_permit requested");
}

enum verdict restrict_defer_if_reject(struct check *check, const struct restriction *restriction)
{
	(void)restriction;
	return check_defer_if_reject(check, restriction_subject(check), "4.7.0",
				     SPAN("defer_if_reject requested"));
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

enum verdict restrict_own_access(struct check *check, const struct restriction *restriction)
{
	return stages[check->stage].access(check, restriction);
}

enum verdict restrict_unknown(struct check *check, const struct restriction *restriction)
{
	log_warn("access table: unknown action or restriction: %s", log_clean(restriction->text));
	return check_config_error(check);
}
