/* SPDX-License-Identifier: MIT */
/*
 * cleanup: takes messages from smtpd, pickup, bounce, local and verify, brings headers and
 * addresses into shape, applies header and body checks, and writes the queue file. A message
 * is accepted when its file is durable, not before. Manual: cleanup(8).
 *
 * Workers run as uid queue in the queue directory, without network. A connection says by its socket
 * which program calls; the table below says what that program may ask for. Nothing in the content
 * or the addresses is trusted.
 */

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

#include "base/log.h"
#include "cleanup/cleanup.h"
#include "conf/conf.h"
#include "ipc/table_client.h"
#include "proc/service.h"

enum {
	LEAVE_OUT = SUBMIT_NO_ADDRESS_MAPPINGS | SUBMIT_NO_HEADER_BODY_CHECKS | SUBMIT_NO_BCC |
		    SUBMIT_NO_MILTERS
};

static const struct submitter submitters[] = {
	{ "smtpd", LEAVE_OUT | SUBMIT_ASK_AUTHORS,
	  ENVELOPE_SMTPUTF8 | ENVELOPE_REQUIRETLS | ENVELOPE_VERP | ENVELOPE_HOLD |
		  ENVELOPE_DISCARD | ENVELOPE_SHOW_LOGIN,
	  false },
	{ "pickup", LEAVE_OUT,
	  ENVELOPE_SMTPUTF8 | ENVELOPE_REQUIRETLS | ENVELOPE_VERP | ENVELOPE_LOCAL_USER |
		  ENVELOPE_VERIFY_ONLY | ENVELOPE_VERBOSE | ENVELOPE_REQUEUED | ENVELOPE_INTERNAL,
	  true },
	{ "bounce", LEAVE_OUT | SUBMIT_NO_RECEIVED | SUBMIT_INTERNAL,
	  ENVELOPE_SMTPUTF8 | ENVELOPE_REQUIRETLS | ENVELOPE_INTERNAL, false },
	{ "local", LEAVE_OUT | SUBMIT_NO_RECEIVED | SUBMIT_INTERNAL,
	  ENVELOPE_SMTPUTF8 | ENVELOPE_REQUIRETLS | ENVELOPE_VERBOSE, false },
	{ "tlsrpt", SUBMIT_NO_HEADER_BODY_CHECKS | SUBMIT_NO_BCC | SUBMIT_INTERNAL, 0, false },
	{ "verify", LEAVE_OUT | SUBMIT_NO_RECEIVED | SUBMIT_INTERNAL,
	  ENVELOPE_SMTPUTF8 | ENVELOPE_PROBE, false },
};

/* Numbers queue ids of one microsecond; shared by the workers. */
static _Atomic unsigned *id_counter;

static struct message message;

