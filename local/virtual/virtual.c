/* SPDX-License-Identifier: MIT */
/*
 * virtual: delivers to mailboxes of virtual users, found by their whole address in tables. Each
 * worker splits in two (deliver/actor.h): a part without rights looks up and logs; the monitor
 * starts a process for each uid that comes, which stays below virtual_mailbox_base and takes one
 * message after the other from the worker, so that with one uid nothing is forked for a message.
 *
 * Manual: virtual(8).
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "conf/conf.h"
#include "deliver/actor.h"
#include "deliver/delivery.h"
#include "deliver/prefix.h"
#include "ipc/table_client.h"
#include "mail/header.h"
#include "proc/service.h"
#include "table/maps.h"

enum { HEAD_MAX = 16 * 1024 * 1024, ID_MAX = 0x7fffffff };

static struct {
	struct maps *mailboxes, *uids, *gids;
	char hostname[256];
} state;

/* ---- in the monitor ---- */

/* The kernel's Landlock forbids it as well; this holds where there is none. */
static bool has_parent_step(struct span path)
{
	struct span part;

	while ((part = span_word(&path, "/")).n > 0)
		if (span_is(part, ".."))
			return true;
	return false;
}

static int identify(const struct msg_act_request *request, struct actor_identity *ret)
{
	if (request->uid < (uint32_t)conf->virtual_minimum_uid || request->uid == 0 ||
	    request->uid > ID_MAX || request->gid == 0 || request->gid > ID_MAX ||
	    request->target.n == 0 || request->target.p[0] == '/' || has_parent_step(request->target))
		return EPERM;
	(void)snprintf(ret->name, sizeof(ret->name), "%u", (unsigned)request->uid);
	ret->uid = (uid_t)request->uid;
	ret->gid = ret->effective_gid = (gid_t)request->gid;
	ret->beneath = *conf->virtual_mailbox_base != '\0' ? conf->virtual_mailbox_base : "/";
	return 0;
}

/* ---- start ---- */

static struct maps *open_maps(const char *title, const char *list)
{
	struct buf error = BUF_INIT(1024);
	struct maps *maps = maps_open(title, span_of(list),
				      TABLE_FOLD | TABLE_NO_SUBST | TABLE_IN_JAIL, &error);

	if (maps == NULL)
		fatal("%s", buf_str(&error));
	buf_done(&error);
	return maps;
}

static void prepare(void)
{
	table_client_setup();
	state.mailboxes = open_maps("virtual_mailbox_maps", conf->virtual_mailbox_maps);
	state.uids = open_maps("virtual_uid_maps", conf->virtual_uid_maps);
	state.gids = open_maps("virtual_gid_maps", conf->virtual_gid_maps);
	deliver_prepare("virtual_delivery_status_filter", conf->virtual_delivery_status_filter);
	if (gethostname(state.hostname, sizeof(state.hostname) - 1) < 0)
		fatal("gethostname: %s", strerror(errno));
}

static void worker_start(void)
{
	static struct actor_rules rules;

	rules = (struct actor_rules){
		.verbs = 1U << ACTOR_MAILDIR | 1U << ACTOR_MBOX,
		.file_limit_bytes = conf->virtual_mailbox_limit,
		.must_be_owned = conf->strict_mailbox_ownership,
		.hostname = state.hostname,
		.are_lasting = true,
		.identify = identify,
	};
	if (!mbox_parse_locks(conf->virtual_mailbox_lock, &rules.locks))
		fatal("bad value of virtual_mailbox_lock: %s", conf->virtual_mailbox_lock);
	actor_start(&rules);
	service_confine(jail_find("virtual_worker"));
}

/* ---- a delivery ---- */

struct mailbox {
	struct span path; /* below virtual_mailbox_base */
	uint64_t uid, gid;
};

static enum table_status find(struct delivery *delivery, struct maps *maps, struct span address,
			      struct span *ret)
{
	const struct maps_address_rules rules = {
		.extension = { span_of(conf->recipient_delimiter), conf->owner_request_special },
	};
	struct span extension;
	enum table_status status =
		maps_find_address(maps, NULL, &rules, address,
				  MAPS_FULL | MAPS_NO_EXTENSION | MAPS_AT_DOMAIN, ret, &extension);

	if (status == TABLE_FOUND)
		*ret = arena_span(&delivery->arena, *ret);
	else if (status != TABLE_NOT_FOUND)
		log_warn("%s: %s lookup of %s: %s", delivery->id, maps_title(maps), log_clean(address),
			 maps_error(maps));
	return status;
}

static bool find_number(struct delivery *delivery, struct maps *maps, struct span address,
			uint64_t minimum, uint64_t *ret)
{
	struct span text;
	enum table_status status = find(delivery, maps, address, &text);

	if (status == TABLE_FOUND && span_u64(text, ID_MAX, ret) && *ret >= minimum && *ret > 0)
		return true;
	if (status == TABLE_FOUND)
		log_warn("recipient %s: bad value \"%s\" in %s", log_clean(address), log_clean(text),
			 maps_title(maps));
	else if (status == TABLE_NOT_FOUND)
		log_warn("recipient %s: not found in %s", log_clean(address), maps_title(maps));
	return false;
}

