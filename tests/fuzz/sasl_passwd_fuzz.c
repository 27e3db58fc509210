/* SPDX-License-Identifier: MIT */
/* A file of users, its edits, and the message of PLAIN. No hash is made: that would take the time. */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "sasl/passwd.h"
#include "sasl/plain.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void edit(struct span text, struct span user, const char *hash)
{
	struct buf out = BUF_INIT(PASSWD_FILE_MAX);
	struct passwd_file file = { .sample = NULL };
	bool was_there;
	size_t bad;

	passwd_edit(text, user, hash, &out, &was_there);
	(void)passwd_parse(&file, buf_span(&out), &bad);
	if ((htab_get(&file.users, user) != NULL) != (hash != NULL))
		abort();
	passwd_done(&file);
	buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span text = { (const char *)data, size };
	struct passwd_file file = { .sample = NULL };
	struct sasl_plain plain;
	size_t bad = 0;

	if (size == 0 || size > 65536)
		return 0;
	(void)passwd_parse(&file, text, &bad);
	passwd_done(&file);
	edit(text, SPAN("alice"), "$y$x");
	edit(text, SPAN("alice"), NULL);
	if (sasl_plain_parse(text, &plain) &&
	    plain.authorization.n + plain.authentication.n + plain.password.n + 2 != size)
		abort();
	return 0;
}
