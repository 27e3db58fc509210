/* SPDX-License-Identifier: MIT */
/*
 * One local address and the ways to deliver it, in the order of local(8): aliases, .forward file,
 * mailbox, what is left for unknown users. Runs in the expander, without rights.
 */

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "local/local/local.h"
#include "mail/addr.h"
#include "proc/service.h"

/* ---- targets ---- */

static struct span lower(struct arena *arena, struct span text)
{
	char *copy = arena_str(arena, text);

	for (size_t i = 0; i < text.n; i++)
		copy[i] = ascii_lower(copy[i]);
	return (struct span){ copy, text.n };
}

static void split(struct run *run, struct target *target)
{
	struct arena *arena = &run->delivery->arena;
	struct addr parts = addr_split(target->address);
	struct span user, extension;

	target->local = parts.local;
	if (target->local.n > 0 && target->local.p[0] == '\\')
		target->local = span_from(target->local, 1);
	target->domain = parts.domain;
	target->name = lower(arena, target->local);
	target->user = target->name;
	if (addr_ext_split(target->local, &local.site.config.ext, &user, &extension)) {
		target->user = span_first(target->name, user.n);
		target->delimiter = (struct span){ target->local.p + user.n, 1 };
		target->extension = extension;
	}
}

struct target *target_new(struct run *run, const struct target *parent, enum local_source source,
			  struct span address)
{
	struct arena *arena = &run->delivery->arena;
	struct target *target = arena_alloc(arena, sizeof(*target));

	if (parent != NULL)
		*target = *parent;
	target->parent = parent;
	target->depth = parent != NULL ? parent->depth + 1 : 0;
	target->source = source;
	target->address = arena_span(arena, address);
	target->alias = target->forward_user = (struct span){ NULL, 0 };
	split(run, target);
	if (parent == NULL) {
		target->sender = run->delivery->request.sender;
		target->orig_address = run->rcpt->orig_address;
		target->delivered = target->address;
	} else if (!conf->frozen_delivered_to) {
		target->delivered = target->address;
	}
	return target;
}

bool run_has_seen(struct run *run, const char *what, struct span detail)
{
	static char mark;
	struct buf key = BUF_INIT(16384);
	bool is_known;

	(void)buf_printf(&key, "%s ", what);
	(void)buf_add(&key, detail);
	is_known = htab_get(&run->seen, buf_span(&key)) != NULL;
	if (!is_known && (conf->duplicate_filter_limit == 0 ||
			  run->seen_count < (size_t)conf->duplicate_filter_limit)) {
		(void)htab_put(&run->seen, buf_span(&key), &mark);
		run->seen_count++;
	}
	buf_done(&key);
	return is_known;
}

/* ---- reports ---- */

void report_now(struct run *run, const struct target *target,
		       const struct deliver_outcome *outcome)
{
	struct msg_rcpt rcpt = *run->rcpt;
	struct deliver_outcome owned = *outcome;

	rcpt.address = target->address;
	rcpt.orig_address = target->orig_address;
	if (target->has_owner)
		owned.owner = target->sender;
	deliver_report(run->delivery, &rcpt, &owned);
}

void run_report(struct run *run, const struct target *target, const struct deliver_outcome *outcome)
{
	struct arena *arena = &run->delivery->arena;
	struct postponed *postponed;

	if (outcome->action != DSN_DELAYED) {
		run->is_partly_done = true;
		report_now(run, target, outcome);
		return;
	}
	if (target->depth == 0 || target->alias.n > 0 || target->forward_user.n > 0)
		run->must_repeat = true; /* a command, a file, or the recipient itself */
	postponed = arena_alloc(arena, sizeof(*postponed));
	postponed->target = target;
	postponed->outcome = *outcome;
	postponed->outcome.reason = arena_span(arena, outcome->reason);
	postponed->outcome.diagnostic = arena_span(arena, outcome->diagnostic);
	list_append(&run->postponed, &postponed->link);
}

void run_report_done(struct run *run, const struct target *target, const char *format, ...)
{
	struct buf reason = BUF_INIT(4096);
	struct deliver_outcome outcome;
	va_list args;

	va_start(args, format);
	(void)buf_vprintf(&reason, format, args);
	va_end(args);
	outcome = deliver_sent(buf_span(&reason));
	run_report(run, target, &outcome);
	buf_done(&reason);
}

