/* SPDX-License-Identifier: MIT */
#ifndef MAIL_MIME_VALUE_H
#define MAIL_MIME_VALUE_H

/* Values of Content- headers: "type/subtype; name=value" (RFC 2045 5.1, RFC 2231). */

#include "base/span.h"

struct buf;

/*
 * Type and subtype at the front of a Content-Type value, comments and folding allowed around
 * them. *ret_rest begins behind them. False when there is no "/" between two tokens.
 */
MUST_USE bool mime_value_type(struct span value, struct span *ret_type, struct span *ret_subtype,
			      struct span *ret_rest);

/* The first token: of Content-Disposition and Content-Transfer-Encoding. May be empty. */
struct span mime_value_token(struct span value, struct span *ret_rest);

enum mime_param { MIME_PARAM_NONE, MIME_PARAM_FOUND, MIME_PARAM_TWICE };

/*
 * Appends the value of parameter `name` (any case) in `params`, which is what follows the first
 * token or type. Quotes are undone; pieces name*0, name*1 and %XX of RFC 2231 are joined, up to
 * 100 of them, in time linear in `params`. MIME_PARAM_TWICE: it is there more than once, or
 * both plain and in pieces; the first, and plain before pieces, is taken.
 */
enum mime_param mime_value_param(struct buf *out, struct span params, const char *name);

/*
 * The same for a parameter that comes in pieces or encoded (RFC 2231), which a reader that knows
 * these prefers to a plain one: appends it and says true, or says false when there is none.
 */
bool mime_value_pieces(struct buf *out, struct span params, const char *name);

#endif
