/* SPDX-License-Identifier: MIT */
/* generic(5): local addresses become what the world may see, in mail that leaves. */

#include "smtp.h"

#include "base/log.h"
#include "base/words.h"
#include "conf/conf.h"
#include "route/expand.h"
#include "route/site.h"

enum { ADDRESS_MAX = 4096 };

static bool is_propagating(void)
{
	struct span rest = span_of(conf->propagate_unmatched_extensions), word;

	while ((word = span_word(&rest, WORDS_BLANK_OR_COMMA)).n > 0)
		if (span_is(word, "generic"))
			return true;
	return false;
}

/* The first address of the result is it. */
static bool take_first(void *context, struct span address)
{
	(void)buf_add(context, address);
	return false;
}

enum table_status generic_address(struct span address, struct buf *out)
{
	struct span value, extension;
	enum table_status status;

	if (maps_is_empty(tables.generic) || address.n == 0)
		return TABLE_NOT_FOUND;
	status = maps_find_address(tables.generic, NULL, &site.rules, address, MAPS_KEYS_REWRITE,
				   &value, &extension);
	if (status == TABLE_ERROR)
		log_warn("%s lookup of %s: %s", maps_title(tables.generic), log_clean(address),
			 maps_error(tables.generic));
	if (status != TABLE_FOUND)
		return status;
	(void)route_expand(&site.config, value, address,
			   is_propagating() ? extension : SPAN(""), take_first, out);
	return TABLE_FOUND;
}

/* The address as it goes out, kept for as long as the delivery lasts. */
static bool map_address(struct transfer *transfer, struct span address, struct span *ret)
{
	struct buf mapped = BUF_INIT(ADDRESS_MAX);
	enum table_status status = generic_address(address, &mapped);

	*ret = address;
	if (status == TABLE_FOUND && buf_span(&mapped).n > 0)
		*ret = arena_span(&transfer->delivery->arena, buf_span(&mapped));
	if (status == TABLE_ERROR)
		why_set(&transfer->why, "4.3.0", "%s lookup failure", maps_title(tables.generic));
	buf_done(&mapped);
	return status != TABLE_ERROR;
}

bool generic_envelope(struct transfer *transfer)
{
	struct delivery *delivery = transfer->delivery;

	transfer->rcpt_addresses = arena_alloc(&delivery->arena, (delivery->rcpt_count + 1) *
								 sizeof(struct span));
	if (!map_address(transfer, delivery->request.sender, &transfer->sender))
		return false;
	for (size_t i = 0; i < delivery->rcpt_count; i++)
		if (!map_address(transfer, delivery->rcpts[i].address,
				 &transfer->rcpt_addresses[i]))
			return false;
	return true;
}
