/* SPDX-License-Identifier: MIT */
#ifndef MAIL_ADDR_LIST_H
#define MAIL_ADDR_LIST_H

/*
 * Address lists as in To: and From: (RFC 5322 3.4 and the obsolete forms of 4.4): names, quoted
 * strings, comments, groups, source routes, folding. The reader walks over the raw text and
 * points out the addresses, so that a list can be changed without touching anything else.
 * It takes whatever people send:
 *  - words without "<" are addresses of their own: "bob carol" is two;
 *  - a ":" opens a group only when a ";" is still to come, else it is part of a name;
 *  - what is opened and not closed ends with the text.
 * Time is linear in the text, and nothing recurses.
 */

#include "base/span.h"

struct buf;

struct addr_list { /* private */
	struct span text;
	size_t at;
	size_t bare_end; /* words up to here are known to be bare addresses */
	size_t last_semicolon; /* no group opens behind it */
	bool is_malformed;
	bool has_comment;
};

struct addr_item {
	struct span raw; /* the address: between < and >, or from its first to its last word */
	struct span phrase; /* the name in front of <, as it stands, or empty */
	bool is_bracketed;
	bool is_after_item; /* no comma or the like separates it from the address before */
};

/* `text` is a header value, or any part of one, line ends included; borrowed. */
void addr_list_init(struct addr_list *list, struct span text);

/* The next address; false at the end. `<>` is an address too, with an empty raw. */
bool addr_list_next(struct addr_list *list, struct addr_item *ret_item);

/* After the end: whether something was left open, and whether there was a comment. */
bool addr_list_is_malformed(const struct addr_list *list);
bool addr_list_has_comment(const struct addr_list *list);

/*
 * Appends the internal form of the address: quotes, comments, blanks and a source route gone.
 * It never holds CR, LF or NUL. May append nothing, for `<>` and "". False when `out` is full.
 */
bool addr_item_internal(struct buf *out, const struct addr_item *item);

/*
 * What to do with one address of a header. `internal` is its internal form, never empty;
 * `replacement` is empty and takes the new internal form.
 */
enum addr_change { ADDR_KEEP, ADDR_REPLACE, ADDR_STOP };
typedef enum addr_change addr_change_fn(void *context, struct span internal,
					struct buf *replacement);

enum addr_rewrite_status {
	ADDR_REWRITE_SAME, /* nothing changed; `out` is as it was */
	ADDR_REWRITE_CHANGED,
	ADDR_REWRITE_STOPPED, /* `change` said so, for instance since an answer is pending */
};

/*
 * Rewrites the addresses of a header value. `name_length` is how many columns "To:" takes on
 * the first line. When an address changes, `out` gets the whole value, with `line_end` and a tab
 * put behind a comma where a line would pass 69 columns; all other bytes stay.
 */
enum addr_rewrite_status addr_list_rewrite(struct buf *out, struct span value, size_t name_length,
					   const char *line_end, addr_change_fn *change,
					   void *context);

#endif
