/* SPDX-License-Identifier: MIT */
/*
 * report_post: delivers a TLS report by HTTPS (RFC 8460 5.4). Runs in workers of policyfetch; the URL is
 * from a stranger's TXT record, and what its server says counts for nothing but its code.
 */

#include <errno.h>

#include "services/policyfetch/https.h"
#include "services/policyfetch/policyfetch.h"

enum { POST_MS = 120 * 1000, ANSWER_BYTES_MAX = 64 * 1024 };

/* Whether the same may go another time: the server's trouble, or ours with it. */
static bool is_temporary(const struct https_answer *answer)
{
	switch (answer->status) {
	case HTTPS_ANSWERED: return answer->code >= 500 || answer->code == 408 || answer->code == 429;
	case HTTPS_BAD_URL:
	case HTTPS_TOO_LARGE: return false;
	case HTTPS_NO_HOST:
	case HTTPS_NO_SERVER:
	case HTTPS_CERTIFICATE:
	case HTTPS_TIMEOUT: break;
	}
	return true;
}

bool report_handle(struct ipc_channel *channel, const void *request)
{
	const struct msg_report_post *post = request;
	struct https_request https = { .url = post->url,
				       .content_type = "application/tlsrpt+gzip",
				       .body = post->body,
				       .limit_bytes = ANSWER_BYTES_MAX,
				       .deadline = clock_in_ms(POST_MS) };
	struct buf text = BUF_INIT(512);
	struct https_answer answer;
	struct msg_status status = { .code = 0 };
	bool is_sent;

	https_do(&https, &answer);
	if (answer.status == HTTPS_ANSWERED)
		(void)buf_printf(&text, "HTTP status %d", answer.code);
	else
		(void)buf_text(&text, answer.reason);
	if (answer.status != HTTPS_ANSWERED || answer.code / 100 != 2)
		status.code = is_temporary(&answer) ? EAGAIN : EINVAL;
	status.text = buf_span(&text);
	is_sent = IPC_SEND(channel, status, &status, -1, clock_in_ms(ANSWER_MS)) == IPC_OK;
	https_answer_done(&answer);
	buf_done(&text);
	return is_sent;
}
