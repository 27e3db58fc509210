/* SPDX-License-Identifier: MIT */
#ifndef DELIVER_ENVIRONMENT_H
#define DELIVER_ENVIRONMENT_H

/* The environment of a command, as act_request has it: "NAME=value" with a NUL behind each. */

#include "base/buf.h"

struct msg_envelope;

/*
 * PATH, and what `export_environment` (postconf(5)) names or sets. Nothing else of this process's
 * environment is passed on.
 */
void environment_start(struct buf *out, const char *export_environment);

/* Adds one, unless the value is empty; bytes that are not in `allowed` (NULL: any) become "_". */
void environment_add(struct buf *out, const char *name, struct span value, const char *allowed);

/* CLIENT_ADDRESS and the other facts about where the message came from. */
void environment_add_client(struct buf *out, const struct msg_envelope *envelope,
			    const char *allowed);

#endif
