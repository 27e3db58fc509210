/* SPDX-License-Identifier: MIT */
/*
 * One report, from the file of its period to whom the domain wants to have it: by mail (RFC 8460 5.3)
 * through cleanup, by HTTPS (5.4) through policyfetch. Straight blocking code in a child of tlsrpt,
 * in its jail. Where it goes is said by a TXT record, which is a stranger's: at most TLSRPT_URIS_MAX
 * addresses, of two kinds.
 */

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/base64.h"
#include "base/log.h"
#include "conf/conf.h"
#include "ipc/submit.h"
#include "mail/addr.h"
#include "mail/dsn.h"
#include "mail/tlsrpt.h"
#include "net/dns.h"
#include "proc/service.h"
#include "services/tlsrpt/tlsrpt.h"

enum {
	LOOKUP_MS = 60 * 1000,
	POST_MS = 150 * 1000,
	GZIP_LIMIT = 128 * 1024,
	MAIL_LIMIT = 512 * 1024,
	LINE_BYTES = 57, /* 76 characters of base64: RFC 2045 6.8 */
};

enum outcome { OUTCOME_SENT, OUTCOME_LATER, OUTCOME_NEVER };

/* ---- by mail ---- */

static void put_base64(struct buf *out, struct span data)
{
	while (data.n > 0) {
		struct span line = span_first(data, LINE_BYTES);

		(void)base64_encode(out, line);
		(void)buf_text(out, "\r\n");
		data = span_from(data, line.n);
	}
}

static void put_message(const struct report *report, struct span rcpt, struct span gzip,
			struct buf *out)
{
	struct buf name = BUF_INIT(1024), from = BUF_INIT(1024), to = BUF_INIT(1024);
	struct span domain = report->period.domain;
	const char *id = buf_str(&report->id);

	compose_file_name(report, &name);
	(void)addr_quote(&from, span_of(conf->tlsrpt_sender));
	(void)addr_quote(&to, rcpt);
	(void)buf_printf(out, "From: %s\r\nTo: %s\r\n", buf_str(&from), buf_str(&to));
	(void)buf_printf(out, "Subject: Report Domain: %.*s\r\n Submitter: %.*s\r\n Report-ID: <%s>\r\n",
			 SPAN_ARG(domain), SPAN_ARG(report->submitter), id);
	/* It must arrive even where TLS is what is broken: RFC 8460 5.3, RFC 8689. */
	(void)buf_printf(out,
			 "TLS-Report-Domain: %.*s\r\nTLS-Report-Submitter: %.*s\r\n"
			 "TLS-Required: no\r\nAuto-Submitted: auto-generated\r\n"
			 "MIME-Version: 1.0\r\nContent-Type: multipart/report; "
			 "report-type=\"tlsrpt\";\r\n\tboundary=\"tlsrpt=_%" PRId64 "\"\r\n"
			 "Content-Language: en-us\r\n\r\nThis is a multipart message in MIME "
			 "format.\r\n\r\n",
			 SPAN_ARG(domain), SPAN_ARG(report->submitter), report->period.end_s);
	(void)buf_printf(out,
			 "--tlsrpt=_%" PRId64 "\r\nContent-Type: text/plain; charset=\"us-ascii\"\r\n"
			 "Content-Transfer-Encoding: 7bit\r\n\r\n"
			 "This is an aggregate TLS report from %.*s\r\n\r\n",
			 report->period.end_s, SPAN_ARG(report->submitter));
	(void)buf_printf(out,
			 "--tlsrpt=_%" PRId64 "\r\nContent-Type: application/tlsrpt+gzip\r\n"
			 "Content-Transfer-Encoding: base64\r\n"
			 "Content-Disposition: attachment;\r\n\tfilename=\"%s\"\r\n\r\n",
			 report->period.end_s, buf_str(&name));
	put_base64(out, gzip);
	(void)buf_printf(out, "\r\n--tlsrpt=_%" PRId64 "--\r\n", report->period.end_s);
	buf_done(&name);
	buf_done(&from);
	buf_done(&to);
}

