/* SPDX-License-Identifier: MIT */
#ifndef POSTMAP_STRUCTURE_H
#define POSTMAP_STRUCTURE_H

/*
 * Tells headers from body, line by line: those of the message, and with MIME (RFC 2045, 2046)
 * those of its parts and of messages within. It keeps one header and the open boundaries, so
 * a message of any size goes through; what is malformed counts as body.
 */

#include "base/buf.h"

enum mime_owner {
	MIME_OF_MESSAGE,
	MIME_OF_PART,
	MIME_OF_NESTED, /* of a message inside: message/rfc822 and its kin */
};

struct mime_events {
	/* A header with its continuation lines, "\n" between them and none at the end. */
	void (*header)(void *context, enum mime_owner owner, struct span header);
	/* Any other line: separators, boundaries and the text itself. */
	void (*body)(void *context, struct span line);
};

struct mime_level;

struct mime {
	const struct mime_events *events;
	void *context;
	bool has_structure; /* looks for parts at all */
	bool is_in_head;
	enum mime_owner owner; /* of the headers that are being read */
	struct buf header;
	struct mime_level *levels; /* open multiparts, the innermost first */
	size_t depth;
	struct {
		bool is_known, is_multipart, is_digest, is_message;
		struct buf boundary;
	} content; /* what the headers so far say about what follows */
};

enum {
	MIME_DEPTH_MAX = 100, /* mime_nesting_limit: what is deeper is body */
	MIME_BOUNDARY_MAX = 2048, /* mime_boundary_length_limit: the rest is not compared */
	MIME_HEADER_MAX = 102400, /* header_size_limit: the rest is left out */
};

/* `has_structure` false: only the headers of the message are headers. */
void mime_init(struct mime *mime, const struct mime_events *events, void *context,
	       bool has_structure);
void mime_done(struct mime *mime);

/* The next line, without its line end; and the end of the message. */
void mime_line(struct mime *mime, struct span line);
void mime_end(struct mime *mime);

#endif
