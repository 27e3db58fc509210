/* SPDX-License-Identifier: MIT */
/*
 * The mailbox of a user, in the order of local(8): mailbox_transport, mailbox_command, home_mailbox,
 * mail_spool_directory; and what takes the mail of unknown users. Runs in the expander.
 */

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "deliver/expand.h"
#include "local/local/local.h"
#include "table/maps.h"

/* ---- $name ---- */

struct names {
	const struct target *target;
	const struct user *user;
};

static bool name_value(void *context, struct span name, struct span *ret_value)
{
	const struct names *names = context;
	const struct target *target = names->target;
	struct span delimiters = span_of(conf->recipient_delimiter);
	const struct {
		const char *name;
		struct span value;
	} rows[] = {
		{ "user", target->user },
		{ "home", names->user != NULL ? names->user->home : SPAN("") },
		{ "shell", names->user != NULL ? names->user->shell : SPAN("") },
		{ "recipient", target->address },
		{ "extension", target->extension },
		{ "domain", target->domain },
		{ "local", target->local },
		{ "recipient_delimiter",
		  target->delimiter.n > 0 ? target->delimiter : span_first(delimiters, 1) },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (!span_is_nocase(name, rows[i].name))
			continue;
		*ret_value = rows[i].value;
		return true;
	}
	log_warn("unknown $%s in a value for local delivery", log_clean(name));
	return false;
}

bool expand_for(struct run *run, const struct target *target, const struct user *user,
		struct span text, const char *allowed, struct span *ret)
{
	struct names names = { target, user };
	struct buf out = BUF_INIT(4096);
	bool has_undefined;
	bool is_good = expand_text(&out, text, allowed, name_value, &names, &has_undefined);

	if (!is_good)
		log_warn("malformed value for local delivery: %s", log_clean(text));
	*ret = arena_span(&run->delivery->arena, buf_span(&out));
	buf_done(&out);
	return is_good && !has_undefined;
}

/* ---- other transports ---- */

/* "transport:nexthop"; without nexthop it is the domain of the address. */
static void pass_to(struct run *run, const struct target *target, struct span where)
{
	struct msg_rcpt rcpt = *run->rcpt;
	struct span transport, nexthop;

	if (!span_cut(where, ':', &transport, &nexthop)) {
		transport = where;
		nexthop = (struct span){ NULL, 0 };
	}
	rcpt.address = target->address;
	rcpt.orig_address = target->orig_address;
	if (deliver_pass(run->delivery, &rcpt, arena_str(&run->delivery->arena, transport),
			 nexthop.n > 0 ? nexthop : target->domain, target->sender) == DSN_DELAYED)
		run->must_repeat = true;
	else
		run->is_partly_done = true;
}

/* A per-user table, then a parameter for all. False: neither says anything. */
static bool find_setting(struct run *run, const struct target *target, struct maps *maps,
			 const char *value, struct span *ret, bool *ret_is_deferred)
{
	struct deliver_outcome outcome = deliver_deferred("4.3.0", SPAN("table lookup failure"));

	*ret_is_deferred = false;
	switch (maps_find(maps, NULL, target->user, false, ret)) {
	case TABLE_FOUND:
		*ret = arena_span(&run->delivery->arena, *ret);
		return true;
	case TABLE_NOT_FOUND:
		*ret = span_of(value);
		return *value != '\0';
	case TABLE_ERROR:
	case TABLE_PENDING:
		break;
	}
	log_warn("%s lookup of %s: %s", maps_title(maps), log_clean(target->user), maps_error(maps));
	run_report(run, target, &outcome);
	*ret_is_deferred = true;
	return true;
}

/* mailbox_transport and fallback_transport. */
static bool deliver_transport(struct run *run, const struct target *target, struct maps *maps,
			      const char *value)
{
	struct span where;
	bool is_deferred;

	if (!find_setting(run, target, maps, value, &where, &is_deferred))
		return false;
	if (!is_deferred && !run_has_seen(run, "passed", target->address))
		pass_to(run, target, where);
	return true;
}

/* ---- the user's own ---- */

static struct span mailbox_path(struct run *run, const struct user *user)
{
	struct arena *arena = &run->delivery->arena;
	const char *path;

	if (*conf->home_mailbox != '\0')
		path = arena_printf(arena, "%.*s/%s", SPAN_ARG(user->home), conf->home_mailbox);
	else if (strchr(conf->mail_spool_directory, '\0')[-1] == '/')
		path = arena_printf(arena, "%s%.*s/", conf->mail_spool_directory, SPAN_ARG(user->name));
	else
		path = arena_printf(arena, "%s/%.*s", conf->mail_spool_directory, SPAN_ARG(user->name));
	return span_of(path);
}

/* require_home_directory: whether there is something, as the user sees it. */
static bool has_home(struct run *run, const struct target *target, const struct user *user)
{
	struct deliver_outcome outcome = deliver_deferred("4.3.0", SPAN("cannot access home directory"));
	struct span text, reason;
	struct user actor;

	/* A directory is no file to read: that it is refused as such shows that it is there. */
	if (!conf->require_home_directory ||
	    user_read(run, user->name, user->home, 1, &text, &actor, &reason) == EPERM)
		return true;
	run_report(run, target, &outcome);
	return false;
}

static void deliver_own(struct run *run, const struct target *target, const struct user *user)
{
	struct span command;
	bool is_deferred;

	if (run_has_seen(run, "mailbox", user->name) || !has_home(run, target, user))
		return;
	if (find_setting(run, target, local.command_maps, conf->mailbox_command, &command,
			 &is_deferred)) {
		if (!is_deferred)
			deliver_command(run, target, user, command);
		return;
	}
	deliver_file(run, target, user, mailbox_path(run, user), true);
}

bool deliver_mailbox(struct run *run, const struct target *target, const struct user *user)
{
	if (deliver_transport(run, target, local.transport_maps, conf->mailbox_transport))
		return true;
	if (user == NULL)
		return false;
	deliver_own(run, target, user);
	return true;
}

/* ---- nobody's ---- */

static bool has_been_luser(const struct target *target)
{
	for (; target != NULL; target = target->parent)
		if (target->source == FROM_LUSER)
			return true;
	return false;
}

void deliver_unknown(struct run *run, const struct target *target)
{
	struct buf reason = BUF_INIT(2048);
	struct deliver_outcome outcome;
	struct span relay;

	if (deliver_transport(run, target, local.fallback_maps, conf->fallback_transport))
		return;
	if (*conf->luser_relay != '\0' && !has_been_luser(target)) {
		/* Values that are missing leave a gap here: "$user+$extension" is still an address. */
		(void)!expand_for(run, target, NULL, span_of(conf->luser_relay), NULL, &relay);
		if (relay.n > 0 && deliver_destinations(run, target, FROM_LUSER, relay) > 0)
			return;
	}
	(void)buf_printf(&reason, "unknown user: \"%.*s\"", SPAN_ARG(target->local));
	outcome = deliver_failed("5.1.1", buf_span(&reason));
	run_report(run, target, &outcome);
	buf_done(&reason);
}
