/* SPDX-License-Identifier: MIT */
/*
 * What TLS needs from files that a jail cannot reach: certificates of authorities, DH parameters.
 * Runs as root, before the jail; the files are the administrator's.
 */

#include <dirent.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "tls/impl.h"

static void complain(struct buf *ret_error, const char *path)
{
	struct buf text = BUF_INIT(1000);

	tls_error(&text, path);
	(void)buf_printf(ret_error, "%s%s", ret_error->length > 0 ? "\n" : "", buf_str(&text));
	buf_done(&text);
}

/* "9d04f354.0", as openssl-rehash(1) names links: OpenSSL finds certificates by these names only. */
static bool is_hashed_name(const char *name)
{
	enum { HASH_LENGTH = 8 };

	return strspn(name, "0123456789abcdef") == HASH_LENGTH && name[HASH_LENGTH] == '.' &&
	       name[HASH_LENGTH + 1] != '\0' &&
	       strspn(name + HASH_LENGTH + 1, "0123456789") == strlen(name + HASH_LENGTH + 1);
}

/* A directory as for CApath: all is read at once, since later nobody can. */
static void add_directory(X509_STORE *trust, const char *path, struct buf *ret_error)
{
	DIR *directory = opendir(path);
	const struct dirent *entry;

	if (directory == NULL) {
		(void)buf_printf(ret_error, "%s%s: %s", ret_error->length > 0 ? "\n" : "", path,
				 strerror(errno));
		return;
	}
	while ((entry = readdir(directory)) != NULL) {
		char *file;

		/* What else lies there is none of our business. */
		if (!is_hashed_name(entry->d_name))
			continue;
		file = mem_printf("%s/%s", path, entry->d_name);
		(void)X509_STORE_load_file(trust, file);
		ERR_clear_error();
		free(file);
	}
	(void)closedir(directory);
}

/* The system's, of which it may have none. False: there is no such file. */
static bool add_default_file(X509_STORE *trust)
{
	bool is_good = X509_STORE_load_file(trust, X509_get_default_cert_file()) == 1;

	ERR_clear_error();
	return is_good;
}

static void add_default_directory(X509_STORE *trust, struct buf *ret_error)
{
	const char *directory = X509_get_default_cert_dir();

	if (access(directory, F_OK) == 0)
		add_directory(trust, directory, ret_error);
}

static EVP_PKEY *read_dh(const char *path)
{
	BIO *bio = BIO_new_file(path, "r");
	EVP_PKEY *key = bio != NULL ? PEM_read_bio_Parameters(bio, NULL) : NULL;

	BIO_free(bio);
	if (key == NULL || EVP_PKEY_is_a(key, "DH") || EVP_PKEY_is_a(key, "DHX"))
		return key;
	EVP_PKEY_free(key);
	return NULL;
}

struct tls_files *tls_files_open(const char *ca_file, const char *ca_path, bool with_default,
				 const char *dh_file, struct buf *ret_error)
{
	struct tls_files *files = NEW(struct tls_files);
	bool has_any = *ca_file != '\0' || *ca_path != '\0';

	files->trust = X509_STORE_new();
	if (files->trust == NULL)
		panic("OpenSSL: no memory for a store of certificates");
	if (*ca_file != '\0' && X509_STORE_load_file(files->trust, ca_file) != 1)
		complain(ret_error, ca_file);
	if (*ca_path != '\0')
		add_directory(files->trust, ca_path, ret_error);
	if (with_default && has_any) {
		(void)add_default_file(files->trust);
		add_default_directory(files->trust, ret_error);
	}
	if (*dh_file != '\0' && strcmp(dh_file, "auto") != 0) {
		files->dh = read_dh(dh_file);
		if (files->dh == NULL)
			complain(ret_error, dh_file);
	}
	return files;
}

struct tls_files *tls_files_open_web(const char *ca_file, const char *ca_path, bool with_default,
				     struct buf *ret_error)
{
	struct tls_files *files = tls_files_open(ca_file, ca_path, with_default, "", ret_error);

	/* Each of the two has them all as a rule, and takes a while. */
	if (*ca_file == '\0' && *ca_path == '\0' && !add_default_file(files->trust))
		add_default_directory(files->trust, ret_error);
	return files;
}

bool tls_files_pem(const struct tls_files *files, struct buf *out)
{
	STACK_OF(X509) *all = X509_STORE_get1_all_certs(files->trust);
	BIO *bio = BIO_new(BIO_s_mem());
	int count = all != NULL && bio != NULL ? sk_X509_num(all) : 0, written = 0;
	char *text = NULL;
	long size;
	bool is_good;

	while (written < count && PEM_write_bio_X509(bio, sk_X509_value(all, written)) == 1)
		written++;
	size = bio != NULL ? BIO_get_mem_data(bio, &text) : 0;
	is_good = count > 0 && written == count && size > 0 &&
		  buf_append(out, text, (size_t)size);
	BIO_free(bio);
	sk_X509_pop_free(all, X509_free);
	return is_good;
}

void tls_files_name_authorities(struct tls_files *files, const char *ca_file)
{
	if (*ca_file != '\0')
		files->names = SSL_load_client_CA_file(ca_file);
	ERR_clear_error();
}

void tls_files_add_anchors(struct tls_files *files, const char *path, struct buf *ret_error)
{
	if (X509_STORE_load_file(files->trust, path) != 1)
		complain(ret_error, path);
	(void)X509_STORE_set_flags(files->trust, X509_V_FLAG_PARTIAL_CHAIN);
}

void tls_files_close(struct tls_files *files)
{
	if (files == NULL)
		return;
	X509_STORE_free(files->trust);
	sk_X509_NAME_pop_free(files->names, X509_NAME_free);
	EVP_PKEY_free(files->dh);
	free(files);
}
