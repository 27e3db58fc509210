/* SPDX-License-Identifier: MIT */
#ifndef MAIL_MIME_H
#define MAIL_MIME_H

/*
 * The structure of a message, while it streams through: heads, and what is between them. Lines
 * go in, events come out: each header once it is complete, the end of each head, each body line.
 * Headers of the message itself, of parts, and of attached messages are told apart. Nothing
 * recurses; the memory is one header and the open boundaries.
 */

#include "mail/header.h"

enum mime_head {
	MIME_HEAD_PRIMARY, /* of the message */
	MIME_HEAD_PART, /* of a part of a multipart */
	MIME_HEAD_NESTED, /* of an attached message/rfc822 or message/global */
};

enum mime_kind { MIME_LEAF, MIME_MULTIPART, MIME_MESSAGE };

enum mime_encoding { /* Content-Transfer-Encoding, RFC 2045 6 */
	MIME_7BIT, /* also when nothing is said */
	MIME_8BIT,
	MIME_BINARY,
	MIME_QUOTED_PRINTABLE,
	MIME_BASE64,
	MIME_UNKNOWN_ENCODING,
};

/* What a head said about what follows it. */
struct mime_part {
	enum mime_kind kind;
	enum mime_encoding encoding;
	bool has_encoding; /* there was a Content-Transfer-Encoding */
};

enum mime_end {
	MIME_END_BLANK, /* an empty line, which is part of neither head nor body */
	MIME_END_TEXT, /* a line that is no header; it comes as body line, or as a boundary */
	MIME_END_INPUT, /* the message ends in its head */
};

enum mime_problem { /* a mask */
	MIME_PROBLEM_NESTING = 1 << 0, /* deeper than the limit; the inside is plain body */
	MIME_PROBLEM_LONG_HEADER = 1 << 1, /* cut at the limit */
	MIME_PROBLEM_8BIT_HEADER = 1 << 2,
	MIME_PROBLEM_8BIT_BODY = 1 << 3, /* in a part that claims to be 7bit */
	MIME_PROBLEM_ENCODING = 1 << 4, /* multipart or message in an encoding of its own */
	MIME_PROBLEM_AMBIGUOUS = 1 << 5, /* a second type, encoding or boundary; the first holds */
};

const char *mime_problem_text(enum mime_problem problem);

struct mime_events {
	/* The lines of *header are joined by "\n" and end with one. Borrowed during the call. */
	void (*header)(void *context, enum mime_head head, const struct header *header);
	void (*head_end)(void *context, enum mime_head head, enum mime_end end,
			 const struct mime_part *part);
	/* `offset`: bytes of body since the head or boundary before, without this line. */
	void (*body)(void *context, struct span line, bool has_line_end, uint64_t offset);
	/* A line that ends a part; for checks it is a body line like others. */
	void (*boundary)(void *context, struct span line, bool has_line_end);
};

struct mime_rules {
	size_t header_size_limit;
	size_t boundary_length_limit; /* longer ones are cut */
	unsigned nesting_limit;
	bool is_flat; /* disable_mime_input_processing: all behind the primary head is body */
	bool is_checking_8bit; /* look for the two 8BIT problems; costs a look at each byte */
};

struct mime;

/* `rules` and `events` are copied; `context` is passed on. mime_free(NULL) is fine. */
struct mime *mime_new(const struct mime_rules *rules, const struct mime_events *events,
		      void *context);
void mime_free(struct mime *mime);

/*
 * Takes one line without its line end, or a piece of a long line: all pieces but the last come
 * with has_line_end false. Events of the line are sent before it returns; a header is sent when
 * the line behind it came.
 */
void mime_line(struct mime *mime, struct span line, bool has_line_end);

/* The end of the message: sends what is still there. */
void mime_finish(struct mime *mime);

/* Mask of what was found so far. */
unsigned mime_problems(const struct mime *mime);

#endif
