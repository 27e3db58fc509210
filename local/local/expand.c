/* SPDX-License-Identifier: MIT */
/*
 * Destinations: of aliases, of .forward files, of :include: lists. Runs in the expander; the files
 * are read by the monitor as the user whose they are (aliases(5), local(8)).
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "local/local/local.h"
#include "mail/addr_ext.h"
#include "table/maps.h"

enum { INCLUDE_MAX = 16 * 1024 * 1024, FORWARD_MAX = 1024 * 1024 };

static const char *const source_words[] = {
	[FROM_REQUEST] = "alias", [FROM_ALIAS] = "alias", [FROM_INCLUDE] = "include",
	[FROM_FORWARD] = "forward", [FROM_LUSER] = "alias",
};

bool list_has(const char *list, const char *word)
{
	struct span rest = span_of(list), one;

	while ((one = span_word(&rest, ", \t\r\n")).n > 0)
		if (span_is_nocase(one, word))
			return true;
	return false;
}

static void fail(struct run *run, const struct target *target, const char *status,
		 const char *reason)
{
	struct deliver_outcome outcome = deliver_by_status(status, span_of(reason));

	run_report(run, target, &outcome);
}

/* ---- :include: ---- */

static void deliver_include(struct run *run, const struct target *parent, struct span path)
{
	struct target *target = arena_alloc(&run->delivery->arena, sizeof(*target));
	struct user *actor = arena_alloc(&run->delivery->arena, sizeof(*actor));
	struct span text, reason;
	char message[512];
	int error;

	*target = *parent;
	target->depth++;
	if (target->depth > TARGET_DEPTH_MAX) {
		fail(run, parent, "5.4.6", "unreasonable nesting of :include: files");
		return;
	}
	if (path.n == 0 || path.p[0] != '/') {
		fail(run, parent, "5.3.5", ":include: needs an absolute path");
		return;
	}
	if (run_has_seen(run, "include", path))
		return;
	error = user_read(run, parent->rights != NULL ? parent->rights->name : SPAN(""), path,
			  INCLUDE_MAX, &text, actor, &reason);
	if (error == 0) {
		if (target->rights == NULL)
			target->rights = actor;
		(void)deliver_destinations(run, target, FROM_INCLUDE, text);
		return;
	}
	(void)snprintf(message, sizeof(message), "cannot read include file %.*s: %.*s",
		       SPAN_ARG(span_first(path, 256)), SPAN_ARG(reason));
	log_warn("%s: %s", run->delivery->id, log_clean_str(message));
	/* What its owner did wrong is an error; a fault of this machine passes. */
	fail(run, parent, error == ENOENT || error == EACCES || error == EPERM || error == ENOTDIR ||
			  error == ELOOP ? "5.3.5" : "4.3.0", message);
}

/* ---- destinations ---- */

static void deliver_one_address(struct run *run, const struct target *parent,
				enum local_source source, struct span address)
{
	struct buf extended = BUF_INIT(4096), suffix = BUF_INIT(1024);

	if (parent->has_unmatched && parent->extension.n > 0 &&
	    list_has(conf->propagate_unmatched_extensions, source_words[source])) {
		(void)buf_add(&suffix, parent->delimiter);
		(void)buf_add(&suffix, parent->extension);
		if (addr_ext_join(&extended, address, buf_span(&suffix)))
			address = buf_span(&extended);
	}
	deliver_address(run, parent, source, address);
	buf_done(&extended);
	buf_done(&suffix);
}

/* "\name", the mailbox itself; with a foreign domain just an address. */
static void deliver_escaped(struct run *run, const struct target *parent, enum local_source source,
			    struct span name)
{
	struct buf address = BUF_INIT(4096);

	if (span_has(name, '@')) {
		deliver_one_address(run, parent, source, name);
		return;
	}
	(void)buf_printf(&address, "%.*s@%.*s", SPAN_ARG(name), SPAN_ARG(parent->domain));
	deliver_to_user(run, target_new(run, parent, source, buf_span(&address)));
	buf_done(&address);
}

static void deliver_destination(struct run *run, const struct target *parent,
				enum local_source source, const struct destination *destination)
{
	switch (destination->kind) {
	case DESTINATION_ADDRESS:
		deliver_one_address(run, parent, source, destination->text);
		break;
	case DESTINATION_MAILBOX:
		deliver_escaped(run, parent, source, destination->text);
		break;
	case DESTINATION_COMMAND:
		if (list_has(conf->allow_mail_to_commands, source_words[source]))
			deliver_command(run, parent, parent->rights, destination->text);
		else
			fail(run, parent, "5.7.1", "mail to command is restricted");
		break;
	case DESTINATION_FILE:
		if (list_has(conf->allow_mail_to_files, source_words[source]))
			deliver_file(run, parent, parent->rights, destination->text, false);
		else
			fail(run, parent, "5.7.1", "mail to file is restricted");
		break;
	case DESTINATION_INCLUDE:
		deliver_include(run, parent, destination->text);
		break;
	}
}

unsigned deliver_destinations(struct run *run, const struct target *parent,
			      enum local_source source, struct span text)
{
	struct destination_reader reader;
	struct destination destination;
	unsigned count = 0;

	destination_start(&reader, text, source != FROM_ALIAS);
	while (destination_next(&reader, &destination)) {
		struct span copy = arena_span(&run->delivery->arena, destination.text);

		destination.text = copy;
		deliver_destination(run, parent, source, &destination);
		count++;
	}
	destination_done(&reader);
	return count;
}

