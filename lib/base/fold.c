/* SPDX-License-Identifier: MIT */
/* Case folding; see fold.h. ICU does what is beyond ASCII. */

#include "base/fold.h"

#include <limits.h>
#include <unicode/ucasemap.h>

#include "base/utf8.h"

static bool fold_ascii(struct span s, struct buf *ret)
{
	char *out = buf_room(ret, s.n);

	if (out == NULL)
		return false;
	for (size_t i = 0; i < s.n; i++)
		out[i] = ascii_lower(s.p[i]);
	buf_grew(ret, s.n);
	return true;
}

static bool fold_unicode(struct span s, struct buf *ret)
{
	static UCaseMap *map;
	UErrorCode error = U_ZERO_ERROR;
	size_t room = s.n * 3; /* the longest expansion of one character by full case folding */

	if (map == NULL)
		map = ucasemap_open("", 0, &error);
	if (U_FAILURE(error) || room > INT_MAX)
		return fold_ascii(s, ret);

	char *out = buf_room(ret, room);

	if (out == NULL)
		return false;

	int32_t size = ucasemap_utf8FoldCase(map, out, (int32_t)room, s.p, (int32_t)s.n, &error);

	if (U_FAILURE(error))
		return fold_ascii(s, ret);
	buf_grew(ret, (size_t)size);
	return true;
}

bool fold_text(struct span s, bool is_utf8, struct buf *ret)
{
	buf_reset(ret);
	if (s.n == 0)
		return true;
	if (is_utf8 && utf8_has_8bit(s) && utf8_is_valid(s))
		return fold_unicode(s, ret);
	return fold_ascii(s, ret);
}
