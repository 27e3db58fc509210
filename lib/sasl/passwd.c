/* SPDX-License-Identifier: MIT */
/*
 * Files of logins; see passwd.h. Runs in passauth, on what strangers say is their password, and in
 * postern(1). The file is the administrator's.
 */

#include "sasl/passwd.h"

#include <crypt.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* A password that nobody has, for a file without users: of the cost that passwd_hash() has. */
static const char no_hash[] = "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7o.9agCG9G317fhZg9SqC.5i5rd.RhAtQ7";

bool passwd_is_name(struct span user)
{
	if (user.n == 0 || user.n > PASSWD_USER_MAX || user.p[0] == '#')
		return false;
	for (size_t i = 0; i < user.n; i++)
		if ((unsigned char)user.p[i] <= ' ' || user.p[i] == 0x7f || user.p[i] == ':')
			return false;
	return true;
}

/* "USER:HASH[:...]"; false for anything else. */
static bool split_line(struct span line, struct span *ret_user, struct span *ret_hash)
{
	struct span user, rest, hash, more;

	if (!span_cut(line, ':', &user, &rest) || !passwd_is_name(user))
		return false;
	hash = span_cut(rest, ':', &hash, &more) ? hash : rest;
	if (hash.n == 0 || memchr(line.p, '\0', line.n) != NULL)
		return false;
	*ret_user = user;
	*ret_hash = hash;
	return true;
}

static bool is_silent(struct span line)
{
	return line.n == 0 || line.p[0] == '#';
}

size_t passwd_parse(struct passwd_file *file, struct span text, size_t *ret_first_bad)
{
	struct span line, user, hash;
	size_t number = 0, bad = 0;

	while (span_line(&text, &line)) {
		number++;
		line = span_trim(line);
		if (is_silent(line))
			continue;
		if (!split_line(line, &user, &hash)) {
			if (bad++ == 0)
				*ret_first_bad = number;
			continue;
		}
		if (file->sample == NULL && hash.p[0] == '$')
			file->sample = mem_dup(hash);
		if (htab_get(&file->users, user) == NULL)
			(void)htab_put(&file->users, user, mem_dup(hash));
	}
	return bad;
}

void passwd_done(struct passwd_file *file)
{
	htab_done(&file->users, free);
	free(file->sample);
	*file = (struct passwd_file){ 0 };
}

/* Looks at every byte, whichever is the first that differs. */
static bool is_same(const char *a, const char *b)
{
	size_t size = strlen(a), other = strlen(b);
	unsigned difference = size != other;

	for (size_t i = 0; i < size && i < other; i++)
		difference |= (unsigned char)a[i] ^ (unsigned char)b[i];
	return difference == 0;
}

enum login_verdict passwd_check(const struct passwd_file *file, struct span user,
				struct span password)
{
	const char *hash = htab_get(&file->users, user), *made;
	const char *nobodys = file->sample != NULL ? file->sample : no_hash;
	const char *setting = hash != NULL ? hash : nobodys;
	struct crypt_data *data = mem_alloc(sizeof(*data));
	enum login_verdict verdict = LOGIN_NO;
	char *text;

	if (password.n > PASSWD_PASSWORD_MAX)
		password.n = 0;
	text = mem_dup(password);
	/* A password with a NUL is another one for crypt(3). */
	made = crypt_rn(text, setting, data, (int)sizeof(*data));
	if (made == NULL && hash != NULL && hash[0] == '$')
		verdict = LOGIN_LATER;
	else if (made != NULL && is_same(made, setting) && hash != NULL && password.n > 0 &&
		 strlen(text) == password.n)
		verdict = LOGIN_YES;
	/* One that is locked ("!") must not answer sooner than one that is not there. */
	if (made == NULL && verdict == LOGIN_NO)
		(void)crypt_rn(text, nobodys, data, (int)sizeof(*data));
	explicit_bzero(text, password.n);
	explicit_bzero(data, sizeof(*data));
	free(text);
	free(data);
	return verdict;
}

char *passwd_hash(struct span password)
{
	struct crypt_data *data = mem_alloc(sizeof(*data));
	char setting[CRYPT_GENSALT_OUTPUT_SIZE], *text = mem_dup(password), *hash = NULL;
	const char *made;

	if (crypt_gensalt_rn("$y$", 0, NULL, 0, setting, (int)sizeof(setting)) != NULL) {
		made = crypt_rn(text, setting, data, (int)sizeof(*data));
		hash = made != NULL ? mem_dup_str(made) : NULL;
	}
	explicit_bzero(text, password.n);
	explicit_bzero(data, sizeof(*data));
	free(text);
	free(data);
	return hash;
}

void passwd_edit(struct span text, struct span user, const char *hash, struct buf *out,
		 bool *ret_was_there)
{
	struct span line, name, old;

	*ret_was_there = false;
	while (span_line(&text, &line)) {
		bool is_his = !is_silent(line) && split_line(span_trim(line), &name, &old) &&
			      span_eq(name, user);

		if (!is_his) {
			/* As it is, with any byte: half a bad line may be a good one. */
			(void)buf_add(out, line);
			(void)buf_char(out, '\n');
		} else if (hash != NULL && !*ret_was_there) {
			(void)buf_printf(out, "%.*s:%s\n", SPAN_ARG(user), hash);
		}
		*ret_was_there = *ret_was_there || is_his;
	}
	if (hash != NULL && !*ret_was_there)
		(void)buf_printf(out, "%.*s:%s\n", SPAN_ARG(user), hash);
}