static void prepare(void)
{
	id_counter = mmap(NULL, sizeof(*id_counter), PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (id_counter == MAP_FAILED)
		fatal("mmap: %s", strerror(errno));
	table_client_setup();
	content_prepare();
	head_prepare();
	rewrite_prepare();
	expand_prepare();
	checks_prepare();
}

static void worker_start(void)
{
	message_init(&message);
}

static void make_id(char id[QUEUE_ID_MAX])
{
	queue_id_make(id, conf->enable_long_queue_ids, clock_wall_now(),
		      atomic_fetch_add(id_counter, 1));
}

static const struct submitter *find_submitter(const char *client)
{
	for (size_t i = 0; i < ARRAY_LEN(submitters); i++)
		if (strcmp(submitters[i].client, client) == 0)
			return &submitters[i];
	return NULL;
}

static struct clock_mono ipc_deadline(void)
{
	return clock_in_ms((int64_t)conf->ipc_timeout * 1000);
}

/* Whether the client may say this; a client that says more is broken, and gets nothing. */
static bool is_permitted(const struct submitter *submitter, const struct msg_submit_open *open,
			 const struct msg_envelope *envelope)
{
	if ((open->options & ~submitter->options) == 0 &&
	    (envelope->flags & ~submitter->flags) == 0)
		return true;
	log_warn("%s asks for what it may not have: options %#x, flags %#x", submitter->client,
		 (unsigned)open->options, (unsigned)envelope->flags);
	return false;
}

static bool take_open(struct ipc_channel *channel, const struct submitter *submitter)
{
	struct msg_submit_open open;
	struct msg_envelope envelope;
	struct span rest;

	if (!IPC_GET(channel, submit_open, &open))
		return false;
	/* The envelope lasts as long as the message, the packet it came in does not. */
	rest = arena_span(&message.arena, open.envelope);
	if (!msg_envelope_decode(&rest, &envelope) || rest.n != 0 ||
	    !is_permitted(submitter, &open, &envelope))
		return false;
	message_open(&message, &envelope, open.options);
	return true;
}

/*
 * Between messages a client may be silent for long. When this generation ends meanwhile it hears of it,
 * so that its next message goes to one that knows the tables of today. It may have begun with the
 * message whose id it has: that is still taken.
 */
static bool await_open(struct ipc_channel *channel)
{
	struct msg_submit_ready leaving = { .queue_id = SPAN("") };

	if (!service_wait(channel->fd, CLOCK_NEVER) &&
	    IPC_SEND(channel, submit_ready, &leaving, -1, ipc_deadline()) != IPC_OK)
		return false;
	service_idle();
	return true;
}

/*
 * One message: submit_open, then recipients, then data. False when the client has gone or talks
 * nonsense; what it sent until then is forgotten.
 */
static bool take_message(struct ipc_channel *channel, const struct submitter *submitter)
{
	bool is_open = false, has_data = false;

	for (;;) {
		struct msg_submit_rcpts rcpts;
		struct msg_submit_data data;

		/* How long a remote client may take is smtpd's business: it goes when it gives up.
		 */
		if (!is_open && !await_open(channel))
			return false;
		if (ipc_recv(channel, CLOCK_NEVER) != IPC_OK)
			return false;
		if (!is_open)
			service_busy();

		const char *name = ipc_name(buf_span(&channel->in));

		if (!is_open) {
			is_open = take_open(channel, submitter);
			if (!is_open)
				return false;
		} else if (!has_data && strcmp(name, "submit_rcpts") == 0) {
			if (!IPC_GET(channel, submit_rcpts, &rcpts))
				return false;
			message_add_rcpts(&message, rcpts.rcpts);
		} else {
			if (!IPC_GET(channel, submit_data, &data))
				return false;
			has_data = true;
			message_add_data(&message, data.bytes);
			if (data.is_last)
				return true;
		}
	}
}

static bool answer(struct ipc_channel *channel, const char *next_id)
{
	struct msg_submit_done done = {
		.result = message.result,
		.status = span_of(message.status),
		.reason = buf_span(&message.reason),
		.next_queue_id = span_of(next_id),
	};

	return IPC_SEND(channel, submit_done, &done, -1, ipc_deadline()) == IPC_OK;
}

/* Messages of one client, until it closes or this generation ends. */
static void serve_client(struct ipc_channel *channel, const struct submitter *submitter)
{
	char next_id[QUEUE_ID_MAX];
	struct msg_submit_ready ready;
	bool goes_on;

	make_id(next_id);
	ready.queue_id = span_of(next_id);
	if (IPC_SEND(channel, submit_ready, &ready, -1, ipc_deadline()) != IPC_OK)
		return;
	do {
		memcpy(message.id, next_id, sizeof(message.id));
		message.submitter = submitter;
		goes_on = take_message(channel, submitter);
		if (goes_on) {
			message_end_content(&message);
			goes_on = authors_settle(&message, channel);
		}
		if (goes_on) {
			message_finish(&message);
			make_id(next_id);
			goes_on = answer(channel, next_id);
		}
		message_reset(&message);
	} while (goes_on && !service_is_draining());
}

static void serve(int fd, const char *client)
{
	const struct submitter *submitter = find_submitter(client);
	struct ipc_channel channel;

	ipc_attach(&channel, fd);
	if (submitter != NULL)
		serve_client(&channel, submitter);
	else
		log_warn("unexpected client %s", client);
	ipc_close(&channel);
}

int main(int argc, char **argv)
{
	static const struct service_program program = {
		.name = "cleanup",
		.kind = SERVICE_WORKERS,
		.prepare = prepare,
		.start = commit_prepare,
		.worker_start = worker_start,
		.serve = serve,
	};

	return service_main(argc, argv, &program);
}
