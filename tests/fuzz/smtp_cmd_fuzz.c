/* SPDX-License-Identifier: MIT */
/* Arguments of MAIL and RCPT: the spans lie in the line or the buffer, and hold no controls. */

#include <stdlib.h>

#include "base/buf.h"
#include "mail/smtp_cmd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_clean(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span args = { (const char *)data + 2, size - 2 }, bad = { NULL, 0 };
	struct smtp_cmd_rules rules;
	struct buf words = BUF_INIT(1 << 20);
	struct smtp_mail mail;
	struct smtp_rcpt rcpt;

	if (size < 2)
		return 0;
	rules = (struct smtp_cmd_rules){ .ext = data[0],
					 .addr_flags = data[1] & 0x7f,
					 .is_lax = (data[1] & 0x80) != 0,
					 .verp_delimiters = SPAN("-=+") };
	if (smtp_mail_parse(args, &rules, &words, &mail, &bad) == SMTP_CMD_OK) {
		check_clean(mail.sender);
		check_clean(mail.envid);
		check_clean(mail.auth);
	}
	if (smtp_rcpt_parse(args, &rules, &words, &rcpt, &bad) == SMTP_CMD_OK) {
		check_clean(rcpt.recipient);
		check_clean(rcpt.orcpt);
		if (rcpt.recipient.n == 0)
			abort();
	}
	buf_done(&words);
	return 0;
}
