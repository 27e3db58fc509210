/* SPDX-License-Identifier: MIT */
/*
 * Addresses in their final form: standard form, canonical maps, masquerading; for the envelope
 * and, when the client counts as local, for headers. Runs in cleanup's workers; the addresses
 * are anybody's, the tables the administrator's. canonical(5), ADDRESS_REWRITING_README.
 */

#include <string.h>

#include "base/log.h"
#include "cleanup/cleanup.h"
#include "conf/conf.h"
#include "mail/addr.h"
#include "mail/addr_list.h"
#include "mail/domain.h"
#include "route/expand.h"
#include "route/site.h"

enum { ADDRESS_MAX = 64 * 1024, CANONICAL_DEPTH_MAX = 10, MASQUERADE_MAX = 256 };

/* Where an address stands. */
enum address_class {
	ENVELOPE_SENDER = 1 << 0,
	ENVELOPE_RECIPIENT = 1 << 1,
	HEADER_SENDER_ADDRESS = 1 << 2,
	HEADER_RECIPIENT_ADDRESS = 1 << 3,
};

struct canonical {
	const char *title;
	struct maps *maps;
	unsigned classes;
};

static struct {
	struct site site;
	/* In this order. */
	struct canonical sender, recipient, common;
	unsigned masquerade_classes;
	struct span masquerade[MASQUERADE_MAX]; /* "domain" or "!domain" */
	size_t masquerade_count;
	struct match_list *masquerade_exceptions;
	bool propagates;
} rules;

/* ---- at start ---- */

struct site *rewrite_site(void)
{
	return &rules.site;
}

struct maps *rewrite_open_maps(const char *title, const char *list)
{
	struct buf error = BUF_INIT(1000);
	struct maps *maps = maps_open(title, span_of(list), TABLE_FOLD | TABLE_IN_JAIL, &error);

	if (maps == NULL)
		fatal("%s: %s", title, buf_str(&error));
	buf_done(&error);
	return maps;
}

bool rewrite_propagates(const char *what)
{
	struct span rest = span_of(conf->propagate_unmatched_extensions), word;

	while ((word = span_word(&rest, ", \t\r\n")).n > 0)
		if (span_is_nocase(word, what))
			return true;
	return false;
}

static unsigned parse_classes(const char *title, const char *text)
{
	static const struct {
		const char *name;
		unsigned class;
	} names[] = {
		{ "envelope_sender", ENVELOPE_SENDER },
		{ "envelope_recipient", ENVELOPE_RECIPIENT },
		{ "header_sender", HEADER_SENDER_ADDRESS },
		{ "header_recipient", HEADER_RECIPIENT_ADDRESS },
	};
	struct span rest = span_of(text), word;
	unsigned classes = 0;

	while ((word = span_word(&rest, ", \t\r\n")).n > 0) {
		size_t i = 0;

		while (i < ARRAY_LEN(names) && !span_is_nocase(word, names[i].name))
			i++;
		if (i == ARRAY_LEN(names))
			fatal("%s: unknown class: %.*s", title, SPAN_ARG(word));
		classes |= names[i].class;
	}
	return classes;
}

static struct canonical open_canonical(const char *title, const char *list,
				       const char *classes_title, const char *classes)
{
	return (struct canonical){ title, rewrite_open_maps(title, list),
				   parse_classes(classes_title, classes) };
}

static void prepare_masquerading(void)
{
	struct span rest = span_of(conf->masquerade_domains), word;
	struct buf error = BUF_INIT(1000);

	while ((word = span_word(&rest, ", \t\r\n")).n > 0) {
		if (rules.masquerade_count == MASQUERADE_MAX)
			fatal("masquerade_domains: more than %d", MASQUERADE_MAX);
		rules.masquerade[rules.masquerade_count++] = word;
	}
	rules.masquerade_classes = parse_classes("masquerade_classes", conf->masquerade_classes);
	rules.masquerade_exceptions =
		match_open("masquerade_exceptions", span_of(conf->masquerade_exceptions),
			   MATCH_STRING, TABLE_FOLD | TABLE_IN_JAIL, &error);
	if (rules.masquerade_exceptions == NULL)
		fatal("masquerade_exceptions: %s", buf_str(&error));
	buf_done(&error);
}

void rewrite_prepare(void)
{
	site_open(&rules.site, TABLE_IN_JAIL);
	rules.sender = open_canonical("sender_canonical_maps", conf->sender_canonical_maps,
				      "sender_canonical_classes", conf->sender_canonical_classes);
	rules.recipient =
		open_canonical("recipient_canonical_maps", conf->recipient_canonical_maps,
			       "recipient_canonical_classes", conf->recipient_canonical_classes);
	rules.common = open_canonical("canonical_maps", conf->canonical_maps, "canonical_classes",
				      conf->canonical_classes);
	rules.propagates = rewrite_propagates("canonical");
	prepare_masquerading();
}

/* ---- one address ---- */

/* The first address of a map's result. */
struct first {
	struct buf *address;
	size_t count;
};

static bool take_first(void *context, struct span address)
{
	struct first *first = context;

	if (first->count++ == 0)
		(void)buf_set(first->address, address);
	return true;
}

/* One lookup; false when it changes nothing more. */
static bool map_once(struct message *message, const struct canonical *canonical,
		     struct buf *address)
{
	struct buf mapped = BUF_INIT(ADDRESS_MAX);
	struct first first = { .address = &mapped };
	struct span value, extension, old = buf_span(address);
	bool goes_on = false;

