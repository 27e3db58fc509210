/* SPDX-License-Identifier: MIT */
#ifndef SMTPD_TABLES_H
#define SMTPD_TABLES_H

/* Tables and lists that smtpd opens once, as root, before its jail. Borrowed by all sessions. */

#include "route/site.h"

struct restriction_list;

enum stage {
	STAGE_CLIENT,
	STAGE_HELO,
	STAGE_SENDER,
	STAGE_RELAY,
	STAGE_RCPT,
	STAGE_DATA,
	STAGE_END_OF_DATA,
	STAGE_ETRN,
	STAGE_COUNT
};

struct tables {
	struct site site;
	struct maps *local_rcpt, *relay_rcpt, *virtual_alias, *virtual_mailbox;
	struct maps *canonical, *rcpt_canonical, *sender_canonical;
	struct match_list *mynetworks, *event_exceptions, *bare_newline_exceptions,
		*verp_clients, *ban_exceptions;
	struct restriction_list *restrictions[STAGE_COUNT];
	struct restriction_list *rewrite_clients; /* local_header_rewrite_clients */
	struct maps *ehlo_keyword_maps;           /* smtpd_discard_ehlo_keyword_address_maps */
	struct maps *forbidden_commands;          /* tables of smtpd_forbidden_commands */
	struct match_list *logged_permits;        /* NULL: none */
	struct match_list *mx_backup_networks;
	struct maps *relay_clientcerts;           /* opened by smtpd/tls.c */
	struct maps *rbl_replies, *command_filter, *reject_filter, *dns_reply_filter;
	struct maps *sender_login;
	struct maps *aliases; /* NULL unless smtpd_header_from_login_check wants them */
	unsigned discard_keywords;                /* bits of smtpd/keywords.h */
	bool is_strict; /* Postern's own compatibility level: RELIABILITY rows hold */
};

extern struct tables tables;

void tables_open(void);

/* The tables of one parameter, for use in the jail; what is wrong with them is fatal. */
struct maps *tables_open_maps(const char *title, const char *list);

#endif
