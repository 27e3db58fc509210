/* SPDX-License-Identifier: MIT */
/*
 * Recipients: each is rewritten, expanded by virtual aliases, and added unless it is there
 * already; and the copies that *_bcc ask for. Runs in cleanup's workers; the addresses are
 * anybody's, the tables the administrator's. virtual(5), ADDRESS_REWRITING_README.
 */

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "cleanup/cleanup.h"
#include "conf/conf.h"
#include "mail/dsn.h"
#include "proc/service.h"
#include "route/expand.h"
#include "route/site.h"

enum { DUP_KEY_MAX = 16 * 1024, TRACE_SECONDS = 30 };

static struct {
	struct maps *virtual, *sender_bcc, *recipient_bcc;
	bool propagates;
} maps;

void expand_prepare(void)
{
	maps.virtual = rewrite_open_maps("virtual_alias_maps", conf->virtual_alias_maps);
	maps.sender_bcc = rewrite_open_maps("sender_bcc_maps", conf->sender_bcc_maps);
	maps.recipient_bcc = rewrite_open_maps("recipient_bcc_maps", conf->recipient_bcc_maps);
	maps.propagates = rewrite_propagates("virtual");
}

/* ---- the list ---- */

/* Whether the same recipient, with the same wishes, is in the list; remembers it. */
static bool is_duplicate(struct message *message, const struct msg_rcpt *rcpt)
{
	struct buf key = BUF_INIT(DUP_KEY_MAX);
	bool is_known;

	(void)buf_printf(&key, "%.*s\n%u\n%.*s\n%.*s", SPAN_ARG(rcpt->orcpt),
			 (unsigned)rcpt->notify, SPAN_ARG(rcpt->orig_address),
			 SPAN_ARG(rcpt->address));
	for (size_t i = 0; i < key.length; i++)
		key.data[i] = ascii_lower(key.data[i]);
	is_known = htab_get(&message->dups, buf_span(&key)) != NULL;
	if (!is_known && (conf->duplicate_filter_limit == 0 ||
			  message->dups.count < (size_t)conf->duplicate_filter_limit))
		(void)htab_put(&message->dups, buf_span(&key), message);
	buf_done(&key);
	return is_known;
}

/* Spans of `rcpt` live in the message's arena. */
static void add(struct message *message, const struct msg_rcpt *rcpt)
{
	if (is_duplicate(message, rcpt))
		return;
	if (message->rcpt_count == message->rcpt_room) {
		message->rcpt_room = message->rcpt_room > 0 ? message->rcpt_room * 2 : 8;
		message->rcpts =
			mem_resize(message->rcpts, message->rcpt_room * sizeof(*message->rcpts));
	}
	message->rcpts[message->rcpt_count++] = *rcpt;
}

/* ---- virtual aliases ---- */

/* An address that an expansion has come to. */
struct item {
	struct span address; /* in the message's arena */
	int depth;           /* aliases on the way to it */
	bool is_final;
};

struct expansion {
	struct message *message;
	struct item *items;
	size_t count, room;
	size_t at;         /* the item that is being replaced */
	struct item old;   /* it, as it was */
	size_t results;    /* of the current lookup */
	const char *error; /* what limit was passed, or NULL */
};

static void put_item(struct expansion *expansion, size_t at, struct item item)
{
	if (at == expansion->room) {
		expansion->room = expansion->room > 0 ? expansion->room * 2 : 8;
		expansion->items = mem_resize(expansion->items, expansion->room * sizeof(item));
	}
	expansion->items[at] = item;
	if (at == expansion->count)
		expansion->count++;
}

