/* SPDX-License-Identifier: MIT */
/*
 * Whether an address exists here: reject_unlisted_recipient. Mail for somebody who does not
 * exist is refused while the client is still there, not bounced later to a forged sender.
 */

#include <string.h>

#include "conf/conf.h"
#include "mail/addr.h"
#include "mail/probe_sender.h"
#include "mail/dsn.h"
#include "smtpd/check.h"

enum listed { LISTED_YES, LISTED_NO, LISTED_FAILED };

static enum listed find(struct check *check, struct maps *maps, struct span address)
{
	struct span value, extension;
	enum table_status status;

	if (maps_is_empty(maps))
		return LISTED_NO;
	status = maps_find_address(maps, &check->session->lookup, &tables.site.rules, address,
				   MAPS_KEYS_REWRITE, &value, &extension);
	if (status == TABLE_ERROR)
		(void)check_local_fault(check, maps_error(maps));
	return status == TABLE_FOUND ? LISTED_YES
				     : status == TABLE_ERROR ? LISTED_FAILED : LISTED_NO;
}

/* Tables that rewrite make an address known whatever it is rewritten to. */
static enum listed is_rewritten(struct check *check, struct span address, enum subject subject)
{
	struct maps *const maps[] = { subject == SUBJECT_RCPT ? tables.rcpt_canonical
							      : tables.sender_canonical,
				      tables.canonical, tables.virtual_alias };
	enum listed listed = LISTED_NO;

	for (size_t i = 0; listed == LISTED_NO && i < ARRAY_LEN(maps); i++)
		listed = find(check, maps[i], address);
	return listed;
}

static enum verdict unknown_user(struct check *check, enum subject subject, int code,
				 const char *table)
{
	const char *status = subject == SUBJECT_SENDER ? "5.1.0" : "5.1.1";

	if (conf->show_user_unknown_table_name)
		return check_reject(check, subject, code, status, "User unknown in %s table", table);
	return check_reject(check, subject, code, status, "User unknown");
}

/* The address resolves to error(8) or retry(8): their text is the reply. */
static enum verdict error_transport(struct check *check, enum subject subject,
				    const struct route *route)
{
	bool is_retry = span_is(buf_span(&route->transport), "retry");
	char status[DSN_STATUS_SIZE];
	struct span reason;
	int code;

	dsn_split(buf_span(&route->nexthop), is_retry ? "4.1.0" : "5.1.1", status, &reason);
	if (status[0] == '2')
		status[0] = is_retry ? '4' : '5';
	if (!is_retry && strcmp(status, "5.0.0") == 0)
		(void)memcpy(status, "5.1.1", 6);
	code = route->class == ROUTE_CLASS_VIRTUAL_ALIAS
		       ? conf->unknown_virtual_alias_reject_code
		       : 550;
	return check_reject(check, subject, status[0] == '4' ? 450 : code, status, "%.*s",
			    SPAN_ARG(reason));
}

static enum verdict check_class(struct check *check, enum subject subject,
				const struct route *route)
{
	struct maps *maps = NULL;
	const char *table = "";
	int code = 550;

	switch (route->class) {
	case ROUTE_CLASS_LOCAL:
		maps = tables.local_rcpt;
		code = conf->unknown_local_recipient_reject_code;
		table = "local recipient";
		break;
	case ROUTE_CLASS_VIRTUAL_ALIAS:
		return unknown_user(check, subject, conf->unknown_virtual_alias_reject_code,
				    "virtual alias");
	case ROUTE_CLASS_VIRTUAL_MAILBOX:
		maps = tables.virtual_mailbox;
		code = conf->unknown_virtual_mailbox_reject_code;
		table = "virtual mailbox";
		break;
	case ROUTE_CLASS_RELAY:
		maps = tables.relay_rcpt;
		code = conf->unknown_relay_recipient_reject_code;
		table = "relay recipient";
		break;
	case ROUTE_CLASS_DEFAULT: return CHECK_DUNNO;
	}
	if (maps_is_empty(maps))
		return CHECK_DUNNO; /* nobody said who exists: everybody may */
	switch (find(check, maps, buf_span(&route->recipient))) {
	case LISTED_YES: return CHECK_DUNNO;
	case LISTED_FAILED: return CHECK_REJECT;
	case LISTED_NO: break;
	}
	return unknown_user(check, subject, code, table);
}

static bool is_error_transport(const struct route *route)
{
	struct span transport = buf_span(&route->transport);

	return span_is(transport, "error") || span_is(transport, "retry");
}

/* The sender of address probes: servers that see it may probe it in turn. */
static bool is_probe_sender(struct span address)
{
	return probe_sender_is(address, span_of(conf->address_verify_sender),
			       span_of(conf->myorigin), conf->address_verify_sender_ttl,
			       clock_wall_now());
}

static enum verdict check_resolved(struct check *check, struct span address, enum subject subject,
				   const struct route *route)
{
	if (is_probe_sender(address))
		return CHECK_DUNNO;
	switch (is_rewritten(check, address, subject)) {
	case LISTED_YES: return CHECK_DUNNO;
	case LISTED_FAILED: return CHECK_REJECT;
	case LISTED_NO: break;
	}
	if (is_error_transport(route))
		return error_transport(check, subject, route);
	return check_class(check, subject, route);
}

enum verdict check_listed(struct check *check, struct span address, enum subject subject)
{
	struct route route;
	enum verdict verdict;

	if (address.n == 0)
		return CHECK_DUNNO;
	if (subject == SUBJECT_RCPT) {
		if (check_resolve(check) == ROUTE_ERROR)
			return check_local_fault(check, buf_str(&check->route.warning));
		return check_resolved(check, address, subject, &check->route);
	}
	route_init(&route);
	if (site_resolve(&tables.site, &check->session->lookup, SPAN(""), address, &route) ==
	    ROUTE_ERROR)
		verdict = check_local_fault(check, buf_str(&route.warning));
	else
		verdict = check_resolved(check, address, subject, &route);
	route_done(&route);
	return verdict;
}
