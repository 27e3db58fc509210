/* SPDX-License-Identifier: MIT */
/* Server replies and status codes: the text stays one clean line. */

#include <stdlib.h>
#include <string.h>

#include "mail/smtp_reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span rest = { (const char *)data, size }, line, reason;
	struct smtp_reply reply;
	char status[DSN_STATUS_SIZE];

	smtp_reply_init(&reply);
	while (span_line(&rest, &line)) {
		dsn_split_for_code(line, 550, "7.1", status, &reason);
		if (status[0] != '5')
			abort();
		if (smtp_reply_line(&reply, line) == SMTP_REPLY_BAD)
			break;
	}
	if (strpbrk(buf_str(&reply.text), "\r\n\t") != NULL)
		abort();
	smtp_reply_done(&reply);
	return 0;
}
