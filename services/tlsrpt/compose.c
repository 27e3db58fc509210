/* SPDX-License-Identifier: MIT */
/*
 * The text of a report (RFC 8460 4.4), compressed. Pure functions but for conf; the sums have texts of
 * servers in them, which json_string() makes harmless.
 */

#include <inttypes.h>
#include <time.h>
#include <zlib.h>

#include "base/json.h"
#include "conf/conf.h"
#include "mail/tlsrpt.h"
#include "services/tlsrpt/tlsrpt.h"

enum { JSON_MAX = 8 * 1024 * 1024, GZIP_MAX = 128 * 1024, GZIP_WINDOW = 15 + 16 };

static void put_time(struct buf *out, const char *name, int64_t when_s)
{
	time_t when = (time_t)when_s;
	char text[40];
	struct tm tm;

	(void)strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&when, &tm));
	(void)json_member(out, name, span_of(text));
}

/* "name": ["line", ...] */
static void put_lines(struct buf *out, const char *name, struct span lines)
{
	const char *between = "";
	struct span line;

	(void)buf_text(out, ", ");
	(void)json_string(out, span_of(name));
	(void)buf_text(out, ": [");
	while (span_line(&lines, &line)) {
		if (line.n == 0)
			continue;
		(void)buf_text(out, between);
		(void)json_string(out, line);
		between = ", ";
	}
	(void)buf_char(out, ']');
}

static void put_detail(struct buf *out, const struct sums_detail *detail)
{
	struct span rest = buf_span(&detail->record);
	struct msg_tlsrpt_detail message;

	if (!msg_tlsrpt_detail_decode(&rest, &message))
		return;
	const struct {
		const char *name;
		struct span value;
	} members[] = {
		{ "sending-mta-ip", message.sending_ip },
		{ "receiving-mx-hostname", message.mx_host },
		{ "receiving-mx-helo", message.mx_helo },
		{ "receiving-ip", message.receiving_ip },
		{ "failure-reason-code", message.reason },
	};

	(void)buf_char(out, '{');
	(void)json_member(out, "result-type", span_of(tlsrpt_failure_name(message.failure)));
	for (size_t i = 0; i < ARRAY_LEN(members); i++)
		if (members[i].value.n > 0)
			(void)json_member(out, members[i].name, members[i].value);
	(void)buf_printf(out, ", \"failed-session-count\": %" PRIu64 "}", detail->count);
}

static void put_policy(struct buf *out, const struct sums_policy *policy)
{
	struct span rest = buf_span(&policy->record);
	struct msg_tlsrpt_policy message;

	if (!msg_tlsrpt_policy_decode(&rest, &message))
		return;
	(void)buf_text(out, "{\"policy\": {");
	(void)json_member(out, "policy-type", span_of(tlsrpt_policy_name(message.type)));
	if (message.strings.n > 0)
		put_lines(out, "policy-string", message.strings);
	(void)json_member(out, "policy-domain", message.domain);
	if (message.mx_patterns.n > 0)
		put_lines(out, "mx-host", message.mx_patterns);
	(void)buf_printf(out,
			 "}, \"summary\": {\"total-successful-session-count\": %" PRIu64
			 ", \"total-failure-session-count\": %" PRIu64 "}",
			 policy->successes, policy->failures);
	if (policy->detail_count > 0)
		(void)buf_text(out, ", \"failure-details\": [");
	for (size_t i = 0; i < policy->detail_count; i++) {
		(void)buf_text(out, i > 0 ? ", " : "");
		put_detail(out, &policy->details[i]);
	}
	(void)buf_text(out, policy->detail_count > 0 ? "]}" : "}");
}

static void put_report(struct buf *out, const struct report *report)
{
	(void)buf_char(out, '{');
	(void)json_member(out, "organization-name", span_of(conf->tlsrpt_organization_name));
	(void)buf_text(out, ", \"date-range\": {");
	put_time(out, "start-datetime", report->period.begin_s);
	put_time(out, "end-datetime", report->period.end_s);
	(void)buf_char(out, '}');
	(void)json_member(out, "contact-info", span_of(conf->tlsrpt_contact_info));
	(void)json_member(out, "report-id", buf_span(&report->id));
	(void)buf_text(out, ", \"policies\": [");
	for (size_t i = 0; i < report->sums->count; i++) {
		(void)buf_text(out, i > 0 ? ", " : "");
		put_policy(out, &report->sums->policies[i]);
	}
	(void)buf_text(out, "]}\n");
}

static bool compress_text(struct span text, struct buf *out)
{
	z_stream stream = { 0 };
	bool is_done = false;
	char *room;

	if (deflateInit2(&stream, Z_BEST_COMPRESSION, Z_DEFLATED, GZIP_WINDOW, MAX_MEM_LEVEL,
			 Z_DEFAULT_STRATEGY) != Z_OK)
		return false;
	room = buf_room(out, GZIP_MAX);
	/* zlib does not write what it reads; its type says otherwise. */
	stream.next_in = (z_const Bytef *)(uintptr_t)text.p;
	stream.avail_in = (uInt)text.n;
	stream.next_out = (Bytef *)room;
	stream.avail_out = GZIP_MAX;
	if (room != NULL)
		is_done = deflate(&stream, Z_FINISH) == Z_STREAM_END;
	if (is_done)
		buf_grew(out, GZIP_MAX - stream.avail_out);
	(void)deflateEnd(&stream);
	return is_done;
}

bool compose_report(const struct report *report, struct buf *ret_gzip)
{
	struct buf json = BUF_INIT(JSON_MAX);
	bool is_done;

	put_report(&json, report);
	is_done = !buf_is_over(&json) && compress_text(buf_span(&json), ret_gzip);
	buf_done(&json);
	return is_done;
}

void compose_file_name(const struct report *report, struct buf *out)
{
	(void)buf_printf(out, "%.*s!%.*s!%" PRId64 "!%" PRId64 ".json.gz",
			 SPAN_ARG(report->submitter), SPAN_ARG(report->period.domain),
			 report->period.begin_s, report->period.end_s);
}
