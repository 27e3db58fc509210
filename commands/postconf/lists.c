/* SPDX-License-Identifier: MIT */
/* postconf -m, -l, -a, -A and -T: what this program was built with. */

#include "postconf.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/opensslv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "table/table.h"

static int compare_texts(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

void list_table_types(void)
{
	const char *types[100];
	size_t count = 0;

	table_register_databases();
	while (count < ARRAY_LEN(types) && (types[count] = table_type_name(count)) != NULL)
		count++;
	qsort(types, count, sizeof(types[0]), compare_texts);
	for (size_t i = 0; i < count; i++)
		puts(types[i]);
}

void list_lock_methods(void)
{
	puts("flock\nfcntl\ndotlock");
}

void list_server_sasl(void)
{
	puts("dovecot\npasswd");
}

void list_client_sasl(void)
{
	puts("builtin");
}

/* Kinds of keys that a certificate may have here, when the library knows them. */
static void list_key_algorithms(void)
{
	static const struct {
		const char *openssl_name, *name;
	} kinds[] = {
		{ "EC", "ecdsa" }, { "RSA", "rsa" }, { "ED25519", "ed25519" }, { "ED448", "ed448" },
	};

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, kinds[i].openssl_name, NULL);

		if (context != NULL)
			puts(kinds[i].name);
		EVP_PKEY_CTX_free(context);
	}
}

bool list_tls(const char *mode)
{
	if (strcmp(mode, "compile-version") == 0)
		puts(OPENSSL_VERSION_TEXT);
	else if (strcmp(mode, "run-version") == 0)
		puts(OpenSSL_version(OPENSSL_VERSION));
	else if (strcmp(mode, "public-key-algorithms") == 0)
		list_key_algorithms();
	else
		return false;
	return true;
}