/* The first result takes the place of what was looked up, the others go to the end. */
static bool take_result(void *context, struct span address)
{
	struct expansion *expansion = context;
	struct item item = { .depth = expansion->old.depth + 1,
			     /* An address may stand for itself, and is not looked up again. */
			     .is_final = span_eq_nocase(address, expansion->old.address) };

	if (address.n > (size_t)conf->virtual_alias_address_length_limit) {
		expansion->error = "result length";
		return false;
	}
	if (expansion->count > (size_t)conf->virtual_alias_expansion_limit) {
		expansion->error = "expansion size";
		return false;
	}
	item.address = arena_span(&expansion->message->arena, address);
	put_item(expansion, expansion->results++ == 0 ? expansion->at : expansion->count, item);
	return true;
}

/* Looks the item `at` up; false when it stays as it is, or something failed. */
static bool expand_item(struct expansion *expansion)
{
	struct site *site = rewrite_site();
	struct message *message = expansion->message;
	struct span value, extension;

	expansion->old = expansion->items[expansion->at];
	expansion->results = 0;
	if (expansion->old.is_final)
		return false;
	if (expansion->old.depth >= conf->virtual_alias_recursion_limit) {
		expansion->error = "nesting";
		return false;
	}
	switch (maps_find_address(maps.virtual, &message->lookup, &site->rules,
				  expansion->old.address, MAPS_KEYS_REWRITE, &value, &extension)) {
	case TABLE_FOUND: break;
	case TABLE_NOT_FOUND: return false;
	case TABLE_ERROR:
	case TABLE_PENDING:
		message_table_failed(message, "virtual_alias_maps", expansion->old.address);
		return false;
	}
	if (!maps.propagates)
		extension = (struct span){ NULL, 0 };
	if (!route_expand(&site->config, value, expansion->old.address, extension, take_result,
			  expansion) &&
	    expansion->error == NULL)
		expansion->error = "result length";
	return expansion->results > 0 && expansion->error == NULL;
}

/* All that an address stands for. False when a limit or a table says to try later. */
static bool expand_all(struct expansion *expansion, struct span address)
{
	struct message *message = expansion->message;

	put_item(expansion, 0, (struct item){ .address = address });
	for (expansion->at = 0; expansion->at < expansion->count; expansion->at++)
		while (expand_item(expansion))
			;
	if (expansion->error == NULL &&
	    expansion->count > (size_t)conf->virtual_alias_expansion_limit)
		expansion->error = "expansion size";
	if (expansion->error != NULL) {
		log_warn("%s: unreasonable virtual_alias_maps map %s for %s -- "
			 "message not accepted, try again later",
			 message->id, expansion->error, log_clean(address));
		message_fail(message, SUBMIT_DEFER, "4.6.0", "Alias expansion error");
	}
	return message_is_good(message);
}

/* RFC 3461 5.2.7.3: a report of the expansion, where success was to be reported. */
static bool report_expansion(struct message *message, const struct msg_rcpt *rcpt)
{
	struct msg_outcome outcome = {
		.action = DSN_EXPANDED,
		.address = rcpt->address,
		.orig_address = rcpt->orig_address,
		.orcpt = rcpt->orcpt,
		.notify = rcpt->notify,
		.status = SPAN("2.0.0"),
		.reason = SPAN("alias expanded"),
	};
	struct clock_mono deadline = clock_in_ms(TRACE_SECONDS * 1000);
	struct buf record = BUF_INIT(IPC_RECORD_MAX);
	struct msg_bounce_append append = { .queue_id = span_of(message->id),
					    .log = SPAN("trace") };
	struct msg_status status;
	struct ipc_channel channel;
	int fd = service_connect(conf->trace_service_name, deadline);
	bool is_done;

	if (fd < 0)
		return false;
	ipc_attach(&channel, fd);
	is_done = msg_outcome_encode(&record, &outcome);
	append.outcomes = buf_span(&record);
	is_done = is_done && IPC_SEND(&channel, bounce_append, &append, -1, deadline) == IPC_OK &&
		  IPC_EXPECT(&channel, status, &status, deadline) == IPC_OK && status.code == 0;
	ipc_close(&channel);
	buf_done(&record);
	return is_done;
}

