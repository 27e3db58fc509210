/* SPDX-License-Identifier: MIT */
#ifndef DELIVER_EXPAND_H
#define DELIVER_EXPAND_H

/*
 * $name, ${name}, $(name), ${name?value}, ${name:value}, ${name?{a}:{b}} and $$ in a value, with
 * the properties of a delivery as names: forward_path, luser_relay, the argv of pipe(8).
 */

#include "base/buf.h"

/* The value of a name; false when there is no such name. The span is borrowed for the call. */
typedef bool expand_value_fn(void *context, struct span name, struct span *ret_value);

/*
 * Appends the expansion of `text`. Bytes of values that are not in `allowed` become "_"; NULL allows
 * all. Unknown names expand to nothing. *ret_has_undefined, which may be NULL, becomes true
 * when a plain $name has no value. False when the text is malformed, or `out` is full.
 */
MUST_USE bool expand_text(struct buf *out, struct span text, const char *allowed,
			  expand_value_fn *value, void *context, bool *ret_has_undefined);

/* Appends `value` so filtered. */
void expand_filter(struct buf *out, struct span value, const char *allowed);

#endif
