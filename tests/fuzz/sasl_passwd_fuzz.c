/* SPDX-License-Identifier: MIT */
/*
 * A file of users, its edits, the message of PLAIN, and passwords that are tried: with a cheap hash, since
 * one that is good takes its time.
 */

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

/* Whatever else is in the file, alice has the password "secret", and bob one that cannot be tried. */
static void check_passwords(struct span text, struct span password)
{
	static const char first[] = "alice:$1$abcdefgh$cHJi5PXp/ki/ktXzqlk6I1\nbob:$y$x\ncarol:*\n";
	struct buf all = BUF_INIT(PASSWD_FILE_MAX);
	struct passwd_file file = { .sample = NULL };
	bool is_right = span_is(password, "secret");
	size_t bad;

	(void)buf_text(&all, first);
	(void)buf_add(&all, text);
	(void)passwd_parse(&file, buf_span(&all), &bad);
	if (passwd_check(&file, SPAN("alice"), SPAN("secret")) != LOGIN_YES ||
	    passwd_check(&file, SPAN("alice"), password) != (is_right ? LOGIN_YES : LOGIN_NO) ||
	    passwd_check(&file, SPAN("bob"), password) != LOGIN_LATER ||
	    passwd_check(&file, SPAN("carol"), password) != LOGIN_NO)
		abort();
	if (passwd_is_name(password) && htab_get(&file.users, password) == NULL &&
	    passwd_check(&file, password, SPAN("secret")) != LOGIN_NO)
		abort();
	passwd_done(&file);
	buf_done(&all);
}

/* Once: what passwd_hash() makes is good for that password alone. */
static void check_hash(void)
{
	char *hash = passwd_hash(SPAN("secret"));
	struct passwd_file file = { .sample = NULL };
	struct buf text = BUF_INIT(4096);
	size_t bad;

	if (hash == NULL || !buf_printf(&text, "alice:%s\n", hash) ||
	    passwd_parse(&file, buf_span(&text), &bad) != 0 ||
	    passwd_check(&file, SPAN("alice"), SPAN("secret")) != LOGIN_YES ||
	    passwd_check(&file, SPAN("alice"), SPAN("Secret")) != LOGIN_NO)
		abort();
	passwd_done(&file);
	buf_done(&text);
	free(hash);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool is_started;
	struct span text = { (const char *)data, size };
	struct passwd_file file = { .sample = NULL };
	struct sasl_plain plain;
	size_t bad = 0;

	if (size == 0 || size > 65536)
		return 0;
	if (!is_started)
		check_hash();
	is_started = true;
	(void)passwd_parse(&file, text, &bad);
	passwd_done(&file);
	edit(text, SPAN("alice"), "$y$x");
	edit(text, SPAN("alice"), NULL);
	if (!sasl_plain_parse(text, &plain)) {
		check_passwords(text, text);
		return 0;
	}
	if (plain.authorization.n + plain.authentication.n + plain.password.n + 2 != size)
		abort();
	check_passwords(plain.authorization, plain.password);
	return 0;
}