static bool begin(struct ipc_channel *cleanup, struct span rcpt_address, struct clock_mono deadline)
{
	struct msg_envelope envelope = { .sender = span_of(conf->tlsrpt_sender),
					 .rewrite_context = SPAN("local"),
					 .create_us = clock_wall_now().us };
	/* Nobody reads the mail of that sender. */
	struct msg_rcpt rcpt = { .address = rcpt_address, .orig_address = rcpt_address,
				 .notify = DSN_NOTIFY_NEVER };
	struct submit_start start = { .envelope = &envelope, .rcpt = &rcpt,
				      .options = SUBMIT_INTERNAL | SUBMIT_NO_BCC |
						 SUBMIT_NO_HEADER_BODY_CHECKS };

	return submit_open(cleanup, &start, deadline);
}

static enum outcome submit(const struct report *report, struct span rcpt, struct span gzip,
			   struct buf *why)
{
	struct clock_mono deadline = clock_in_ms((int64_t)conf->ipc_timeout * 1000);
	struct ipc_channel cleanup = { .fd = -1, .passed_fd = -1 };
	struct buf message = BUF_INIT(MAIL_LIMIT);
	struct msg_submit_done done;
	char id[32] = "";
	bool is_good;

	put_message(report, rcpt, gzip, &message);
	is_good = !buf_is_over(&message) &&
		  submit_connect(&cleanup, conf->cleanup_service_name, id) &&
		  begin(&cleanup, rcpt, deadline) &&
		  submit_bytes(&cleanup, buf_span(&message), true, deadline) &&
		  submit_answer(&cleanup, &done, deadline) == IPC_OK;
	if (!is_good)
		(void)buf_printf(why, "the %s service does not take it", conf->cleanup_service_name);
	else if (done.result == SUBMIT_OK || done.result == SUBMIT_DISCARD)
		(void)buf_printf(why, "queued as %s", id);
	else
		(void)buf_printf(why, "not accepted: %s %s", log_clean(done.status),
				 log_clean(done.reason));
	is_good = is_good && (done.result == SUBMIT_OK || done.result == SUBMIT_DISCARD);
	ipc_close(&cleanup);
	buf_done(&message);
	return is_good ? OUTCOME_SENT : OUTCOME_LATER;
}

/* ---- by HTTPS ---- */

static enum outcome post(struct span url, struct span gzip, struct buf *why)
{
	struct clock_mono deadline = clock_in_ms(POST_MS);
	struct msg_report_post request = { .url = url, .body = gzip };
	struct msg_status answer = { .code = 0 };
	struct ipc_channel channel;
	int fd = service_connect("policyfetch", service_first_answer());
	bool is_answered;

	ipc_attach(&channel, fd);
	is_answered = fd >= 0 &&
		      IPC_SEND(&channel, report_post, &request, -1, deadline) == IPC_OK &&
		      IPC_EXPECT(&channel, status, &answer, deadline) == IPC_OK;
	(void)buf_printf(why, "%s", is_answered ? log_clean(answer.text)
						: "the policyfetch service does not answer");
	ipc_close(&channel);
	if (!is_answered || answer.code == EAGAIN)
		return OUTCOME_LATER;
	return answer.code == 0 ? OUTCOME_SENT : OUTCOME_NEVER;
}

/* ---- to all of them ---- */

static enum outcome deliver_to(const struct report *report, enum tlsrpt_uri_kind kind,
			       struct span target, struct span gzip, struct buf *out)
{
	struct buf why = BUF_INIT(2048);
	const char *verb = "not sent";
	enum outcome outcome = kind == TLSRPT_URI_MAILTO ? submit(report, target, gzip, &why)
							 : post(target, gzip, &why);

