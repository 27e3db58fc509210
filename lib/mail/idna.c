/* SPDX-License-Identifier: MIT */
/*
 * Domain names beyond ASCII; see idna.h. Runs where addresses are resolved or hosts looked up,
 * on text from peers. UTS #46, RFC 5890 to 5892; the work is ICU's.
 */

#include "mail/idna.h"

#include <unicode/uidna.h>

#include "base/buf.h"
#include "base/utf8.h"
#include "mail/domain.h"

enum { NAME_ROOM = 1024 }; /* four bytes for each of 255 characters */

/* The converter is made at the first use and lives as long as the process. */
static const UIDNA *converter(bool is_transitional)
{
	static UIDNA *made[2];
	uint32_t options = UIDNA_USE_STD3_RULES | UIDNA_CHECK_BIDI;
	UErrorCode error = U_ZERO_ERROR;

	if (!is_transitional)
		options |= UIDNA_NONTRANSITIONAL_TO_ASCII | UIDNA_NONTRANSITIONAL_TO_UNICODE;
	if (made[is_transitional] == NULL)
		made[is_transitional] = uidna_openUTS46(options, &error);
	return U_SUCCESS(error) ? made[is_transitional] : NULL;
}

bool idna_to_ascii(struct buf *out, struct span name, bool is_transitional)
{
	char text[NAME_ROOM];
	UIDNAInfo info = UIDNA_INFO_INITIALIZER;
	UErrorCode error = U_ZERO_ERROR;
	const UIDNA *idna;
	int32_t length;

	if (!utf8_has_8bit(name))
		return domain_check_name(name, false) == DOMAIN_OK && buf_add(out, name);
	idna = converter(is_transitional);
	if (idna == NULL || name.n > DOMAIN_NAME_MAX || !utf8_is_valid(name))
		return false;
	length = uidna_nameToASCII_UTF8(idna, name.p, (int32_t)name.n, text, sizeof(text), &info,
					&error);
	if (U_FAILURE(error) || info.errors != 0 || length <= 0 || length >= NAME_ROOM)
		return false;
	name = (struct span){ text, (size_t)length };
	return domain_check_name(name, false) == DOMAIN_OK && buf_add(out, name);
}

bool idna_to_utf8(struct buf *out, struct span name, bool is_transitional)
{
	char text[NAME_ROOM];
	UIDNAInfo info = UIDNA_INFO_INITIALIZER;
	UErrorCode error = U_ZERO_ERROR;
	const UIDNA *idna = converter(is_transitional);
	int32_t length;

	if (idna == NULL || name.n > DOMAIN_NAME_MAX || !utf8_is_valid(name))
		return false;
	length = uidna_nameToUnicodeUTF8(idna, name.p, (int32_t)name.n, text, sizeof(text), &info,
					 &error);
	if (U_FAILURE(error) || info.errors != 0 || length <= 0 || length >= NAME_ROOM)
		return false;
	return buf_append(out, text, (size_t)length);
}
