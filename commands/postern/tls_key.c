/* SPDX-License-Identifier: MIT */
/*
 * Keys, certificates, signing requests and TLSA records of "postern tls", by libcrypto. Run by
 * the administrator on files of the administrator.
 */

#include <errno.h>
#include <fcntl.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "commands/postern/tls.h"

enum { RSA_BITS_MIN = 1024, RSA_BITS_MAX = 16384, CERT_DAYS = 36525, SERIAL_BYTES = 16,
       NAMES_MAX = 60000 };

static void log_library(const char *what)
{
	const char *reason = ERR_reason_error_string(ERR_get_error());

	log_error("%s: %s", what, reason != NULL ? reason : "failed");
	ERR_clear_error();
}

EVP_PKEY *tls_make_key(const char *algorithm, const char *bits)
{
	EVP_PKEY *key = NULL;
	uint64_t number = 2048;

	if (strcmp(algorithm, "ecdsa") == 0) {
		/* The name that people use is not the library's. */
		if (bits == NULL || strcmp(bits, "secp256r1") == 0)
			bits = "prime256v1";
		key = EVP_EC_gen(bits);
	} else if (strcmp(algorithm, "rsa") != 0) {
		log_error("unknown key algorithm: %s", algorithm);
		return NULL;
	} else if (bits != NULL && (!span_u64(span_of(bits), RSA_BITS_MAX, &number) ||
				    number < RSA_BITS_MIN)) {
		log_error("bad number of bits: %s", bits);
		return NULL;
	} else {
		key = EVP_RSA_gen((size_t)number);
	}
	if (key == NULL)
		log_library("cannot make a key");
	return key;
}

EVP_PKEY *tls_read_key(const char *path)
{
	FILE *file = fopen(path, "re");
	EVP_PKEY *key;

	if (file == NULL) {
		log_error("%s: %s", path, strerror(errno));
		return NULL;
	}
	key = PEM_read_PrivateKey(file, NULL, NULL, NULL);
	(void)fclose(file);
	if (key == NULL)
		log_library(path);
	return key;
}

static FILE *new_file(const char *path, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	FILE *file = fd >= 0 ? fdopen(fd, "w") : NULL;

	if (file == NULL)
		log_error("%s: %s", path, strerror(errno));
	return file;
}

/* Closes the file; one that is not whole is removed. */
static bool finish_file(FILE *file, const char *path, bool is_whole)
{
	is_whole = fflush(file) == 0 && fsync(fileno(file)) == 0 && is_whole;
	is_whole = fclose(file) == 0 && is_whole;
	if (!is_whole) {
		log_library(path);
		(void)unlink(path);
	}
	return is_whole;
}

bool tls_write_key(const char *path, EVP_PKEY *key)
{
	FILE *file = new_file(path, 0600);

	return file != NULL &&
	       finish_file(file, path, PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) == 1);
}

/* The subject with the first name, and the extension with all; the caller frees the extension. */
static X509_EXTENSION *set_names(X509_NAME *subject, char *const *names, size_t count)
{
	struct buf text = BUF_INIT(NAMES_MAX);
	X509_EXTENSION *extension = NULL;

	for (size_t i = 0; i < count; i++)
		buf_printf(&text, "%sDNS:%s", i > 0 ? "," : "", names[i]);
	if (!buf_is_over(&text) && X509_NAME_add_entry_by_NID(subject, NID_commonName, MBSTRING_UTF8,
							    (const unsigned char *)names[0], -1,
							    -1, 0) == 1)
		extension = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, buf_str(&text));
	buf_done(&text);
	return extension;
}

static bool set_serial(X509 *cert)
{
	unsigned char bytes[SERIAL_BYTES];
	BIGNUM *number = NULL;
	bool is_set;

	if (RAND_bytes(bytes, sizeof(bytes)) != 1)
		return false;
	bytes[0] &= 0x7f; /* positive */
	number = BN_bin2bn(bytes, sizeof(bytes), NULL);
	is_set = number != NULL && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert)) != NULL;
	BN_free(number);
	return is_set;
}