static void add_expanded(struct message *message, struct msg_rcpt rcpt)
{
	struct expansion expansion = { .message = message };
	bool is_changed;

	if (!expand_all(&expansion, rcpt.address)) {
		free(expansion.items);
		return;
	}
	is_changed = expansion.count > 1 || !span_eq(expansion.items[0].address, rcpt.address);
	if (is_changed && (rcpt.notify & DSN_NOTIFY_SUCCESS) != 0) {
		if (!report_expansion(message, &rcpt)) {
			log_warn("%s: cannot log the expansion of %s", message->id,
				 log_clean(rcpt.address));
			message_fail(message, SUBMIT_DEFER, "4.3.0",
				     "Error: queue file write error");
		}
		rcpt.notify &= ~(uint32_t)DSN_NOTIFY_SUCCESS;
		if (rcpt.notify == 0)
			rcpt.notify = DSN_NOTIFY_NEVER;
	}
	for (size_t i = 0; i < expansion.count; i++) {
		rcpt.address = expansion.items[i].address;
		add(message, &rcpt);
	}
	free(expansion.items);
}

/* Adds a recipient in its final form, with its aliases expanded. */
static void add_final(struct message *message, const struct msg_rcpt *rcpt)
{
	bool is_expanded = !maps_is_empty(maps.virtual) &&
			   (message->options & SUBMIT_NO_ADDRESS_MAPPINGS) == 0;

	if (is_expanded)
		add_expanded(message, *rcpt);
	else
		add(message, rcpt);
}

/* ---- copies ---- */

void expand_bcc(struct message *message, struct span address)
{
	struct msg_rcpt rcpt = { .notify = DSN_NOTIFY_NEVER };

	rcpt.address = rewrite_rcpt(message, address);
	if (conf->enable_original_recipient)
		rcpt.orig_address = rcpt.address;
	if (message_is_good(message))
		add_final(message, &rcpt);
}

/* The copy that a table has for an address. */
static void add_copy(struct message *message, struct maps *table, struct span address)
{
	struct span value, extension;

	if (maps_is_empty(table) || address.n == 0 || (message->options & SUBMIT_NO_BCC) != 0)
		return;
	switch (maps_find_address(table, &message->lookup, &rewrite_site()->rules, address,
				  MAPS_KEYS_REWRITE, &value, &extension)) {
	case TABLE_FOUND: expand_bcc(message, arena_span(&message->arena, value)); break;
	case TABLE_NOT_FOUND: break;
	case TABLE_ERROR:
	case TABLE_PENDING: message_table_failed(message, maps_title(table), address); break;
	}
}

void expand_sender_bcc(struct message *message)
{
	add_copy(message, maps.sender_bcc, message->envelope.sender);
}

void expand_always_bcc(struct message *message)
{
	if (*conf->always_bcc != '\0' && (message->options & SUBMIT_NO_BCC) == 0 &&
	    message->rcpt_count > 0)
		expand_bcc(message, span_of(conf->always_bcc));
}

/* ---- a recipient of the client ---- */

void expand_rcpt(struct message *message, const struct msg_rcpt *given)
{
	struct msg_rcpt rcpt = *given;

	bool is_probe = (message->envelope.flags & ENVELOPE_PROBE) != 0;

	rcpt.offset = 0;
	/* A probe's outcome is for the address that was asked about, whatever it is rewritten to. */
	if (!conf->enable_original_recipient && !is_probe)
		rcpt.orig_address = (struct span){ NULL, 0 };
	else if (rcpt.orig_address.n == 0)
		rcpt.orig_address = given->address;
	rcpt.address = rewrite_rcpt(message, given->address);
	message->last_rcpt = rcpt.address;
	if (message_is_good(message))
		add_final(message, &rcpt);
	if (message_is_good(message))
		add_copy(message, maps.recipient_bcc, rcpt.address);
}
