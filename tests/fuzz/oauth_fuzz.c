/* SPDX-License-Identifier: MIT */
/* The file of OAuth accounts, and what a token endpoint answers: JSON of anybody's. */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/json_read.h"
#include "base/utf8.h"
#include "sasl/oauth.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_file(struct span text)
{
	struct oauth_reader reader = { .rest = text };
	struct oauth_account account;
	struct buf body = BUF_INIT(1 << 20);
	const char *problem;
	unsigned line = 0;

	while (oauth_next(&reader, &account, &problem)) {
		if (reader.line <= line || reader.at > reader.line)
			abort();
		line = reader.line;
		buf_reset(&body);
		if (problem != NULL || account.token_file.n > 0)
			continue;
		if (!oauth_is_name(account.name) ||
		    !oauth_request(&body, &account, account.refresh_token))
			abort();
		for (size_t i = 0; i < body.length; i++)
			if (body.data[i] <= ' ' || body.data[i] == 0x7f)
				abort();
	}
	buf_done(&body);
}

static void check_answer(struct span text)
{
	struct oauth_answer answer;
	struct json_value value;
	struct buf decoded = BUF_INIT(1 << 20);

	oauth_answer_init(&answer);
	if (oauth_answer_parse(&answer, text)) {
		if (!json_is_object(text) || !oauth_is_token(buf_span(&answer.access_token)))
			abort();
	} else if (answer.error.length == 0) {
		abort();
	}
	oauth_answer_done(&answer);
	if (json_find(text, "x", &value) && value.type == JSON_STRING &&
	    json_decode(&decoded, value.raw) && !utf8_is_valid(buf_span(&decoded)))
		abort();
	buf_done(&decoded);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span text = { (const char *)data, size };

	check_file(text);
	check_answer(text);
	return 0;
}