static bool add_extension(X509 *cert, int nid, const char *value)
{
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
	bool is_added = extension != NULL && X509_add_ext(cert, extension, -1) == 1;

	X509_EXTENSION_free(extension);
	return is_added;
}

static bool fill_cert(X509 *cert, EVP_PKEY *key, char *const *names, size_t count)
{
	X509_NAME *subject = X509_get_subject_name(cert);
	X509_EXTENSION *extension = set_names(subject, names, count);
	bool is_filled = extension != NULL && X509_set_version(cert, X509_VERSION_3) == 1 &&
			 set_serial(cert) && X509_set_issuer_name(cert, subject) == 1 &&
			 X509_time_adj_ex(X509_getm_notBefore(cert), 0, 0, NULL) != NULL &&
			 X509_time_adj_ex(X509_getm_notAfter(cert), CERT_DAYS, 0, NULL) != NULL &&
			 X509_set_pubkey(cert, key) == 1 && X509_add_ext(cert, extension, -1) == 1 &&
			 add_extension(cert, NID_basic_constraints, "CA:FALSE") &&
			 add_extension(cert, NID_ext_key_usage, "serverAuth,clientAuth") &&
			 X509_sign(cert, key, EVP_sha256()) > 0;

	X509_EXTENSION_free(extension);
	return is_filled;
}

bool tls_write_cert(const char *path, EVP_PKEY *key, char *const *names, size_t count)
{
	X509 *cert = X509_new();
	FILE *file = NULL;
	bool is_good = cert != NULL && fill_cert(cert, key, names, count);

	if (!is_good)
		log_library("cannot make a certificate");
	else if ((file = new_file(path, 0644)) == NULL)
		is_good = false;
	else
		is_good = finish_file(file, path, PEM_write_X509(file, cert) == 1);
	X509_free(cert);
	return is_good;
}

bool tls_check_cert(const char *path, EVP_PKEY *key)
{
	FILE *file = fopen(path, "re");
	X509 *cert;
	bool is_good;

	if (file == NULL) {
		log_error("%s: %s", path, strerror(errno));
		return false;
	}
	cert = PEM_read_X509(file, NULL, NULL, NULL);
	(void)fclose(file);
	is_good = cert != NULL && X509_check_private_key(cert, key) == 1;
	if (!is_good)
		log_library(path);
	X509_free(cert);
	return is_good;
}

bool tls_print_csr(EVP_PKEY *key, char *const *names, size_t count)
{
	X509_REQ *request = X509_REQ_new();
	STACK_OF(X509_EXTENSION) *list = sk_X509_EXTENSION_new_null();
	X509_EXTENSION *extension =
		request != NULL ? set_names(X509_REQ_get_subject_name(request), names, count) : NULL;
	bool is_good = extension != NULL && list != NULL &&
		       sk_X509_EXTENSION_push(list, extension) > 0 &&
		       X509_REQ_add_extensions(request, list) == 1 &&
		       X509_REQ_set_pubkey(request, key) == 1 &&
		       X509_REQ_sign(request, key, EVP_sha256()) > 0 &&
		       PEM_write_X509_REQ(stdout, request) == 1 && fflush(stdout) == 0;

	if (!is_good)
		log_library("cannot make a signing request");
	X509_EXTENSION_free(extension);
	sk_X509_EXTENSION_free(list);
	X509_REQ_free(request);
	return is_good;
}

bool tls_print_tlsa(EVP_PKEY *key, const char *name)
{
	unsigned char digest[EVP_MAX_MD_SIZE], *der = NULL;
	unsigned size = 0;
	int length = i2d_PUBKEY(key, &der);
	bool is_good = length > 0 &&
		       EVP_Digest(der, (size_t)length, digest, &size, EVP_sha256(), NULL) == 1;

	OPENSSL_free(der);
	if (!is_good) {
		log_library("cannot make a digest of the key");
		return false;
	}
	(void)printf("_25._tcp.%s. IN TLSA 3 1 1 ", name);
	for (unsigned i = 0; i < size; i++)
		(void)printf("%02x", digest[i]);
	(void)putchar('\n');
	return fflush(stdout) == 0;
}
