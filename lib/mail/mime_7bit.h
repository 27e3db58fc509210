/* SPDX-License-Identifier: MIT */
#ifndef MAIL_MIME_7BIT_H
#define MAIL_MIME_7BIT_H

/*
 * Conversion of a message for a server without 8BITMIME (RFC 6152 3): bodies that say they are
 * 8bit or binary become quoted-printable, as their headers then say. All else stays as it is.
 */

#include "mail/mime.h"

struct mime_7bit_rules {
	struct mime_rules mime;
	/* Bodies that do not say what they are in are converted, too, and marked. */
	bool has_untagged;
};

/* Gets the converted message, line by line or in pieces of lines, without line ends. */
typedef void mime_7bit_fn(void *context, struct span text, bool has_line_end);

struct mime_7bit;

struct mime_7bit *mime_7bit_new(const struct mime_7bit_rules *rules, mime_7bit_fn *output,
				void *context);
void mime_7bit_free(struct mime_7bit *conversion);

/* As mime_line() and mime_finish(). */
void mime_7bit_line(struct mime_7bit *conversion, struct span line, bool has_line_end);
void mime_7bit_finish(struct mime_7bit *conversion);

/* Mask of enum mime_problem; the caller decides whether it sends such a message. */
unsigned mime_7bit_problems(const struct mime_7bit *conversion);

#endif
