/* SPDX-License-Identifier: MIT */
/* The names of certificate files as one text, see keysign.h; for master, too, which has no OpenSSL. */

#include "tls/keysign.h"

static void put_value(struct buf *out, const char *value)
{
	(void)buf_char(out, '\t');
	for (; value != NULL && *value != '\0'; value++)
		(void)buf_char(out, ascii_is_blank(*value) ? ' ' : *value);
}

static bool is_named(const char *file)
{
	struct span name = span_trim(span_of(file));

	return name.n > 0 && !span_is(name, "none");
}

void tls_file_names_text(const struct tls_file_names *names, struct buf *out)
{
	const char *values[] = { names->chain_files, names->cert,  names->key,  names->eccert,
				 names->eckey,       names->dcert, names->dkey, names->sni_maps };

	if (!is_named(names->chain_files) && !is_named(names->cert) && !is_named(names->eccert) &&
	    !is_named(names->dcert) && !is_named(names->sni_maps))
		return;
	(void)buf_text(out, names->role == TLS_SERVER ? "server" : "client");
	for (size_t i = 0; i < ARRAY_LEN(values); i++)
		put_value(out, values[i]);
}

bool tls_file_names_parse(struct span text, struct tls_file_spans *ret)
{
	struct span *values[] = { &ret->chain_files, &ret->cert,  &ret->key,  &ret->eccert,
				  &ret->eckey,       &ret->dcert, &ret->dkey, &ret->sni_maps };
	struct span role, rest;

	if (!span_cut(text, '\t', &role, &rest))
		return false;
	ret->role = span_is(role, "server") ? TLS_SERVER : TLS_CLIENT;
	for (size_t i = 0; i < ARRAY_LEN(values); i++) {
		struct span value = rest;

		if (!span_cut(rest, '\t', &value, &rest) && i + 1 < ARRAY_LEN(values))
			return false;
		*values[i] = span_trim(value);
	}
	return ret->role == TLS_SERVER || span_is(role, "client");
}
