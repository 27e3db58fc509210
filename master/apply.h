/* SPDX-License-Identifier: MIT */
#ifndef MASTER_APPLY_H
#define MASTER_APPLY_H

#include "base/buf.h"

struct config;

/*
 * Brings the units in line with `config`, which must live until another one has been applied:
 * binds what is new, retires what is gone, and renews all the others, the log service first.
 * False with a text in `error`; then some units may be new and some old, and none was renewed.
 */
MUST_USE bool config_apply(struct config *config, struct buf *error);

#endif
