/* SPDX-License-Identifier: MIT */
/* Connecting to cleanup; see submit.h. Runs in every program that submits mail. */

#include "ipc/submit.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>

#include "conf/conf.h"
#include "proc/service.h"

enum { SUBMIT_ID_BYTES = 32 };

/* Between messages cleanup says nothing: whatever is there to read is its end. */
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
