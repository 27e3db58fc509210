/* SPDX-License-Identifier: MIT */
/* Records as text; see record.h. Runs in verify. Reasons are remote text. */

#include "services/verify/record.h"

#include <stdio.h>

#include "base/log.h"
#include "base/mem.h"

static bool parse_number(struct span *rest, uint64_t max, uint64_t *ret)
{
	struct span field;

	return span_cut(*rest, ':', &field, rest) && span_u64(field, max, ret);
}

bool record_parse(struct span text, struct record *ret)
{
	uint64_t state, probed, updated;

	if (!parse_number(&text, VERIFY_BOUNCE, &state) ||
	    !parse_number(&text, INT64_MAX, &probed) || !parse_number(&text, INT64_MAX, &updated))
		return false;
	ret->state = (enum verify_state)state;
	ret->updated_s = (int64_t)updated;
	(void)snprintf(ret->text, sizeof(ret->text), "%s", log_clean(text));
	return true;
}

char *record_format(const struct record *record)
{
	return mem_printf("%d:0:%lld:%s", (int)record->state, (long long)record->updated_s,
			  record->text);
}
