/* SPDX-License-Identifier: MIT */
/*
 * cyrusauth: the server side of the Cyrus SASL library, for smtpd_sasl_type = cyrus; nothing else in
 * the mail system is linked with it. Its configuration and plug-ins are loaded before the jail,
 * where nothing becomes executable any more; a worker does one dialogue at a time. What it asks in
 * turn (saslauthd, a directory) may hang, and the library has no time limits: a worker in which a
 * call of it does not return ends soon after smtpd has stopped waiting, and another takes its place.
 *
 * Runs as uid auth, not chrooted: databases and saslauthd's socket are outside. Only smtpd can
 * reach it. Responses are those of strangers. Messages: ipc/cyrus.h. Manual: cyrusauth(8).
 */

#include <sasl/sasl.h>
#include <sasl/saslplug.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "ipc/channel.h"
#include "ipc/cyrus.h"
#include "proc/service.h"
#include "sasl/mechanism.h"

enum { ANSWER_MS = 5000, QUESTION_MS = 10 * 1000, GRACE_S = 2 };

/* Whether the library could be started; where not, nobody can log in. */
static bool is_started;

/* Who tries to log in, as far as the library came. */
static struct buf tried = BUF_INIT(CYRUS_USER_MAX);

/* ---- what the library asks of us ---- */

/* Traces, and all above, may have passwords in them. */
static int on_log(void *context, int level, const char *text)
{
	(void)context;
	if (text == NULL || level >= SASL_LOG_TRACE)
		return SASL_OK;
	if (level == SASL_LOG_ERR || level == SASL_LOG_WARN)
		log_warn("SASL: %s", log_clean(span_of(text)));
	else
		log_debug("SASL: %s", log_clean(span_of(text)));
	return SASL_OK;
}

static const char *config_path(void)
{
	return conf->cyrus_sasl_config_path[0] != '\0' ? conf->cyrus_sasl_config_path
						      : "/etc/sasl2:/etc/postfix/sasl";
}

static int on_config_path(void *context, char **ret)
{
	(void)context;
	*ret = strdup(config_path());
	return *ret != NULL ? SASL_OK : SASL_NOMEM;
}

/* Changes nothing: it is told the name before the password is looked at. */
static int on_user(sasl_conn_t *connection, void *context, const char *name, unsigned length,
		   unsigned flags, const char *realm, char *out, unsigned room, unsigned *ret_length)
{
	(void)connection, (void)context, (void)realm;
	if (length >= room)
		return SASL_BUFOVER;
	if ((flags & SASL_CU_AUTHID) != 0)
		(void)buf_set(&tried, (struct span){ name, length });
	memmove(out, name, length);
	out[length] = '\0';
	*ret_length = length;
	return SASL_OK;
}

#define CALLBACK(function) ((int (*)(void))(void (*)(void))(function))

static void prepare(void)
{
	static const sasl_callback_t callbacks[] = {
		{ SASL_CB_LOG, CALLBACK(on_log), NULL },
		{ SASL_CB_GETCONFPATH, CALLBACK(on_config_path), NULL },
		{ SASL_CB_CANON_USER, CALLBACK(on_user), NULL },
		{ SASL_CB_LIST_END, NULL, NULL },
	};
	/* A path is a socket of Dovecot's, and no name of an application. */
	const char *name = strchr(conf->smtpd_sasl_path, '/') == NULL &&
					   strchr(conf->smtpd_sasl_path, ':') == NULL
				   ? conf->smtpd_sasl_path
				   : "smtpd";
	int result = sasl_server_init(callbacks, name);

	is_started = result == SASL_OK;
	if (!is_started)
		log_warn("SASL: cannot start the Cyrus library: %s: nobody can log in: mend %s.conf in %s, "
			 "or its plug-ins, and run \"postern reload\"",
			 sasl_errstring(result, NULL, NULL), name, config_path());
}

/* ---- a time limit for the library ---- */

/*
 * Around each call that may ask others. smtpd waits as long as service_first_answer() says, and tells
 * the client and the log; the worker ends a moment later.
 */
static void begin_call(void)
{
	service_limit(clock_poll_ms(service_first_answer()) / 1000 + GRACE_S);
}

static void end_call(void)
{
	service_limit(0);
}

/* ---- the mechanisms ---- */