	switch (maps_find_address(canonical->maps, &message->lookup, &rules.site.rules, old,
				  MAPS_KEYS_REWRITE, &value, &extension)) {
	case TABLE_FOUND:
		if (!rules.propagates)
			extension = (struct span){ NULL, 0 };
		(void)route_expand(&rules.site.config, value, old, extension, take_first, &first);
		if (first.count > 1)
			log_warn("%s: multi-valued %s entry for %s", message->id, canonical->title,
				 log_clean(old));
		goes_on = first.count > 0 && !span_eq_nocase(buf_span(&mapped), old);
		if (first.count > 0)
			(void)buf_set(address, buf_span(&mapped));
		break;
	case TABLE_NOT_FOUND: break;
	case TABLE_ERROR:
	case TABLE_PENDING: message_table_failed(message, canonical->title, old); break;
	}
	buf_done(&mapped);
	return goes_on;
}

static void map(struct message *message, const struct canonical *canonical, unsigned class,
		struct buf *address)
{
	if ((canonical->classes & class) == 0 || maps_is_empty(canonical->maps))
		return;
	for (int depth = 0; map_once(message, canonical, address); depth++) {
		if (depth < CANONICAL_DEPTH_MAX)
			continue;
		log_warn("%s: unreasonable %s map nesting for %s -- message not accepted, try "
			 "again later",
			 message->id, canonical->title, log_clean(buf_span(address)));
		message_fail(message, SUBMIT_DEFER, "4.3.0", "Error: queue file write error");
		return;
	}
}

/* Cuts the domain down to the first of masquerade_domains that it is below. */
static void masquerade(struct message *message, unsigned class, struct buf *address)
{
	struct addr parts = addr_split(buf_span(address));

	if ((rules.masquerade_classes & class) == 0 || rules.masquerade_count == 0 ||
	    parts.domain.n == 0 ||
	    match_name(rules.masquerade_exceptions, &message->lookup, parts.local) == MATCH_YES)
		return;
	for (size_t i = 0; i < rules.masquerade_count; i++) {
		struct span domain = rules.masquerade[i];
		bool is_kept = domain.p[0] == '!';

		if (is_kept)
			domain = span_from(domain, 1);
		if (!domain_is_within(parts.domain, domain))
			continue;
		if (!is_kept) {
			buf_truncate(address, address->length - parts.domain.n);
			(void)buf_add(address, domain);
		}
		return;
	}
}

/* Everything that happens to an address in its standard form. */
static void change(struct message *message, unsigned class, struct buf *address)
{
	bool is_sender = (class & (ENVELOPE_SENDER | HEADER_SENDER_ADDRESS)) != 0;

	if ((message->options & SUBMIT_NO_ADDRESS_MAPPINGS) != 0)
		return;
	map(message, is_sender ? &rules.sender : &rules.recipient, class, address);
	map(message, &rules.common, class, address);
	masquerade(message, class, address);
}

static struct span rewrite_envelope(struct message *message, unsigned class, struct span address)
{
	struct buf full = BUF_INIT(ADDRESS_MAX);
	struct span result;

	if (!site_rewrite(&rules.site, ROUTE_LOCAL, address, &full))
		(void)buf_set(&full, address);
	change(message, class, &full);
	result = arena_span(&message->arena, buf_span(&full));
	buf_done(&full);
	return result;
}

struct span rewrite_sender(struct message *message, struct span address)
{
	return address.n > 0 ? rewrite_envelope(message, ENVELOPE_SENDER, address) : address;
}

struct span rewrite_rcpt(struct message *message, struct span address)
{
	return rewrite_envelope(message, ENVELOPE_RECIPIENT,
				address.n > 0 ? address : span_of(conf->empty_address_recipient));
}

/* ---- headers ---- */

struct header_change {
	struct message *message;
	enum route_context context;
	unsigned class;
	int left; /* header_address_token_limit */
};

static enum addr_change change_header_address(void *context, struct span internal,
					      struct buf *replacement)
{
	struct header_change *change_of = context;

	if (change_of->left-- <= 0)
		return ADDR_KEEP;
	if (!site_rewrite(&rules.site, change_of->context, internal, replacement))
		return ADDR_KEEP;
	change(change_of->message, change_of->class, replacement);
	return span_eq(buf_span(replacement), internal) ? ADDR_KEEP : ADDR_REPLACE;
}

bool rewrite_header(struct message *message, const struct header *header, struct buf *out)
{
	bool is_local = span_is(message->envelope.rewrite_context, "local");
	struct header_change change_of = {
		.message = message,
		.context = is_local ? ROUTE_LOCAL : ROUTE_REMOTE,
		.class = (header->info->flags & HEADER_HAS_SENDER) != 0 ? HEADER_SENDER_ADDRESS
									: HEADER_RECIPIENT_ADDRESS,
		.left = conf->header_address_token_limit,
	};

	/* Headers of strangers are left alone unless there is a domain to complete them with. */
	if (!is_local && *conf->remote_header_rewrite_domain == '\0')
		return false;
	return addr_list_rewrite(out, header->value, header->name.n + 1, "\r\n",
				 change_header_address, &change_of) == ADDR_REWRITE_CHANGED;
}
