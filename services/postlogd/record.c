/* SPDX-License-Identifier: MIT */
/* Log records as text; see record.h and lib/base/log.h. The input is other programs' and users'. */

#include "services/postlogd/record.h"

#include <time.h>

static bool is_clean(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < ' ' || s.p[i] == 0x7f)
			return false;
	return true;
}

/* TAG[PID]: a tag of printable characters without blanks, a number. */
static bool is_source(struct span s)
{
	size_t at;
	uint64_t pid;

	if (s.n < 3 || s.n > 200 || s.p[s.n - 1] != ']' || !span_rchr(s, '[', &at))
		return false;
	for (size_t i = 0; i < at; i++)
		if (!ascii_is_print(s.p[i]) || s.p[i] == ' ')
			return false;
	return at > 0 && span_u64(span_first(span_from(s, at + 1), s.n - at - 2), UINT32_MAX, &pid);
}

bool log_record_parse(struct span line, struct log_record *ret)
{
	struct span when, severity, source, text;
	uint64_t us;

	if (!span_cut(line, ' ', &when, &line) || !span_cut(line, ' ', &severity, &line) ||
	    !span_cut(line, ' ', &source, &text))
		return false;
	if (!span_u64(when, INT64_MAX, &us) || severity.n != 1 || !span_has(SPAN("iwefp"), severity.p[0]) ||
	    source.n < 2 || source.p[source.n - 1] != ':' || !is_clean(text))
		return false;
	source.n--;
	if (!is_source(source))
		return false;
	*ret = (struct log_record){ { (int64_t)us }, severity.p[0], source, text };
	return true;
}

static const char *prefix(char severity)
{
	switch (severity) {
	case 'w': return "warning: ";
	case 'e': return "error: ";
	case 'f': return "fatal: ";
	case 'p': return "panic: ";
	}
	return "";
}

void log_record_format(struct buf *out, const struct log_record *record, const char *host)
{
	static time_t last = -1;
	static char stamp[32];
	time_t now = (time_t)(record->when.us / 1000000);

	if (now != last) {
		struct tm parts;

		(void)localtime_r(&now, &parts);
		(void)strftime(stamp, sizeof(stamp), "%b %e %H:%M:%S", &parts);
		last = now;
	}
	(void)buf_printf(out, "%s ", stamp);
	if (host != NULL)
		(void)buf_printf(out, "%s ", host);
	(void)buf_printf(out, "%.*s: %s%.*s\n", SPAN_ARG(record->source), prefix(record->severity),
			 SPAN_ARG(record->text));
}
