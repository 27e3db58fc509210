/* SPDX-License-Identifier: MIT */
/* Lines of standard input; see sendmail.h. Runs as the caller. */

#include <errno.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "commands/sendmail/sendmail.h"

enum { INPUT_BYTES = 64 * 1024 };

void input_open(struct input *input)
{
	*input = (struct input){ .data = mem_alloc(INPUT_BYTES), .is_start = true };
}

static struct span buffered(const struct input *input)
{
	return (struct span){ input->data + input->start, input->end - input->start };
}

static void read_more(struct input *input)
{
	ssize_t size;

	memmove(input->data, input->data + input->start, input->end - input->start);
	input->end -= input->start;
	input->start = 0;
	if (input->before_wait != NULL)
		input->before_wait();
	do {
		size = read(STDIN_FILENO, input->data + input->end, INPUT_BYTES - input->end);
	} while (size < 0 && errno == EINTR);
	if (size < 0)
		fail(EX_IOERR, "read: %s", strerror(errno));
	input->end += (size_t)size;
	input->is_at_end = size == 0;
}

bool input_next(struct input *input, struct input_line *ret)
{
	size_t at;
	bool has_end;

	while (!(has_end = span_chr(buffered(input), '\n', &at)) && !input->is_at_end &&
	       buffered(input).n < INPUT_BYTES)
		read_more(input);
	*ret = (struct input_line){ .text = buffered(input),
				    .is_first = input->is_start,
				    .has_end = has_end };
	if (!has_end) {
		/* A last line without line end, or one that is too long to wait for it. */
		input->start = input->end;
		input->is_start = false;
		ret->has_end = input->is_at_end;
		return ret->text.n > 0;
	}
	input->start += at + 1;
	input->is_start = true;
	ret->text.n = at;
	if (at > 0 && ret->text.p[at - 1] == '\r') {
		ret->text.n--;
		ret->is_crlf = true;
	}
	return true;
}
