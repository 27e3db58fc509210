/* SPDX-License-Identifier: MIT */
/* What the configuration names as servers and next hops; see endpoints.h. Runs in master. */

#include "master/endpoints.h"

#include <stdlib.h>
#include <string.h>

#include "net/endpoint.h"

/* Adds a server to the list, in which each stands once, followed by a blank. */
static void add_endpoint(struct span text, struct buf *list)
{
	struct span rest = buf_span(list), word;

	while ((word = span_word(&rest, " ")).n > 0)
		if (span_eq(word, text))
			return;
	(void)buf_printf(list, "%.*s ", SPAN_ARG(text));
}

/* The words of a value that name a server. */
static void add_servers(struct span value, struct buf *list)
{
	struct span word;

	while ((word = span_word(&value, "{}, \t\r\n")).n > 0)
		if (span_starts(word, SPAN("inet:")) || span_starts(word, SPAN("unix:")))
			add_endpoint(word, list);
}

/* The servers that restrictions of one smtpd service name, also within its restriction classes. */
static void add_servers_of(const struct config *config, const struct master_service *service,
			   struct buf *list)
{
	static const char *const parameters[] = {
		"smtpd_client_restrictions",    "smtpd_helo_restrictions",
		"smtpd_sender_restrictions",    "smtpd_relay_restrictions",
		"smtpd_recipient_restrictions", "smtpd_data_restrictions",
		"smtpd_end_of_data_restrictions", "smtpd_etrn_restrictions",
	};
	struct buf value = BUF_INIT(CONF_VALUE_MAX), classes = BUF_INIT(CONF_VALUE_MAX);
	struct span rest, class;

	for (size_t i = 0; i < ARRAY_LEN(parameters); i++) {
		config_expand(config, service, span_of(parameters[i]), &value);
		add_servers(buf_span(&value), list);
	}
	config_expand(config, service, SPAN("smtpd_restriction_classes"), &classes);
	rest = buf_span(&classes);
	while ((class = span_word(&rest, ", \t\r\n")).n > 0) {
		config_expand(config, service, class, &value);
		add_servers(buf_span(&value), list);
	}
	buf_done(&value);
	buf_done(&classes);
}

/* The authentication server of one smtpd service. */
static void add_sasl_server(const struct config *config, const struct master_service *service,
			    struct buf *list)
{
	struct buf value = BUF_INIT(CONF_VALUE_MAX);
	char *text;

	config_expand(config, service, SPAN("smtpd_sasl_type"), &value);
	if (span_is(buf_span(&value), "dovecot")) {
		config_expand(config, service, SPAN("smtpd_sasl_path"), &value);
		text = endpoint_of_path(buf_str(&value));
		add_endpoint(span_of(text), list);
		free(text);
	}
	buf_done(&value);
}

/*
 * The sockets that lmtp gets as next hop: "lmtp:unix:PATH" in a parameter, or in a table that is
 * written out there (inline:{...}). For what other tables name, qmgr vouches (net/endpoint.h).
 */
static void add_sockets_of(const struct config *config, const struct master_service *service,
			   struct buf *list)
{
	static const char *const parameters[] = {
		"default_transport", "relay_transport", "local_transport", "virtual_transport",
		"mailbox_transport", "fallback_transport", "best_mx_transport", "content_filter",
		"transport_maps", "mailbox_transport_maps", "fallback_transport_maps",
		"sender_dependent_default_transport_maps",
	};
	struct buf value = BUF_INIT(CONF_VALUE_MAX);
	struct span rest, word;
	const char *found;

	for (size_t i = 0; i < ARRAY_LEN(parameters); i++) {
		config_expand(config, service, span_of(parameters[i]), &value);
		rest = buf_span(&value);
		while ((word = span_word(&rest, "{}=, \t\r\n")).n > 0) {
			found = memmem(word.p, word.n, ":unix:", 6);
			if (found != NULL)
				word = span_from(word, (size_t)(found - word.p) + 1);
			if (span_starts(word, SPAN("unix:")))
				add_endpoint(word, list);
		}
	}
	buf_done(&value);
}

/* The collector of TLS results that the site has. */
static void add_collector(const struct config *config, struct buf *list)
{
	struct buf value = BUF_INIT(CONF_VALUE_MAX), text = BUF_INIT(CONF_VALUE_MAX);

	config_expand(config, NULL, SPAN("smtp_tlsrpt_socket_name"), &value);
	(void)buf_printf(&text, ENDPOINT_DGRAM "%s", buf_str(&value));
	if (value.length > 0)
		add_endpoint(buf_span(&text), list);
	buf_done(&value);
	buf_done(&text);
}

void endpoints_add(const struct config *config, struct conf_snapshot *snapshot)
{
	struct buf list = BUF_INIT(CONF_VALUE_MAX);

	add_collector(config, &list);
	add_sockets_of(config, NULL, &list);
	for (size_t i = 0; i < config->services.count; i++) {
		const struct master_service *service = config->services.services[i];

		if (service->is_replaced)
			continue;
		if (strcmp(service->command, "smtpd") == 0) {
			add_servers_of(config, service, &list);
			add_sasl_server(config, service, &list);
		}
		if (service->overrides.count > 0)
			add_sockets_of(config, service, &list);
	}
	conf_snapshot_extra_set(snapshot, "endpoints", buf_span(&list));
	buf_done(&list);
}

static bool names_best_mx(const struct config *config, const struct master_service *client,
			  const char *name)
{
	struct buf value = BUF_INIT(CONF_VALUE_MAX);
	struct span rest;
	bool is_named;

	config_expand(config, client, SPAN("best_mx_transport"), &value);
	rest = buf_span(&value);
	is_named = span_is(span_word(&rest, ":"), name);
	buf_done(&value);
	return is_named;
}

bool endpoints_is_best_mx(const struct config *config, const struct master_service *service)
{
	bool is_named = names_best_mx(config, NULL, service->name);

	for (size_t i = 0; i < config->services.count && !is_named; i++) {
		const struct master_service *client = config->services.services[i];

		is_named = client->overrides.count > 0 && strcmp(client->command, "smtp") == 0 &&
			   names_best_mx(config, client, service->name);
	}
	return is_named;
}