/* Where the mail goes, or false and the outcome. The reason is borrowed for the report. */
static bool find_mailbox(struct delivery *delivery, struct span address, struct mailbox *ret,
			 struct deliver_outcome *ret_outcome)
{
	enum table_status status = find(delivery, state.mailboxes, address, &ret->path);

	if (status == TABLE_NOT_FOUND) {
		*ret_outcome = deliver_failed(
			"5.1.1", span_of(arena_printf(&delivery->arena, "unknown user: \"%.*s\"",
						      SPAN_ARG(address))));
		return false;
	}
	if (status != TABLE_FOUND ||
	    !find_number(delivery, state.uids, address, (uint64_t)conf->virtual_minimum_uid,
			 &ret->uid) ||
	    !find_number(delivery, state.gids, address, 1, &ret->gid)) {
		*ret_outcome = deliver_deferred("4.3.5", SPAN("mail system configuration error"));
		return false;
	}
	while (ret->path.n > 0 && ret->path.p[0] == '/')
		ret->path = span_from(ret->path, 1);
	return true;
}

static struct deliver_outcome write_to(struct delivery *delivery, const struct msg_rcpt *rcpt,
				       const struct mailbox *mailbox)
{
	bool is_maildir = mailbox->path.n == 0 || mailbox->path.p[mailbox->path.n - 1] == '/';
	struct buf from_line = BUF_INIT(2048), headers = BUF_INIT(16384);
	struct msg_act_request request = {
		.verb = is_maildir ? ACTOR_MAILDIR : ACTOR_MBOX,
		.uid = (uint32_t)mailbox->uid,
		.gid = (uint32_t)mailbox->gid,
		.target = mailbox->path,
		.is_mailbox = true,
		.format = is_maildir ? 0 : MESSAGE_QUOTE_FROM | MESSAGE_BLANK_END,
	};
	struct msg_act_answer answer;
	struct deliver_outcome outcome;

	if (!is_maildir)
		prefix_from_line(&from_line, delivery->request.sender, delivery->handoff);
	prefix_return_path(&headers, delivery->request.sender);
	prefix_original_to(&headers, rcpt->orig_address);
	prefix_delivered_to(&headers, rcpt->address);
	request.from_line = buf_span(&from_line);
	request.prefix = buf_span(&headers);
	actor_ask(&request, delivery->fd, &answer);
	buf_done(&from_line);
	buf_done(&headers);
	if (span_starts(answer.status, SPAN("2.")))
		return deliver_sent(is_maildir ? SPAN("delivered to maildir")
					       : SPAN("delivered to mailbox"));
	outcome = deliver_by_status(arena_str(&delivery->arena, answer.status), answer.reason);
	outcome.reason = span_of(
		is_maildir ? arena_printf(&delivery->arena, "maildir delivery failed: %.*s",
					  SPAN_ARG(answer.reason))
			   : arena_printf(&delivery->arena,
					  "cannot update mailbox %s/%.*s for user %.*s. %.*s",
					  conf->virtual_mailbox_base, SPAN_ARG(mailbox->path),
					  SPAN_ARG(rcpt->address), SPAN_ARG(answer.reason)));
	return outcome;
}

static void deliver_one(struct delivery *delivery, const struct msg_rcpt *rcpt, struct span head)
{
	struct deliver_outcome outcome;
	struct mailbox mailbox;

	if (header_has_delivered_to(head, rcpt->address))
		outcome = deliver_failed(
			"5.4.6", span_of(arena_printf(&delivery->arena, "mail forwarding loop for %.*s",
						      SPAN_ARG(rcpt->address))));
	else if (find_mailbox(delivery, rcpt->address, &mailbox, &outcome))
		outcome = deliver_is_probe(delivery) ? deliver_sent(SPAN("delivers to mailbox"))
						     : write_to(delivery, rcpt, &mailbox);
	deliver_report(delivery, rcpt, &outcome);
}

static void deliver(struct delivery *delivery)
{
	struct buf head = BUF_INIT(HEAD_MAX);

	if (deliver_read_head(delivery, &head))
		for (size_t i = 0; i < delivery->rcpt_count; i++)
			deliver_one(delivery, &delivery->rcpts[i], buf_span(&head));
	buf_done(&head);
}

static void serve(int fd, const char *client)
{
	static const struct deliver_agent agent = { .relay = "virtual", .deliver = deliver };

	deliver_serve(fd, client, &agent);
}

static const struct service_program program = {
	.name = "virtual",
	.kind = SERVICE_WORKERS,
	.prepare = prepare,
	.worker_start = worker_start,
	.serve = serve,
};

int main(int argc, char **argv)
{
	return service_main(argc, argv, &program);
}