static unsigned properties_of(unsigned flags)
{
	return ((flags & SASL_SEC_NOPLAINTEXT) == 0 ? SASL_PLAINTEXT : 0U) |
	       ((flags & SASL_SEC_NOACTIVE) == 0 ? SASL_ACTIVE : 0U) |
	       ((flags & SASL_SEC_NODICTIONARY) == 0 ? SASL_DICTIONARY : 0U) |
	       ((flags & SASL_SEC_NOANONYMOUS) == 0 ? SASL_ANONYMOUS : 0U) |
	       ((flags & SASL_SEC_FORWARD_SECRECY) != 0 ? SASL_FORWARD_SECRECY : 0U) |
	       ((flags & SASL_SEC_MUTUAL_AUTH) != 0 ? SASL_MUTUAL_AUTH : 0U);
}

static void on_plugin(server_sasl_mechanism_t *mechanism, sasl_info_callback_stage_t stage, void *context)
{
	struct sasl_mechanisms *known = context;
	const sasl_server_plug_t *plugin = mechanism != NULL ? mechanism->plug : NULL;

	if (stage == SASL_INFO_LIST_MECH && plugin != NULL && plugin->mech_name != NULL &&
	    sasl_mechanism_find(known, span_of(plugin->mech_name)) == NULL)
		(void)!sasl_mechanisms_add(known, span_of(plugin->mech_name),
					   properties_of((unsigned)plugin->security_flags));
}

/* No layer of the library's: TLS is smtpd's. */
static bool forbid_layers(sasl_conn_t *connection)
{
	sasl_security_properties_t none = { .max_ssf = 0, .security_flags = 0 };

	return sasl_setprop(connection, SASL_SEC_PROPS, &none) == SASL_OK;
}

/* Those that work with this configuration. The names are the library's. */
static void list_names(struct sasl_mechanisms *ret)
{
	struct sasl_mechanisms known = { .count = 0 };
	sasl_conn_t *connection = NULL;
	const char *names = NULL;
	unsigned length = 0;
	int count = 0;

	(void)sasl_server_plugin_info(NULL, on_plugin, &known);
	if (sasl_server_new("smtp", conf->myhostname, NULL, NULL, NULL, NULL, 0, &connection) ==
		    SASL_OK &&
	    forbid_layers(connection) &&
	    sasl_listmech(connection, NULL, "", " ", "", &names, &length, &count) == SASL_OK) {
		struct span rest = { names, length }, name;

		while ((name = span_word(&rest, " ")).n > 0) {
			const struct sasl_mechanism *found = sasl_mechanism_find(&known, name);

			if (found != NULL && ret->count < SASL_MECHANISMS_MAX)
				ret->list[ret->count++] = *found;
		}
	}
	sasl_dispose(&connection);
}

static void tell_mechanisms(struct ipc_channel *channel)
{
	struct clock_mono deadline = clock_in_ms(ANSWER_MS);
	struct sasl_mechanisms all = { .count = 0 };

	if (is_started) {
		begin_call();
		list_names(&all);
		end_call();
		if (all.count == 0)
			log_warn("SASL: no mechanism works: see mech_list and pwcheck_method in the library's "
				 "configuration, and whether its plug-ins are installed");
	}
	for (size_t i = 0; i <= all.count; i++) {
		struct msg_sasl_mech message = {
			.name = i < all.count ? span_of(all.list[i].name) : SPAN(""),
			.properties = i < all.count ? all.list[i].properties : 0,
		};

		if (IPC_SEND(channel, sasl_mech, &message, -1, deadline) != IPC_OK)
			return;
	}
}

/* ---- a login ---- */

/* What says nothing about the password. */
static bool is_temporary(int result)
{
	switch (result) {
	case SASL_FAIL:
	case SASL_NOMEM:
	case SASL_BUFOVER:
	case SASL_TRYAGAIN:
	case SASL_NOTINIT:
	case SASL_UNAVAIL:
	case SASL_NOMECH:
		return true;
	}
	return false;
}

static enum cyrus_verdict verdict_of(int result)
{
	if (result == SASL_OK)
		return CYRUS_SUCCESS;
	if (result == SASL_CONTINUE)
		return CYRUS_CHALLENGE;
	return is_temporary(result) ? CYRUS_TEMPORARY : CYRUS_FAILURE;
}

static bool answer(struct ipc_channel *channel, sasl_conn_t *connection, int result,
		   struct span challenge)
{
	struct msg_sasl_answer message = { .verdict = verdict_of(result),
					   .user = buf_span(&tried) };
	const void *user = NULL;

