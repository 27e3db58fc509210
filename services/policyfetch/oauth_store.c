/* SPDX-License-Identifier: MIT */
/*
 * Files of OAuth tokens; see oauth_store.h. Runs in the workers of the service "oauth". Names of
 * accounts have been checked, so none is a path; names that begin with "#" are our own. NIST SP 800-38D.
 */

#include "services/policyfetch/oauth_store.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "proc/service.h"
#include "services/policyfetch/locks.h"

enum { KEY_BYTES = 32, NONCE_BYTES = 12, SEAL_BYTES = 16,
       FILE_BYTES = NONCE_BYTES + OAUTH_ENTRY_MAX + SEAL_BYTES };

static int directory = -1;

void oauth_store_open(void)
{
	directory = service_own_directory("oauth");
}

void oauth_store_start(void)
{
	locks_open(directory);
}

static const char *file_name(const struct oauth_account *account, const char *prefix,
			     char out[OAUTH_NAME_MAX + 2])
{
	(void)snprintf(out, OAUTH_NAME_MAX + 2, "%s%.*s", prefix, SPAN_ARG(account->name));
	return out;
}

/* ---- sealing ---- */

/* Of what the file says of the account, each part with its length. */
static bool make_key(const struct oauth_account *account, unsigned char key[KEY_BYTES])
{
	const struct span parts[] = { SPAN("postern oauth 1"), account->name, account->endpoint,
				      account->client_id, account->client_secret,
				      account->refresh_token, account->scope };
	EVP_MD_CTX *digest = EVP_MD_CTX_new();
	bool is_good = digest != NULL && EVP_DigestInit_ex(digest, EVP_sha256(), NULL) == 1;

	for (size_t i = 0; i < ARRAY_LEN(parts) && is_good; i++) {
		uint64_t size = parts[i].n;

		is_good = EVP_DigestUpdate(digest, &size, sizeof(size)) == 1 &&
			  EVP_DigestUpdate(digest, parts[i].p, parts[i].n) == 1;
	}
	is_good = is_good && EVP_DigestFinal_ex(digest, key, NULL) == 1;
	EVP_MD_CTX_free(digest);
	return is_good;
}

static const unsigned char *bytes_of(struct span s)
{
	return (const unsigned char *)s.p;
}

/* nonce, ciphertext, seal */
static bool seal(const struct oauth_account *account, struct span plain, struct buf *out)
{
	unsigned char key[KEY_BYTES], nonce[NONCE_BYTES], tag[SEAL_BYTES];
	static unsigned char cipher[OAUTH_ENTRY_MAX];
	EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
	int size = 0, rest = 0;
	bool is_good = context != NULL && plain.n <= sizeof(cipher) && make_key(account, key) &&
		       RAND_bytes(nonce, sizeof(nonce)) == 1 &&
		       EVP_EncryptInit_ex(context, EVP_aes_256_gcm(), NULL, key, nonce) == 1 &&
		       EVP_EncryptUpdate(context, cipher, &size, bytes_of(plain), (int)plain.n) == 1 &&
		       EVP_EncryptFinal_ex(context, cipher + size, &rest) == 1 &&
		       EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_GET_TAG, SEAL_BYTES, tag) == 1;

	EVP_CIPHER_CTX_free(context);
	explicit_bzero(key, sizeof(key));
	return is_good && buf_append(out, nonce, sizeof(nonce)) &&
	       buf_append(out, cipher, (size_t)(size + rest)) && buf_append(out, tag, sizeof(tag));
}

static bool unseal(const struct oauth_account *account, struct span text, struct buf *out)
{
	unsigned char key[KEY_BYTES], tag[SEAL_BYTES];
	static unsigned char plain[OAUTH_ENTRY_MAX];
	EVP_CIPHER_CTX *context;
	struct span cipher;
	int size = 0, rest = 0;
	bool is_good;

	if (text.n < NONCE_BYTES + SEAL_BYTES || text.n > FILE_BYTES)
		return false;
	cipher = span_first(span_from(text, NONCE_BYTES), text.n - NONCE_BYTES - SEAL_BYTES);
	memcpy(tag, text.p + text.n - SEAL_BYTES, SEAL_BYTES);
	context = EVP_CIPHER_CTX_new();
	is_good = context != NULL && make_key(account, key) &&
		  EVP_DecryptInit_ex(context, EVP_aes_256_gcm(), NULL, key, bytes_of(text)) == 1 &&
		  EVP_DecryptUpdate(context, plain, &size, bytes_of(cipher), (int)cipher.n) == 1 &&
		  EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_SET_TAG, SEAL_BYTES, tag) == 1 &&
		  EVP_DecryptFinal_ex(context, plain + size, &rest) == 1;
	EVP_CIPHER_CTX_free(context);
	explicit_bzero(key, sizeof(key));
	is_good = is_good && buf_append(out, plain, (size_t)(size + rest));
	explicit_bzero(plain, sizeof(plain));
	return is_good;
}

/* ---- files ---- */

bool oauth_store_get(const struct oauth_account *account, struct buf *wire,
		     struct msg_token_entry *ret)
{
	char name[OAUTH_NAME_MAX + 2];
	int fd = openat(directory, file_name(account, "", name),
			O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct buf text = BUF_INIT(FILE_BYTES);
	struct span rest;
	bool is_good;

	buf_reset(wire);
	if (fd < 0)
		return false;
	is_good = buf_read(&text, fd) && unseal(account, buf_span(&text), wire);
	(void)close(fd);
	buf_done(&text);
	rest = buf_span(wire);
	/* What another configuration has left is no fault. */
	return is_good && msg_token_entry_decode(&rest, ret) && rest.n == 0;
}

bool oauth_store_reserve(const struct oauth_account *account)
{
	char name[OAUTH_NAME_MAX + 2];
	int fd = openat(directory, file_name(account, "#", name),
			O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	int error = fd < 0 ? errno : posix_fallocate(fd, 0, FILE_BYTES);

	if (fd >= 0)
		(void)close(fd);
	errno = error;
	return error == 0;
}

/* Into the room that was reserved, which is cut to size only then. */
static bool replace(const struct oauth_account *account, struct span bytes)
{
	char temp[OAUTH_NAME_MAX + 2], name[OAUTH_NAME_MAX + 2];
	int fd = openat(directory, file_name(account, "#", temp),
			O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	bool is_good = fd >= 0 && fd_write_all(fd, bytes) && ftruncate(fd, (off_t)bytes.n) == 0 &&
		       fsync(fd) == 0;

	if (fd >= 0)
		(void)close(fd);
	return is_good && renameat(directory, temp, directory, file_name(account, "", name)) == 0 &&
	       fsync(directory) == 0;
}

bool oauth_store_put(const struct oauth_account *account, const struct msg_token_entry *entry)
{
	struct buf plain = BUF_INIT(OAUTH_ENTRY_MAX), text = BUF_INIT(FILE_BYTES);
	bool is_good = msg_token_entry_encode(&plain, entry) &&
		       seal(account, buf_span(&plain), &text) && replace(account, buf_span(&text));

	if (!is_good)
		log_warn("cannot keep the OAuth tokens of account %s: %s", log_clean(account->name),
			 strerror(errno));
	if (plain.data != NULL)
		explicit_bzero(plain.data, plain.capacity);
	buf_done(&plain);
	buf_done(&text);
	return is_good;
}