	if (outcome == OUTCOME_SENT)
		verb = "sent";
	log_info("TLS report for %s: %s to %s (%s)", log_clean(report->period.domain), verb,
		 log_clean(target), buf_str(&why));
	(void)buf_printf(out, "%.*s: %s to %s (%s)\n", SPAN_ARG(report->period.domain), verb,
			 log_clean(target), buf_str(&why));
	buf_done(&why);
	return outcome;
}

/* Each is tried once; one that has it is enough, so that nobody gets it twice. */
static enum deliver_result deliver_to_all(const struct report *report, struct span uris,
					  struct span gzip, struct buf *out)
{
	struct buf target = BUF_INIT(TLSRPT_URI_MAX);
	bool is_sent = false, is_later = false;
	enum tlsrpt_uri_kind kind;
	size_t count = 0;

	while (count < TLSRPT_URIS_MAX && tlsrpt_next_uri(&uris, &kind, &target)) {
		if (kind == TLSRPT_URI_OTHER)
			continue;
		count++;
		switch (deliver_to(report, kind, buf_span(&target), gzip, out)) {
		case OUTCOME_SENT: is_sent = true; break;
		case OUTCOME_LATER: is_later = true; break;
		case OUTCOME_NEVER: break;
		}
	}
	buf_done(&target);
	return is_later && !is_sent ? DELIVER_LATER : DELIVER_DONE;
}

static enum deliver_result deliver_by_record(struct report *report, struct span record,
					     struct buf *out)
{
	struct buf gzip = BUF_INIT(GZIP_LIMIT);
	enum deliver_result result = DELIVER_DONE;
	struct span uris;

	report->submitter = addr_split(span_of(conf->tlsrpt_sender)).domain;
	buf_init(&report->id, 1024);
	(void)buf_printf(&report->id, "%" PRId64 ".%" PRId64 ".%.*s@%s", report->period.begin_s,
			 report->period.end_s, SPAN_ARG(report->period.domain), conf->myhostname);
	if (!tlsrpt_record_parse(record, &uris) || !compose_report(report, &gzip))
		log_warn("the TLS report for %s cannot be made", log_clean(report->period.domain));
	else
		result = deliver_to_all(report, uris, buf_span(&gzip), out);
	buf_done(&report->id);
	buf_done(&gzip);
	return result;
}

static enum deliver_result report_file(const char *name, struct buf *out)
{
	struct buf wire = BUF_INIT(STORE_BYTES_MAX), question = BUF_INIT(512);
	struct dns_result dns = { 0 };
	struct report report = { .sums = NULL };
	enum deliver_result result = DELIVER_DONE;
	struct span record;
	struct sums sums;

	if (store_read(name, &wire, &report.period, &sums)) {
		report.sums = &sums;
		record_name(report.period.domain, &question);
		switch (dns_lookup(buf_span(&question), DNS_TXT, 0, clock_in_ms(LOOKUP_MS), &dns)) {
		case DNS_FOUND:
			if (record_choose(dns.records, dns.count, &record))
				result = deliver_by_record(&report, record, out);
			break;
		case DNS_TEMPORARY: result = DELIVER_LATER; break;
		/* It wants none any more. */
		case DNS_NO_NAME:
		case DNS_NO_DATA:
		case DNS_INVALID: break;
		}
		sums_done(&sums);
	}
	dns_result_done(&dns);
	buf_done(&question);
	buf_done(&wire);
	return result;
}

enum deliver_result deliver_file(const char *name, struct buf *out)
{
	enum deliver_result result;

	switch (store_claim(name)) {
	case STORE_GONE: return DELIVER_DONE;
	case STORE_BUSY: return DELIVER_LATER;
	case STORE_MINE: break;
	}
	result = report_file(name, out);
	/* Here, not by the parent, which may be gone: nobody gets it twice. */
	if (result == DELIVER_DONE)
		store_remove(name);
	return result;
}
