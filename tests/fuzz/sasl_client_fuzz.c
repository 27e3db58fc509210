/* SPDX-License-Identifier: MIT */
/* Challenges of a server, a line each, to every mechanism of the client. */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sasl/client.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const names[] = { "SCRAM-SHA-256", "SCRAM-SHA-1", "CRAM-MD5", "PLAIN",
				     "LOGIN",	      "OAUTHBEARER", "XOAUTH2" };

static void converse(const char *name, struct span input)
{
	struct sasl_login login = { .user = SPAN("user"), .password = SPAN("pencil"),
				    .host = "mx.test", .port = 587 };
	struct sasl_mechanisms offer = { .count = 0 };
	struct sasl_options options = { 0 };
	struct buf out = BUF_INIT(8192);
	struct sasl_client client;
	struct span line;

	(void)!sasl_mechanisms_add(&offer, span_of(name), 0);
	(void)sasl_client_start(&client, sasl_client_choose(&offer, &options, &login), &login, &out);
	while (span_line(&input, &line) && sasl_client_answer(&client, line, &out))
		buf_reset(&out);
	/* Nobody knows this password, or the nonce. */
	if (strncmp(name, "SCRAM", 5) == 0 && sasl_client_is_satisfied(&client))
		abort();
	sasl_client_done(&client);
	buf_done(&out);
}

/* With a nonce that the input can know, so that it gets behind the first check. */
static void final(struct span input)
{
	struct buf out = BUF_INIT(8192);
	struct scram scram;

	scram_first(&scram, SCRAM_SHA1, SPAN("user"), "n", &out);
	if (memmem(input.p, input.n, "i=4096", 6) != NULL)
		(void)!scram_final(&scram, input, SPAN("pencil"), &out);
	(void)!scram_verify(&scram, input);
	scram_done(&scram);
	buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span input = { (const char *)data, size };

	if (size == 0 || size > 8192)
		return 0;
	struct sasl_options options;
	struct span unknown;

	if (sasl_options_parse(input, &options, &unknown) &&
	    (options.forbidden & options.required) != 0)
		abort();
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		converse(names[i], input);
	final(input);
	return 0;
}