/* ---- aliases ---- */

/* owner-NAME, unless this is such an alias itself (aliases(5)). */
static void take_owner(struct run *run, struct target *target)
{
	struct buf owner = BUF_INIT(4096), address = BUF_INIT(4096);
	struct destination_reader reader;
	struct destination first;
	struct span value;

	if (conf->reset_owner_alias)
		target->has_owner = false;
	(void)buf_printf(&owner, "owner-%.*s", SPAN_ARG(target->alias));
	if (!conf->owner_request_special || span_starts(target->alias, SPAN("owner-")) ||
	    span_ends(target->alias, SPAN("-request")) ||
	    maps_find(local.aliases, NULL, buf_span(&owner), false, &value) != TABLE_FOUND) {
		buf_done(&owner);
		return;
	}
	destination_start(&reader, value, false);
	if (conf->expand_owner_alias && destination_next(&reader, &first) &&
	    first.kind == DESTINATION_ADDRESS)
		(void)buf_set(&owner, first.text);
	destination_done(&reader);
	(void)site_rewrite(&local.site, ROUTE_LOCAL, buf_span(&owner), &address);
	target->sender = arena_span(&run->delivery->arena, buf_span(&address));
	target->has_owner = true;
	buf_done(&owner);
	buf_done(&address);
}

static void expand_alias(struct run *run, const struct target *from, struct span name,
			 struct span value)
{
	struct arena *arena = &run->delivery->arena;
	struct target *target = arena_alloc(arena, sizeof(*target));
	struct span text = arena_span(arena, value);

	if (run_has_seen(run, "alias", name))
		return;
	*target = *from;
	target->alias = name;
	target->has_unmatched = name.n < from->name.n;
	target->rights = owner_of(run, span_of(maps_origin(local.aliases)));
	take_owner(run, target);
	if (deliver_destinations(run, target, FROM_ALIAS, text) == 0)
		fail(run, target, "4.3.5", "alias without destination");
}

/* Whether the alias is being expanded further up; *ret_is_parent: directly above. */
static bool is_expanding(const struct target *target, struct span name, bool *ret_is_parent)
{
	for (const struct target *up = target->parent; up != NULL; up = up->parent) {
		if (!span_eq(up->alias, name) || name.n == 0)
			continue;
		*ret_is_parent = up == target->parent;
		return true;
	}
	return false;
}

enum alias_result deliver_alias(struct run *run, const struct target *target)
{
	struct span names[2] = { target->name, target->user }, value;
	bool is_parent;

	for (size_t i = 0; i < (names[1].n < names[0].n ? 2 : 1); i++) {
		if (maps_is_empty(local.aliases) || names[i].n == 0)
			return ALIAS_NONE;
		if (is_expanding(target, names[i], &is_parent))
			return is_parent ? ALIAS_NONE : ALIAS_LOOP;
		switch (maps_find(local.aliases, NULL, names[i], false, &value)) {
		case TABLE_FOUND:
			expand_alias(run, target, names[i], value);
			return ALIAS_DONE;
		case TABLE_NOT_FOUND:
			break;
		case TABLE_ERROR:
		case TABLE_PENDING:
			log_warn("%s: %s lookup of %s: %s", run->delivery->id,
				 maps_title(local.aliases), log_clean(names[i]),
				 maps_error(local.aliases));
			fail(run, target, "4.3.0", "alias database unavailable");
			return ALIAS_DONE;
		}
	}
	return ALIAS_NONE;
}

/* ---- .forward ---- */

/*
 * What one path of forward_path gives: true with the text, or with a deferral reported when this
 * machine could not read it; false: no file there, or none to be used.
 */
static bool read_forward(struct run *run, const struct target *target, const struct user *user,
			 struct span path, struct span *ret_text, bool *ret_is_deferred)
{
	struct span reason;
	struct user actor;
	int error = user_read(run, user->name, path, FORWARD_MAX, ret_text, &actor, &reason);

	*ret_is_deferred = false;
	switch (error) {
	case 0:
		return true;
	case ENOENT:
	case ENOTDIR:
		return false;
	case EPERM:
		log_warn("%s", log_clean(reason));
		return false;
	case EACCES:
	case EFBIG:
	case ELOOP:
	case EISDIR:
	case ENXIO:
		log_warn("file %s: %s", log_clean(path), log_clean(reason));
		return false;
	default:
		log_warn("file %s: %s", log_clean(path), log_clean(reason));
		fail(run, target, "4.3.0", "cannot read .forward file");
		*ret_is_deferred = true;
		return true;
	}
}

bool deliver_forward(struct run *run, const struct target *target, const struct user *user)
{
	struct span rest = span_of(conf->forward_path), word, path, text;
	struct target *forward;
	bool is_deferred;

	while ((word = span_word(&rest, ", \t\r\n")).n > 0) {
		if (!expand_for(run, target, user, word, conf->forward_expansion_filter, &path) ||
		    path.n == 0 || path.p[0] != '/' ||
		    !read_forward(run, target, user, path, &text, &is_deferred))
			continue;
		if (is_deferred)
			return true;
		forward = arena_alloc(&run->delivery->arena, sizeof(*forward));
		*forward = *target;
		forward->forward_user = user->name;
		forward->rights = user;
		forward->has_unmatched = memmem(word.p, word.n, "extension", 9) == NULL;
		return deliver_destinations(run, forward, FROM_FORWARD, text) > 0;
	}
	return false;
}
