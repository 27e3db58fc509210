/* SPDX-License-Identifier: MIT */
/* What keysign is to read; see tls_names.h. Runs in master, as root. */

#include "master/tls_names.h"

#include <stdio.h>
#include <string.h>

#include "conf/snapshot.h"
#include "master/config.h"
#include "tls/keysign.h"

static const char *value_of(const struct config *config, const struct master_service *service,
			    const char *prefix, const char *suffix)
{
	char name[64];

	(void)snprintf(name, sizeof(name), "%s_tls_%s", prefix, suffix);
	return config_value(config, service, name);
}

static void add_once(struct buf *lines, const struct buf *text)
{
	struct span rest = buf_span(lines), line;

	if (text->length == 0)
		return;
	while (span_line(&rest, &line))
		if (span_eq(line, buf_span(text)))
			return;
	(void)buf_printf(lines, "%s\n", buf_str(text));
}

/* `prefix` is that of its parameters: smtpd, smtp or lmtp. */
static void add_service(const struct config *config, const struct master_service *service,
			const char *prefix, struct buf *lines)
{
	bool is_server = strcmp(prefix, "smtpd") == 0;
	struct buf text = BUF_INIT(16384);
	struct tls_file_names names = {
		.role = is_server ? TLS_SERVER : TLS_CLIENT,
		.chain_files = value_of(config, service, prefix, "chain_files"),
		.cert = value_of(config, service, prefix, "cert_file"),
		.key = value_of(config, service, prefix, "key_file"),
		.eccert = value_of(config, service, prefix, "eccert_file"),
		.eckey = value_of(config, service, prefix, "eckey_file"),
		.dcert = value_of(config, service, prefix, "dcert_file"),
		.dkey = value_of(config, service, prefix, "dkey_file"),
		.sni_maps = is_server ? config_value(config, service, "tls_server_sni_maps") : "",
	};

	tls_file_names_text(&names, &text);
	add_once(lines, &text);
	buf_done(&text);
}

/* Whether the service speaks TLS at all: files that nobody uses need not be there. */
static bool has_tls(const struct config *config, const struct master_service *service)
{
	const char *level = config_value(config, service, "smtpd_tls_security_level");

	return (*level != '\0' && strcmp(level, "none") != 0) ||
	       (*level == '\0' &&
		(config_is_on(config, service, "smtpd_use_tls") ||
		 config_is_on(config, service, "smtpd_enforce_tls"))) ||
	       config_is_on(config, service, "smtpd_tls_wrappermode");
}

void tls_names_add(const struct config *config, struct conf_snapshot *snapshot)
{
	struct buf lines = BUF_INIT(1024 * 1024);

	for (size_t i = 0; i < config->services.count; i++) {
		const struct master_service *service = config->services.services[i];

		if (service->is_replaced)
			continue;
		if (strcmp(service->command, "smtpd") == 0 && has_tls(config, service))
			add_service(config, service, "smtpd", &lines);
		if (strcmp(service->command, "smtp") == 0 || strcmp(service->command, "lmtp") == 0)
			add_service(config, service, service->command, &lines);
	}
	conf_snapshot_extra_set(snapshot, "tls_files", buf_span(&lines));
	buf_done(&lines);
}
