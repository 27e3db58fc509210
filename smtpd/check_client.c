/* SPDX-License-Identifier: MIT */
/* Restrictions on the client's address and name. postconf(5) smtpd_client_restrictions. */

#include "conf/conf.h"
#include "smtpd/check.h"

#include <string.h>

static bool parents_match(void)
{
	return strstr(conf->parent_domain_matches_subdomains, "smtpd_access_maps") != NULL;
}

/* Name and its parents, then address and its networks. */
static enum verdict client_access(struct check *check, const struct restriction *restriction,
				  const char *name)
{
	struct session *s = check->session;
	struct maps *maps = restriction->maps;
	struct span value;
	enum table_status status = TABLE_NOT_FOUND;

	if (strcmp(name, "unknown") != 0)
		status = maps_find_domain(maps, &s->lookup, span_of(name), !parents_match(), &value);
	else
		status = maps_find(maps, &s->lookup, SPAN("unknown"), false, &value);
	if (status == TABLE_NOT_FOUND)
		status = maps_find_network(maps, &s->lookup, span_of(s->peer.addr), &value);
	if (status == TABLE_ERROR)
		return check_local_fault(check, maps_error(maps));
	if (status != TABLE_FOUND)
		return CHECK_DUNNO;
	return access_action(check, SUBJECT_CLIENT, value, maps_origin(maps));
}

enum verdict check_client_access(struct check *check, const struct restriction *restriction)
{
	return client_access(check, restriction, check->session->peer.name);
}

enum verdict check_reverse_client_access(struct check *check, const struct restriction *restriction)
{
	return client_access(check, restriction, check->session->peer.reverse_name);
}

enum verdict permit_mynetworks(struct check *check, const struct restriction *restriction)
{
	const struct peer *peer = &check->session->peer;

	(void)restriction;
	switch (match_client(tables.mynetworks, &check->session->lookup, span_of(peer->name),
			     span_of(peer->addr))) {
	case MATCH_YES: return CHECK_PERMIT;
	case MATCH_NO:
	case MATCH_PENDING: return CHECK_DUNNO;
	case MATCH_ERROR: return check_local_fault(check, match_error(tables.mynetworks));
	}
	return CHECK_DUNNO;
}

enum verdict permit_inet_interfaces(struct check *check, const struct restriction *restriction)
{
	(void)restriction;
	return match_client(tables.site.own_addresses, NULL, SPAN(""),
			    span_of(check->session->peer.addr)) == MATCH_YES
		       ? CHECK_PERMIT
		       : CHECK_DUNNO;
}

/* local_header_rewrite_clients: the address is a key, the value does not matter. */
enum verdict check_address_map(struct check *check, const struct restriction *restriction)
{
	struct session *s = check->session;
	struct span value;

	return maps_find(restriction->maps, &s->lookup, span_of(s->peer.addr), false, &value) ==
			       TABLE_FOUND
		       ? CHECK_PERMIT
		       : CHECK_DUNNO;
}

enum verdict reject_unknown_client(struct check *check, const struct restriction *restriction)
{
	const struct peer *peer = &check->session->peer;

	(void)restriction;
	if (peer->name_status == PEER_OK)
		return CHECK_DUNNO;
	return check_reject(check, SUBJECT_CLIENT,
			    peer->name_status == PEER_PERMANENT || peer->name_status == PEER_FORGED
				    ? conf->unknown_client_reject_code
				    : 450,
			    "4.7.25", "cannot find your hostname, [%s]", peer->addr);
}

enum verdict reject_unknown_reverse_client(struct check *check,
					   const struct restriction *restriction)
{
	const struct peer *peer = &check->session->peer;

	(void)restriction;
	if (peer->reverse_status == PEER_OK)
		return CHECK_DUNNO;
	return check_reject(check, SUBJECT_CLIENT,
			    peer->reverse_status == PEER_PERMANENT ? conf->unknown_client_reject_code
								   : 450,
			    "4.7.1", "cannot find your reverse hostname, [%s]", peer->addr);
}

enum verdict reject_unknown_forward_client(struct check *check,
					   const struct restriction *restriction)
{
	const struct peer *peer = &check->session->peer;

	(void)restriction;
	/* The name has addresses, though this client's need not be among them. */
	if (peer->reverse_status != PEER_OK || peer->name_status == PEER_OK ||
	    peer->name_status == PEER_FORGED)
		return CHECK_DUNNO;
	return check_reject(check, SUBJECT_CLIENT, conf->unknown_client_reject_code, "4.7.25",
			    "cannot find your hostname, [%s]", peer->addr);
}
