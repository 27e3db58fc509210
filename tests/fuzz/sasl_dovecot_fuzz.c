/* SPDX-License-Identifier: MIT */
/* Lines of an authentication server: each as a part of the greeting, and as an answer. */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sasl/dovecot.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_inside(struct span part, struct span line)
{
	return part.n == 0 || (part.p >= line.p && part.p + part.n <= line.p + line.n);
}

/* What is asked is one line, whatever the client responds (in base64, checked before). */
static void ask(struct span response)
{
	struct dovecot_request request = {
		.id = 1, .mechanism = "PLAIN", .service = "smtp", .local_addr = "192.0.2.1",
		.local_port = "25", .remote_addr = "192.0.2.2", .remote_port = "1234",
		.is_secured = response.n % 2 == 0, .has_response = response.n > 0,
		.response = response,
	};
	struct buf line = BUF_INIT(DOVECOT_LINE_MAX);

	if (dovecot_auth_line(&line, &request) && !span_ends(buf_span(&line), SPAN("\n")))
		abort();
	buf_done(&line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span rest = { (const char *)data, size }, line;
	struct dovecot_greeting greeting = { .is_done = false };
	struct dovecot_answer answer;

	if (size > 65536)
		return 0;
	ask(rest);
	while (span_line(&rest, &line)) {
		enum dovecot_kind kind = dovecot_answer_parse(line, &answer);

		(void)!dovecot_greeting_line(&greeting, line);
		if (greeting.mechanisms.count > SASL_MECHANISMS_MAX)
			abort();
		if (kind == DOVECOT_BAD || kind == DOVECOT_OTHER)
			continue;
		if (!is_inside(answer.user, line) || !is_inside(answer.reason, line) ||
		    !is_inside(answer.challenge, line) ||
		    (kind == DOVECOT_OK && answer.user.n == 0))
			abort();
	}
	for (size_t i = 0; i < greeting.mechanisms.count; i++)
		if (strlen(greeting.mechanisms.list[i].name) > SASL_NAME_MAX)
			abort();
	return 0;
}
