/* SPDX-License-Identifier: MIT */
/* Handing mail to cleanup; see submit.h. Runs in every program that submits mail. */

#include "ipc/submit.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>

#include "conf/conf.h"
#include "proc/service.h"

enum { SUBMIT_ID_BYTES = 32, ENVELOPE_BYTES = 16384, PIECE_BYTES = 128 * 1024 };

/* Between messages cleanup says nothing: whatever is there to read is its end, or that it is near. */
static bool is_alive(const struct ipc_channel *channel)
{
	struct pollfd p = { .fd = channel->fd, .events = POLLIN };

	return ipc_is_open(channel) && poll(&p, 1, 0) == 0;
}

bool submit_connect(struct ipc_channel *channel, const char *service_name, char *queue_id)
{
	struct clock_mono deadline = service_first_answer();
	struct msg_submit_ready ready;
	enum ipc_status status;
	int fd;

	if (is_alive(channel) && *queue_id != '\0')
		return true;
	ipc_close(channel);
	fd = service_connect(service_name, deadline);
	if (fd < 0)
		return false;
	ipc_attach(channel, fd);
	status = IPC_EXPECT(channel, submit_ready, &ready, deadline);
	if (status != IPC_OK || ready.queue_id.n >= SUBMIT_ID_BYTES) {
		ipc_close(channel);
		errno = status == IPC_TIMEOUT ? ETIMEDOUT : ECONNRESET;
		return false;
	}
	(void)snprintf(queue_id, SUBMIT_ID_BYTES, "%.*s", SPAN_ARG(ready.queue_id));
	return true;
}

bool submit_open(struct ipc_channel *channel, const struct submit_start *start,
		  struct clock_mono deadline)
{
	struct buf envelope = BUF_INIT(ENVELOPE_BYTES), rcpt = BUF_INIT(IPC_RECORD_MAX);
	struct msg_submit_open open = { .options = start->options, .size_hint = start->size_hint };
	struct msg_submit_rcpts rcpts = { 0 };
	bool is_sent = msg_envelope_encode(&envelope, start->envelope) &&
		       (start->rcpt == NULL || msg_rcpt_encode(&rcpt, start->rcpt));

	open.envelope = buf_span(&envelope);
	rcpts.rcpts = buf_span(&rcpt);
	is_sent = is_sent && IPC_SEND(channel, submit_open, &open, -1, deadline) == IPC_OK &&
		  (start->rcpt == NULL ||
		   IPC_SEND(channel, submit_rcpts, &rcpts, -1, deadline) == IPC_OK);
	buf_done(&envelope);
	buf_done(&rcpt);
	return is_sent;
}

bool submit_bytes(struct ipc_channel *channel, struct span bytes, bool is_last,
		  struct clock_mono deadline)
{
	do {
		struct msg_submit_data data = { .bytes = span_first(bytes, PIECE_BYTES) };

		bytes = span_from(bytes, data.bytes.n);
		data.is_last = is_last && bytes.n == 0;
		if (IPC_SEND(channel, submit_data, &data, -1, deadline) != IPC_OK)
			return false;
	} while (bytes.n > 0);
	return true;
}

enum ipc_status submit_hear(struct ipc_channel *channel, struct clock_mono deadline)
{
	struct msg_submit_ready leaving;
	enum ipc_status status;

	do {
		status = ipc_recv(channel, deadline);
	} while (status == IPC_OK && IPC_GET(channel, submit_ready, &leaving));
	return status;
}

enum ipc_status submit_answer(struct ipc_channel *channel, struct msg_submit_done *ret_done,
			      struct clock_mono deadline)
{
	enum ipc_status status = submit_hear(channel, deadline);

	if (status == IPC_OK && !IPC_GET(channel, submit_done, ret_done))
		status = IPC_BROKEN;
	return status;
}

uint32_t submit_options(void)
{
	static const struct {
		const char *word;
		uint32_t option;
	} words[] = {
		{ "no_address_mappings", SUBMIT_NO_ADDRESS_MAPPINGS | SUBMIT_NO_BCC },
		{ "no_header_body_checks", SUBMIT_NO_HEADER_BODY_CHECKS },
		{ "no_milters", SUBMIT_NO_MILTERS },
	};
	struct span rest = span_of(conf->receive_override_options), word;
	uint32_t found = 0;

	while ((word = span_word(&rest, ", \t\r\n")).n > 0)
		for (size_t i = 0; i < ARRAY_LEN(words); i++)
			if (span_is_nocase(word, words[i].word))
				found |= words[i].option;
	return found;
}
