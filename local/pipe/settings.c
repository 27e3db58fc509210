/* SPDX-License-Identifier: MIT */
/* The attributes of a pipe service in master.cf; see pipe.h. The administrator wrote them. */

#include <string.h>

#include "base/mem.h"
#include "local/pipe/pipe.h"

static bool parse_flags(struct span flags, struct pipe_settings *ret, struct buf *error)
{
	for (size_t i = 0; i < flags.n; i++) {
		switch (flags.p[i]) {
		case 'B': ret->has_blank_end = true; break;
		case 'D': ret->has_delivered_to = true; break;
		case 'F': ret->has_from_line = true; break;
		case 'O': ret->has_original_to = true; break;
		case 'R': ret->has_return_path = true; break;
		case 'X': ret->is_final = true; break;
		case 'h': ret->folds_domain = true; break;
		case 'q': ret->quotes = true; break;
		case 'u': ret->folds_local = true; break;
		case '.': ret->quotes_dot = true; break;
		case '>': ret->quotes_from = true; break;
		default:
			(void)buf_printf(error, "unknown flag: %c (ignored)", flags.p[i]);
			return false;
		}
	}
	return true;
}

void pipe_unescape(struct buf *out, struct span text)
{
	static const char letters[] = "abfnrtv\\", bytes[] = "\a\b\f\n\r\t\v\\";

	for (size_t i = 0; i < text.n; i++) {
		const char *letter;
		unsigned value = 0, digits = 0;

		if (text.p[i] != '\\' || i + 1 == text.n) {
			(void)buf_char(out, text.p[i]);
			continue;
		}
		i++;
		letter = text.p[i] != '\0' ? strchr(letters, text.p[i]) : NULL;
		if (letter != NULL) {
			(void)buf_char(out, bytes[letter - letters]);
			continue;
		}
		while (digits < 3 && i + digits < text.n && text.p[i + digits] >= '0' &&
		       text.p[i + digits] <= '7')
			value = value * 8 + (unsigned)(text.p[i + digits++] - '0');
		(void)buf_char(out, digits > 0 ? (char)value : text.p[i]);
		i += digits > 0 ? digits - 1 : 0;
	}
}

/* One "name=value". `value` has a NUL behind it. */
static bool set(struct pipe_settings *ret, struct span name, struct span value, struct buf *error)
{
	if (span_is(name, "flags"))
		return parse_flags(value, ret, error);
	if (span_is(name, "user"))
		ret->user = value.p;
	else if (span_is(name, "chroot"))
		ret->chroot = value.p;
	else if (span_is(name, "directory"))
		ret->directory = value.p;
	else if (span_is(name, "null_sender"))
		ret->null_sender = value.p;
	else if (span_is(name, "eol"))
		pipe_unescape(&ret->eol, value);
	else if (span_is(name, "size") && span_u64(value, INT64_MAX, &ret->size_limit_bytes))
		return true;
	else
		(void)buf_printf(error, "bad attribute: %.*s=%.*s", SPAN_ARG(name), SPAN_ARG(value));
	return error->length == 0;
}

bool pipe_settings_parse(struct span arguments, struct pipe_settings *ret, struct buf *error)
{
	struct span one, name, value;
	const char **argv = mem_array(arguments.n + 1, sizeof(*argv));
	size_t count = 0;

	*ret = (struct pipe_settings){ .null_sender = "MAILER-DAEMON", .argv = argv };
	buf_init(&ret->eol, 64);
	while (span_cut(arguments, '\0', &one, &arguments)) {
		if (count > 0) {
			argv[count++] = one.p;
		} else if (span_starts(one, SPAN("argv="))) {
			argv[count++] = one.p + strlen("argv=");
		} else if (!span_cut(one, '=', &name, &value)) {
			(void)buf_printf(error, "expected name=value: %.*s", SPAN_ARG(one));
			return false;
		} else if (!set(ret, name, value, error)) {
			return false;
		}
	}
	if (ret->user == NULL)
		(void)buf_text(error, "missing user= attribute");
	else if (count == 0 || *argv[0] == '\0')
		(void)buf_text(error, "missing argv= attribute");
	return error->length == 0;
}
