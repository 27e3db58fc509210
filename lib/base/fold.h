/* SPDX-License-Identifier: MIT */
#ifndef BASE_FOLD_H
#define BASE_FOLD_H

#include "base/buf.h"

/*
 * Writes `s` without case differences into *ret (replacing what it held): ASCII letters become
 * lower case; with `is_utf8` well-formed UTF-8 beyond ASCII is case-folded by Unicode's rules.
 * Text that is not well-formed keeps its bytes. False when it does not fit into *ret.
 */
bool fold_text(struct span s, bool is_utf8, struct buf *ret);

#endif
