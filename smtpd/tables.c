/* SPDX-License-Identifier: MIT */
/* Opening everything that the configuration names, before the jail; see tables.h. */

#include "smtpd/tables.h"

#include <string.h>

#include "base/log.h"
#include "conf/conf.h"
#include "conf/expand.h"
#include "ipc/table_client.h"
#include "proc/debug_peer.h"
#include "smtpd/check.h"
#include "smtpd/footer.h"
#include "smtpd/keywords.h"

struct tables tables;

struct maps *tables_open_maps(const char *title, const char *list)
{
	struct buf error = BUF_INIT(1000);
	struct maps *maps = maps_open(title, span_of(list), TABLE_FOLD | TABLE_IN_JAIL, &error);

	if (maps == NULL)
		fatal("%s: %s", title, buf_str(&error));
	return maps;
}

/* NULL when the list is empty, so that nobody asks it in vain. */
static struct match_list *open_names(const char *title, const char *list)
{
	struct buf error = BUF_INIT(1000);
	struct match_list *match = match_open(title, span_of(list), MATCH_STRING,
					      TABLE_FOLD | TABLE_IN_JAIL, &error);

	if (match == NULL)
		fatal("%s: %s", title, buf_str(&error));
	if (!match_is_empty(match))
		return match;
	match_close(match);
	return NULL;
}

static struct match_list *open_clients(const char *title, const char *list)
{
	struct buf error = BUF_INIT(1000);
	unsigned parents = strstr(conf->parent_domain_matches_subdomains, title) != NULL
				   ? (unsigned)MATCH_PARENTS
				   : 0;
	struct match_list *match = match_open(title, span_of(list), MATCH_CLIENT,
					      TABLE_FOLD | TABLE_IN_JAIL | parents, &error);

	if (match == NULL)
		fatal("%s: %s", title, buf_str(&error));
	return match;
}

static void open_restrictions(void)
{
	const struct {
		enum stage stage;
		const char *parameter, *list;
	} lists[] = {
		{ STAGE_CLIENT, "smtpd_client_restrictions", conf->smtpd_client_restrictions },
		{ STAGE_HELO, "smtpd_helo_restrictions", conf->smtpd_helo_restrictions },
		{ STAGE_SENDER, "smtpd_sender_restrictions", conf->smtpd_sender_restrictions },
		{ STAGE_RELAY, "smtpd_relay_restrictions", conf->smtpd_relay_restrictions },
		{ STAGE_RCPT, "smtpd_recipient_restrictions", conf->smtpd_recipient_restrictions },
		{ STAGE_DATA, "smtpd_data_restrictions", conf->smtpd_data_restrictions },
		{ STAGE_END_OF_DATA, "smtpd_end_of_data_restrictions",
		  conf->smtpd_end_of_data_restrictions },
		{ STAGE_ETRN, "smtpd_etrn_restrictions", conf->smtpd_etrn_restrictions },
	};

	restrictions_parse_classes();
	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		tables.restrictions[lists[i].stage] =
			restrictions_parse(lists[i].parameter, lists[i].list);
	tables.rewrite_clients = restrictions_parse("local_header_rewrite_clients",
						    conf->local_header_rewrite_clients);
}

/* The tables in a list that has plain words as well. */
static void open_forbidden_commands(void)
{
	struct span rest = span_of(conf->smtpd_forbidden_commands);
	struct buf list = BUF_INIT(65536);
	size_t at;

	/* Words come first; from the first table on, the list is one of tables. */
	if (span_chr(rest, ':', &at)) {
		size_t start = at;

		while (start > 0 && !ascii_is_blank(rest.p[start - 1]) && rest.p[start - 1] != ',')
			start--;
		(void)buf_add(&list, span_from(rest, start));
		tables.forbidden_commands = tables_open_maps("smtpd_forbidden_commands", buf_str(&list));
	}
	buf_done(&list);
}

static bool is_own_level(void)
{
	int64_t level, own;

	return conf_level_parse(span_of(conf->compatibility_level), &level) &&
	       conf_level_parse(SPAN("3.11"), &own) && level >= own;
}

void tables_open(void)
{
	struct span unknown = { 0 };

	table_client_setup();
	site_open(&tables.site, TABLE_IN_JAIL);
	tables.local_rcpt = tables_open_maps("local_recipient_maps", conf->local_recipient_maps);
	tables.relay_rcpt = tables_open_maps("relay_recipient_maps", conf->relay_recipient_maps);
	tables.virtual_alias = tables_open_maps("virtual_alias_maps", conf->virtual_alias_maps);
	tables.virtual_mailbox = tables_open_maps("virtual_mailbox_maps", conf->virtual_mailbox_maps);
	tables.canonical = tables_open_maps("canonical_maps", conf->canonical_maps);
	tables.rcpt_canonical =
		tables_open_maps("recipient_canonical_maps", conf->recipient_canonical_maps);
	tables.sender_canonical = tables_open_maps("sender_canonical_maps", conf->sender_canonical_maps);
	tables.mynetworks = open_clients("mynetworks", conf->mynetworks);
	tables.event_exceptions = open_clients("smtpd_client_event_limit_exceptions",
					       conf->smtpd_client_event_limit_exceptions);
	tables.bare_newline_exceptions = open_clients("smtpd_forbid_bare_newline_exclusions",
						      conf->smtpd_forbid_bare_newline_exclusions);
	tables.verp_clients = open_clients("smtpd_authorized_verp_clients",
					   conf->smtpd_authorized_verp_clients);
	tables.ban_exceptions =
		open_clients("smtpd_auth_ban_exceptions", conf->smtpd_auth_ban_exceptions);
	tables.ehlo_keyword_maps = tables_open_maps("smtpd_discard_ehlo_keyword_address_maps",
					     conf->smtpd_discard_ehlo_keyword_address_maps);
	tables.discard_keywords =
		keywords_parse(span_of(conf->smtpd_discard_ehlo_keywords), &unknown);
	if (unknown.n > 0)
		log_warn("smtpd_discard_ehlo_keywords: unknown keyword: %.*s", SPAN_ARG(unknown));
	tables.is_strict = is_own_level();
	tables.logged_permits = open_names("smtpd_log_access_permit_actions",
					   conf->smtpd_log_access_permit_actions);
	tables.mx_backup_networks =
		open_clients("permit_mx_backup_networks", conf->permit_mx_backup_networks);
	tables.sender_login =
		tables_open_maps("smtpd_sender_login_maps", conf->smtpd_sender_login_maps);
	if (strcmp(conf->smtpd_header_from_login_check, "no") != 0)
		tables.aliases = tables_open_maps("alias_maps", conf->alias_maps);
	tables.rbl_replies = tables_open_maps("rbl_reply_maps", conf->rbl_reply_maps);
	tables.command_filter = tables_open_maps("smtpd_command_filter", conf->smtpd_command_filter);
	tables.reject_filter =
		tables_open_maps("smtpd_reject_filter_maps", conf->smtpd_reject_filter_maps);
	tables.dns_reply_filter =
		tables_open_maps("smtpd_dns_reply_filter", conf->smtpd_dns_reply_filter);
	footer_open();
	notice_open();
	debug_peer_prepare();
	open_forbidden_commands();
	open_restrictions();
}
