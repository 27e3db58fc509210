/* SPDX-License-Identifier: MIT */
/* What a service is told at its start, see values.h. Runs in master, as root; what it reads is the
 * administrator's configuration. */

#include "master/values.h"

#include <stdio.h>
#include <string.h>

#include "master/config.h"
#include "master/databases.h"
#include "master/endpoints.h"
#include "master/secret.h"
#include "master/tls_names.h"
#include "master/unit.h"

static const char *const id_names[JAIL_UIDS] = { "queue", "net", "auth", "secret" };

static void set_number(struct conf_snapshot *snapshot, const char *name, long value)
{
	char text[32];

	(void)snprintf(text, sizeof(text), "%ld", value);
	conf_snapshot_extra_set(snapshot, name, span_of(text));
}

static void set_text(struct conf_snapshot *snapshot, const char *name, const char *value)
{
	conf_snapshot_extra_set(snapshot, name, span_of(value));
}

/* "-v" raises the log level; what else is on the command line is the program's, as for pipe(8). */
static void set_arguments(struct conf_snapshot *snapshot, const struct master_service *entry)
{
	struct buf arguments = BUF_INIT(65536);
	int verbose = 0;

	for (int i = 0; i < entry->argc; i++) {
		if (strcmp(entry->argv[i], "-v") == 0)
			verbose++;
		else
			(void)buf_append(&arguments, entry->argv[i], strlen(entry->argv[i]) + 1);
	}
	set_number(snapshot, "verbose", verbose);
	conf_snapshot_extra_set(snapshot, "argv", buf_span(&arguments));
	buf_done(&arguments);
}

/* For qmgr: "smtp 100 local 50 ...", so that it opens no connection that nobody would serve. */
static void set_process_limits(struct conf_snapshot *snapshot, const struct config *config)
{
	struct buf limits = BUF_INIT(65536);

	for (size_t i = 0; i < config->services.count; i++) {
		const struct master_service *entry = config->services.services[i];

		if (!entry->is_replaced)
			(void)buf_printf(&limits, "%s %d ", entry->name,
					 config_maxproc(config, entry));
	}
	conf_snapshot_extra_set(snapshot, "process_limits", buf_span(&limits));
	buf_done(&limits);
}

/* For qmgr, and for connect, which believes what qmgr sealed; the lock on the pid file keeps other masters from it. */
static const char *delivery_secret(const struct config *config)
{
	static char secret[SECRET_SIZE];

	if (*secret == '\0')
		secret_load(config->queue_directory, secret);
	return secret;
}

static void set_ids(struct conf_snapshot *snapshot, const struct config *config)
{
	char key[16];

	for (size_t i = 0; i < JAIL_UIDS; i++) {
		(void)snprintf(key, sizeof(key), "uid.%s", id_names[i]);
		set_number(snapshot, key, (long)config->ids[i].uid);
		(void)snprintf(key, sizeof(key), "gid.%s", id_names[i]);
		set_number(snapshot, key, (long)config->ids[i].gid);
	}
	set_number(snapshot, "gid.setgid", (long)config->setgid_gid);
}

/* What one program alone wants to know. */
static void set_special(struct conf_snapshot *snapshot, struct config *config,
			const struct wanted *wanted)
{
	if (wanted->is_log)
		set_number(snapshot, "log_fd", 6);
	if (strcmp(wanted->program, "bounce") == 0)
		config_add_templates(config, wanted->entry, snapshot);
	if (strcmp(wanted->program, "connect") == 0)
		endpoints_add(config, snapshot);
	if (strcmp(wanted->program, "connect") == 0 || strcmp(wanted->program, "qmgr") == 0)
		set_text(snapshot, "secret", delivery_secret(config));
	if (strcmp(wanted->program, "keysign") == 0)
		tls_names_add(config, snapshot);
	if (strcmp(wanted->program, "proxymap") == 0)
		databases_add(config, snapshot);
	if (strcmp(wanted->program, "qmgr") == 0)
		set_process_limits(snapshot, config);
}

int values_write(const struct wanted *wanted, const char *listeners)
{
	const struct master_service *entry = wanted->entry;
	struct config *config = wanted->config;
	struct conf_snapshot *snapshot = config_snapshot(config, entry, wanted->program,
							 &config->errors);
	int fd;

	if (snapshot == NULL)
		return -1;
	set_text(snapshot, "service", wanted->name);
	set_text(snapshot, "type", wanted->type);
	set_text(snapshot, "program", wanted->program);
	set_text(snapshot, "listeners", listeners);
	set_text(snapshot, "queue_directory", config->queue_directory);
	set_text(snapshot, "config_directory", config->directory);
	set_text(snapshot, "daemon_directory", config->daemon_directory);
	set_text(snapshot, "single_uid", config->is_single_uid ? "yes" : "no");
	set_text(snapshot, "chroot", config_is_chrooted(entry) ? "yes" : "no");
	set_text(snapshot, "wakeup_on_use", wanted->wakeup_on_use ? "yes" : "no");
	set_number(snapshot, "maxproc", config_maxproc(config, entry));
	set_special(snapshot, config, wanted);
	set_ids(snapshot, config);
	set_arguments(snapshot, entry);
	fd = conf_snapshot_write(snapshot);
	conf_snapshot_free(snapshot);
	return fd;
}
