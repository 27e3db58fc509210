/* SPDX-License-Identifier: MIT */
#ifndef SASL_PASSWD_H
#define SASL_PASSWD_H

/*
 * A file of logins: lines of USER:HASH, where HASH is what crypt(3) made of the password. What
 * follows a second colon is passed over; lines that are empty or start with "#" say nothing.
 * Names are compared as they are.
 */

#include <crypt.h>

#include "base/buf.h"
#include "base/htab.h"

enum { PASSWD_USER_MAX = 255, PASSWD_PASSWORD_MAX = CRYPT_MAX_PASSPHRASE_SIZE - 1,
       PASSWD_FILE_MAX = 64 * 1024 * 1024 };

struct passwd_file {
	struct htab users; /* name -> hash, a C string */
	char *sample;      /* the first hash: what an unknown user's password is tried with */
};

enum login_verdict { LOGIN_NO, LOGIN_YES, LOGIN_LATER };

/*
 * Takes the lines of `text`; of two with the same name the first counts. Bad lines are passed over; their
 * number is returned, and *ret_first_bad is the first one's line number.
 */
size_t passwd_parse(struct passwd_file *file, struct span text, size_t *ret_first_bad);
void passwd_done(struct passwd_file *file);

/* Whether a name can stand in such a file. */
bool passwd_is_name(struct span user);

/*
 * Whether the password is the user's. It costs one hash, whoever the user is; LOGIN_LATER when
 * there was no memory for it. Both are wiped from where this function had them, not from where they came.
 */
enum login_verdict passwd_check(const struct passwd_file *file, struct span user,
				struct span password);

/* The hash of a password by the system's preferred method (yescrypt). NULL with errno; else freed by the caller. */
char *passwd_hash(struct span password);

/*
 * The text of a file with this user's line replaced, or added at the end; with `hash` NULL without
 * it. *ret_was_there says whether there was one. All other lines stay as they are.
 */
void passwd_edit(struct span text, struct span user, const char *hash, struct buf *out,
		 bool *ret_was_there);

#endif
