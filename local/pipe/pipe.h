/* SPDX-License-Identifier: MIT */
#ifndef LOCAL_PIPE_H
#define LOCAL_PIPE_H

#include <sys/types.h>

#include "base/buf.h"

/* The command attributes of a master.cf entry (pipe(8)). */
struct pipe_settings {
	const char *user;      /* user=name or name:group */
	const char *chroot;    /* NULL: none */
	const char *directory; /* NULL: the queue directory */
	struct buf eol;
	const char *null_sender;
	uint64_t size_limit_bytes; /* 0: none */
	const char *const *argv;   /* with macros; NULL at the end */
	bool has_blank_end, has_delivered_to, has_from_line, has_original_to, has_return_path;
	bool is_final;     /* X: the command delivers */
	bool folds_domain; /* h */
	bool quotes;       /* q */
	bool folds_local;  /* u */
	bool quotes_dot, quotes_from;
};

/*
 * Parses the arguments of the service, each with a NUL behind, which are borrowed for good. False
 * with a text in `error`.
 */
MUST_USE bool pipe_settings_parse(struct span arguments, struct pipe_settings *ret,
				  struct buf *error);

/* Appends what C escapes in `text` (\a \b \f \n \r \t \v \\ \ddd) stand for. */
void pipe_unescape(struct buf *out, struct span text);

struct delivery;

/*
 * Appends the arguments for this delivery, each with a NUL behind: an argument with a
 * recipient's macro comes once for each recipient. False when one is malformed.
 */
MUST_USE bool pipe_expand(const struct pipe_settings *settings, struct delivery *delivery,
			  struct buf *out);

#endif