	if (message.verdict == CYRUS_CHALLENGE)
		message.challenge = challenge;
	else if (message.verdict != CYRUS_SUCCESS)
		message.reason = span_of(sasl_errstring(result, NULL, NULL));
	else if (sasl_getprop(connection, SASL_USERNAME, &user) == SASL_OK && user != NULL)
		message.user = span_of(user);
	else
		message.verdict = CYRUS_TEMPORARY;
	return IPC_SEND(channel, sasl_answer, &message, -1, clock_in_ms(ANSWER_MS)) == IPC_OK &&
	       message.verdict == CYRUS_CHALLENGE;
}

static void set_address(sasl_conn_t *connection, int property, struct span addr, struct span port)
{
	char text[256];

	(void)snprintf(text, sizeof(text), "%.*s;%.*s", SPAN_ARG(addr), SPAN_ARG(port));
	/* A client without an address, or one that the library cannot read, has none. */
	(void)sasl_setprop(connection, property, text);
}

static sasl_conn_t *new_connection(const struct msg_sasl_begin *begin)
{
	char *service_name = mem_dup(begin->service);
	char *realm = mem_dup(begin->realm);
	sasl_ssf_t tls = 128; /* the least that a TLS session may have, in bits */
	sasl_conn_t *connection = NULL;
	int result = sasl_server_new(service_name, conf->myhostname, realm[0] != '\0' ? realm : NULL,
				     NULL, NULL, NULL, 0, &connection);

	free(service_name);
	free(realm);
	if (result != SASL_OK || !forbid_layers(connection)) {
		log_warn("SASL: cannot begin: %s", sasl_errstring(result, NULL, NULL));
		sasl_dispose(&connection);
		return NULL;
	}
	if (begin->is_secured)
		(void)sasl_setprop(connection, SASL_SSF_EXTERNAL, &tls);
	set_address(connection, SASL_IPLOCALPORT, begin->local_addr, begin->local_port);
	set_address(connection, SASL_IPREMOTEPORT, begin->remote_addr, begin->remote_port);
	return connection;
}

/* What came in was a password, or as good as one. */
static void wipe(struct ipc_channel *channel)
{
	if (channel->in.data != NULL)
		explicit_bzero(channel->in.data, channel->in.capacity);
}

static void converse(struct ipc_channel *channel, const struct msg_sasl_begin *begin)
{
	int64_t patience_ms = (int64_t)begin->timeout_s * 1000;
	sasl_conn_t *connection = new_connection(begin);
	char mechanism[SASL_NAME_MAX + 1];
	struct msg_sasl_continue next;
	const char *out = NULL;
	unsigned length = 0;
	int result = SASL_FAIL;

	buf_reset(&tried);
	begin_call();
	(void)snprintf(mechanism, sizeof(mechanism), "%.*s", SPAN_ARG(begin->mechanism));
	if (connection != NULL)
		result = sasl_server_start(connection, mechanism,
					   begin->has_response ? begin->response.p : NULL,
					   begin->has_response ? (unsigned)begin->response.n : 0,
					   &out, &length);
	end_call();
	wipe(channel);
	while (answer(channel, connection, result, (struct span){ out != NULL ? out : "", length }) &&
	       IPC_EXPECT(channel, sasl_continue, &next, clock_in_ms(patience_ms)) == IPC_OK) {
		out = NULL;
		length = 0;
		begin_call();
		result = sasl_server_step(connection, next.response.p, (unsigned)next.response.n, &out,
					  &length);
		end_call();
		wipe(channel);
	}
	wipe(channel);
	sasl_dispose(&connection);
}

static void serve(int fd, const char *client)
{
	struct ipc_channel channel;
	struct msg_sasl_listmech question;
	struct msg_sasl_begin begin;

	(void)client;
	ipc_attach(&channel, fd);
	if (ipc_recv(&channel, clock_in_ms(QUESTION_MS)) == IPC_OK) {
		if (IPC_GET(&channel, sasl_listmech, &question))
			tell_mechanisms(&channel);
		else if (IPC_GET(&channel, sasl_begin, &begin))
			converse(&channel, &begin);
	}
	wipe(&channel);
	ipc_close(&channel);
}

int main(int argc, char **argv)
{
	static const struct service_program program = {
		.name = "cyrusauth",
		.kind = SERVICE_WORKERS,
		.prepare = prepare,
		.serve = serve,
	};

	return service_main(argc, argv, &program);
}