/* ---- delivery ---- */

static void report_lookup_error(struct run *run, const struct target *target)
{
	struct deliver_outcome outcome = deliver_deferred("4.3.0", SPAN("user lookup error"));

	run_report(run, target, &outcome);
}

/* Whose .forward file is being delivered, up the chain: it is not read again. */
static bool is_forwarding(const struct target *target, struct span user)
{
	for (const struct target *up = target->parent; up != NULL; up = up->parent)
		if (span_eq(up->forward_user, user))
			return true;
	return false;
}

static int find_user(struct run *run, const struct target *target, struct user *ret)
{
	if (target->user.n == 0 || target->user.n > USER_NAME_MAX)
		return ENOENT;
	return user_find(run, target->user, ret);
}

static void report_loop(struct run *run, const struct target *target)
{
	struct buf reason = BUF_INIT(1024);
	struct deliver_outcome outcome;

	(void)buf_printf(&reason, "alias database loop for %.*s", SPAN_ARG(target->alias));
	log_warn("%s", log_clean(buf_span(&reason)));
	outcome = deliver_failed("5.4.6", buf_span(&reason));
	run_report(run, target, &outcome);
	buf_done(&reason);
}

static void report_nesting(struct run *run, const struct target *target)
{
	struct deliver_outcome outcome =
		deliver_failed("5.4.6", SPAN("unreasonable nesting of aliases"));

	log_warn("%s: aliases nest too deep at %s", run->delivery->id, log_clean(target->address));
	run_report(run, target, &outcome);
}

void deliver_to_user(struct run *run, const struct target *target)
{
	struct user user;
	int error = find_user(run, target, &user);

	if (error != 0 && error != ENOENT)
		report_lookup_error(run, target);
	else if (!deliver_mailbox(run, target, error == 0 ? &user : NULL))
		deliver_unknown(run, target);
}

void deliver_recipient(struct run *run, const struct target *target)
{
	enum alias_result alias;
	struct user user;
	int error;

	if (target->depth > TARGET_DEPTH_MAX) {
		report_nesting(run, target);
		return;
	}
	alias = deliver_alias(run, target);
	if (alias == ALIAS_DONE)
		return;
	error = find_user(run, target, &user);
	if (error != 0 && error != ENOENT)
		report_lookup_error(run, target);
	else if (error == ENOENT && alias == ALIAS_LOOP)
		report_loop(run, target->parent);
	else if (error == 0 && !is_forwarding(target, user.name) &&
		 deliver_forward(run, target, &user))
		return;
	else if (!deliver_mailbox(run, target, error == 0 ? &user : NULL))
		deliver_unknown(run, target);
}

/* Whether mail for `address` ends in this very service. *ret_address: its standard form. */
static enum route_status resolve(struct run *run, struct span sender, struct span address,
				 struct span *ret_address, bool *ret_is_here)
{
	struct buf standard = BUF_INIT(4096);
	struct route route;
	enum route_status status;

	route_init(&route);
	(void)site_rewrite(&local.site, ROUTE_LOCAL, address, &standard);
	status = site_resolve(&local.site, NULL, sender, buf_span(&standard), &route);
	*ret_address = arena_span(&run->delivery->arena, buf_span(&standard));
	*ret_is_here = status == ROUTE_OK && !route.is_bad &&
		       strcmp(buf_str(&route.transport), service.name) == 0;
	route_done(&route);
	buf_done(&standard);
	return status;
}

void deliver_address(struct run *run, const struct target *parent, enum local_source source,
		     struct span address)
{
	struct target *target;
	struct span standard;
	bool is_here;
	enum route_status status = resolve(run, parent->sender, address, &standard, &is_here);

	target = target_new(run, parent, source, standard);
	if (status == ROUTE_ERROR) {
		struct deliver_outcome outcome = deliver_deferred("4.3.0", SPAN("address resolver failure"));

		run_report(run, target, &outcome);
	} else if (is_here && parent->forward_user.n > 0 &&
		   span_eq(target->user, parent->forward_user)) {
		deliver_recipient(run, target); /* the mailbox: is_forwarding() */
	} else if (!is_here || target->has_owner || source == FROM_FORWARD || source == FROM_INCLUDE) {
		forward_add(run, target);
	} else {
		deliver_recipient(run, target);
	}
}
