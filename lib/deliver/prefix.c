/* SPDX-License-Identifier: MIT */
/* Headers of a delivery; see prefix.h. Addresses are remote text: line ends in them become "?". */

#include "deliver/prefix.h"

#include "mail/addr.h"
#include "mail/date.h"

static void add_clean(struct buf *out, struct span text)
{
	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];

		(void)buf_char(out, (unsigned char)c < ' ' || c == 0x7f ? '?' : c);
	}
}

static void add_address(struct buf *out, struct span address)
{
	struct buf quoted = BUF_INIT(8192);

	(void)addr_quote(&quoted, address);
	add_clean(out, buf_span(&quoted));
	buf_done(&quoted);
}

void prefix_from_line(struct buf *out, struct span sender, struct clock_wall now)
{
	char date[DATE_SIZE];

	(void)buf_text(out, "From ");
	if (sender.n > 0)
		add_address(out, sender);
	else
		(void)buf_text(out, "MAILER-DAEMON");
	(void)buf_text(out, "  ");
	(void)buf_add(out, date_ctime(now, date));
}

void prefix_return_path(struct buf *out, struct span sender)
{
	(void)buf_text(out, "Return-Path: <");
	add_address(out, sender);
	(void)buf_text(out, ">\n");
}

static void add_header(struct buf *out, const char *name, struct span address)
{
	if (address.n == 0)
		return;
	(void)buf_printf(out, "%s: ", name);
	add_address(out, address);
	(void)buf_char(out, '\n');
}

void prefix_original_to(struct buf *out, struct span address)
{
	add_header(out, "X-Original-To", address);
}

void prefix_delivered_to(struct buf *out, struct span address)
{
	add_header(out, "Delivered-To", address);
}
