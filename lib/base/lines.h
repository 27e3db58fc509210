/* SPDX-License-Identifier: MIT */
#ifndef BASE_LINES_H
#define BASE_LINES_H

/*
 * Logical lines, as configuration files and table sources have them: blank lines and lines
 * whose first non-blank byte is "#" are skipped, wherever they are; a line that starts with
 * blanks continues the one before it. The parts are joined as they are, without the line ends.
 */

#include "base/buf.h"

struct lines {
	struct span rest;
	struct buf text;
	unsigned next_line; /* number of the first line of `rest`, from 1 */
	struct span source; /* what lines_next() made its result of, line ends included */
};

/* `text` is borrowed until lines_done(). */
void lines_init(struct lines *lines, struct span text);
void lines_done(struct lines *lines);

/*
 * The next logical line, without blanks at its end; false at the end of the text. The line is
 * borrowed until the next call and has a NUL behind it; *ret_number is where it starts. Only
 * the first line of a text can start with a blank: there is nothing that it could continue.
 */
bool lines_next(struct lines *lines, struct span *ret_line, unsigned *ret_number);

#endif
