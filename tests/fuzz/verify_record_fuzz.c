/* SPDX-License-Identifier: MIT */
/* services/verify/record.h: a value of address_verify_map, read, written and read again. */

#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "services/verify/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* It goes into replies of SMTP and into the log. */
static bool is_clean(struct span text)
{
	for (size_t i = 0; i < text.n; i++)
		if ((unsigned char)text.p[i] < ' ' || text.p[i] == 127)
			return false;
	return utf8_is_valid(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct record untouched = { .state = VERIFY_PENDING, .updated_s = -1 };
	struct record record = untouched, again;
	char *text;

	if (!record_parse((struct span){ (const char *)data, size }, &record)) {
		if (memcmp(&record, &untouched, sizeof(record)) != 0)
			abort();
		return 0;
	}
	if ((unsigned)record.state > VERIFY_BOUNCE || record.updated_s < 0 ||
	    !is_clean(span_of(record.text)))
		abort();
	text = record_format(&record);
	if (!record_parse(span_of(text), &again) || again.state != record.state ||
	    again.updated_s != record.updated_s || strcmp(again.text, record.text) != 0)
		abort();
	free(text);
	return 0;
}
