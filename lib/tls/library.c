/* SPDX-License-Identifier: MIT */
/*
 * Starting OpenSSL, and its errors in words. Runs in who speaks TLS, as root, before the jail.
 * postconf(5) tls_config_file, tls_config_name.
 */

#include <openssl/conf.h>
#include <openssl/err.h>
#include <openssl/provider.h>
#include <string.h>

#include "conf/conf.h"
#include "tls/impl.h"

void tls_error(struct buf *ret_error, const char *what)
{
	const char *data = NULL;
	int flags = 0;
	unsigned long code = ERR_peek_last_error_all(NULL, NULL, NULL, &data, &flags);
	const char *reason = code != 0 ? ERR_reason_error_string(code) : NULL;

	(void)buf_text(ret_error, what);
	if (reason != NULL)
		(void)buf_printf(ret_error, ": %s", reason);
	if (reason != NULL && data != NULL && (flags & ERR_TXT_STRING) != 0 && *data != '\0')
		(void)buf_printf(ret_error, " (%s)", data);
	ERR_clear_error();
}

static bool load_configuration(struct buf *ret_error)
{
	const char *file = conf->tls_config_file, *name = conf->tls_config_name;
	OPENSSL_INIT_SETTINGS *settings = OPENSSL_INIT_new();
	bool is_default = strcmp(file, "default") == 0, is_good = settings != NULL;
	uint64_t options = OPENSSL_INIT_LOAD_CONFIG;

	if (strcmp(file, "none") == 0)
		options = OPENSSL_INIT_NO_LOAD_CONFIG;
	if (is_good && !is_default)
		is_good = OPENSSL_INIT_set_config_filename(settings, file) == 1;
	if (is_good && *name != '\0')
		is_good = OPENSSL_INIT_set_config_appname(settings, name) == 1;
	/* A file that somebody names has to be right; of the default one, what OpenSSL makes. */
	if (is_good && (!is_default || *name != '\0'))
		OPENSSL_INIT_set_config_file_flags(settings, 0);
	is_good = is_good && OPENSSL_init_ssl(options, settings) == 1;
	OPENSSL_INIT_free(settings);
	if (!is_good)
		tls_error(ret_error, "cannot start OpenSSL with tls_config_file");
	return is_good;
}

bool tls_library_open(struct buf *ret_error)
{
	static OSSL_PROVIDER *provider; /* loaded for good */

	if (provider != NULL)
		return true;
	if (!load_configuration(ret_error))
		return false;
	/* Naming any provider means that OpenSSL adds none by itself. */
	provider = OSSL_PROVIDER_load(NULL, "default");
	if (provider == NULL)
		tls_error(ret_error, "cannot load OpenSSL's default provider");
	return provider != NULL && tls_remote_keys_open(ret_error);
}
