/* SPDX-License-Identifier: MIT */
/* Asking keysign, see keysign.h. Runs in smtpd and smtp, in their jail; believes the answers. */

#include "tls/keysign.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "proc/service.h"

enum { ANSWER_MS = 10000, PAUSE_MS = 100, PAUSES = 20 };

/* ---- the connection ---- */

static bool open_channel(struct keysign *keysign, struct clock_mono deadline)
{
	if (!ipc_is_open(&keysign->channel))
		ipc_attach(&keysign->channel, service_connect("keysign", deadline));
	return ipc_is_open(&keysign->channel);
}

/* One question; twice, since keysign may have been started anew after the last. */
static bool ask(struct keysign *keysign, const struct ipc_desc *question, const void *message,
		const struct ipc_desc *answer, void *ret_answer)
{
	for (int i = 0; i < 2; i++) {
		struct clock_mono deadline = clock_in_ms(ANSWER_MS);

		if (open_channel(keysign, deadline) &&
		    ipc_send(&keysign->channel, question, message, -1, deadline) == IPC_OK &&
		    ipc_expect(&keysign->channel, answer, ret_answer, deadline) == IPC_OK)
			return true;
		ipc_close(&keysign->channel);
		ipc_attach(&keysign->channel, -1);
	}
	return false;
}

static bool sign(void *context, struct span id, enum tls_padding padding, const char *digest,
		 struct span text, struct span *ret_signature)
{
	struct keysign *keysign = context;
	struct msg_sign_request request = { .key = id, .padding = padding,
					    .digest = span_of(digest), .text = text };
	struct msg_sign_answer answer;

	buf_reset(&keysign->error);
	if (!ask(keysign, msg_sign_request_desc(), &request, msg_sign_answer_desc(), &answer)) {
		(void)buf_text(&keysign->error, "the keysign service does not answer");
		return false;
	}
	if (answer.signature.n == 0) {
		(void)buf_printf(&keysign->error, "keysign: %.*s", SPAN_ARG(answer.error));
		return false;
	}
	*ret_signature = answer.signature;
	return true;
}

void keysign_init(struct keysign *keysign)
{
	*keysign = (struct keysign){ .error = BUF_INIT(2000) };
	ipc_attach(&keysign->channel, -1);
	keysign->signer = (struct tls_signer){ sign, keysign };
}

void keysign_rest(struct keysign *keysign)
{
	ipc_rest(&keysign->channel);
}

void keysign_close(struct keysign *keysign)
{
	ipc_close(&keysign->channel);
	ipc_attach(&keysign->channel, -1);
}

/* An answer of a keysign that knows these files: while a reload goes on, another may answer first. */
static bool ask_for_files(struct keysign *keysign, const struct msg_tls_request *request,
			  struct msg_tls_answer *ret)
{
	static const struct timespec pause = { .tv_nsec = PAUSE_MS * 1000000L };

	for (int i = 0; i < PAUSES; i++) {
		if (!ask(keysign, msg_tls_request_desc(), request, msg_tls_answer_desc(), ret))
			return false;
		if (ret->result != KEYSIGN_KNOWS_NOT)
			return true;
		if (i + 1 < PAUSES) {
			keysign_close(keysign);
			(void)nanosleep(&pause, NULL);
		}
	}
	return true;
}

enum keysign_status keysign_fetch(struct keysign *keysign, struct span files,
				  struct span server_name, uint64_t *version,
				  struct tls_chains **ret_chains, struct span *ret_tickets,
				  struct buf *ret_error)
{
	struct msg_tls_request request = { .files = files, .server_name = server_name,
					   .version = *version };
	struct msg_tls_answer answer;

	if (!ask_for_files(keysign, &request, &answer)) {
		(void)buf_text(ret_error, "the keysign service does not answer");
		return KEYSIGN_FAILED;
	}
	*ret_tickets = answer.tickets;
	switch ((enum keysign_result)answer.result) {
	case KEYSIGN_HAS_SAME: return KEYSIGN_SAME;
	case KEYSIGN_HAS_NONE: return KEYSIGN_NONE;
	case KEYSIGN_KNOWS_NOT:
	case KEYSIGN_CANNOT: (void)buf_add(ret_error, answer.error); return KEYSIGN_FAILED;
	case KEYSIGN_GIVES: break;
	}
	*ret_chains = tls_chains_decode(answer.pairs, &keysign->signer);
	if (*ret_chains == NULL) {
		(void)buf_text(ret_error, "keysign gave certificates that OpenSSL cannot read");
		return KEYSIGN_FAILED;
	}
	*version = answer.version;
	return KEYSIGN_FOUND;
}
