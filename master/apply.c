/* SPDX-License-Identifier: MIT */
/* From the configuration to units and their sockets; see apply.h. Runs in master, as root. */

#include "master/apply.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "master/config.h"
#include "master/endpoints.h"
#include "master/unit.h"
#include "proc/command.h"
#include "proc/service.h"

/* The group that a program has once it is jailed; its directory is for that group alone. */
static gid_t client_group(const struct config *config, const char *program)
{
	char *worker = mem_printf("%s_worker", program);
	const struct jail *jail = jail_find(worker);

	if (jail == NULL)
		jail = jail_find(program);
	free(worker);
	return config->ids[jail != NULL && jail->uid != JAIL_UID_ROOT ? jail->uid : JAIL_UID_QUEUE].gid;
}

/* The directory where a program finds the sockets of others, and nothing else. */
static bool make_own_root(const struct config *config, const char *program, struct buf *error)
{
	char *directory = mem_printf("%s/jail/%s", config->queue_directory, program);
	bool is_made = (mkdir(directory, 0750) == 0 || errno == EEXIST) &&
		       (config->is_single_uid ||
			(chmod(directory, 0750) == 0 &&
			 chown(directory, 0, client_group(config, program)) == 0));

	if (!is_made)
		(void)buf_printf(error, "%s: %s", directory, strerror(errno));
	free(directory);
	return is_made;
}

static bool want_client_socket(struct config *config, struct wanted *wanted, const char *client,
			       struct buf *error)
{
	char *path = mem_printf("%s/jail/%s/%s", config->queue_directory, client, wanted->name);
	bool is_made = make_own_root(config, client, error) &&
		       sockets_want_unix(&wanted->sockets, SOCKET_UNIX, path, 0666, (gid_t)-1,
					 client, error);

	free(path);
	return is_made;
}

static bool want_client_sockets(struct config *config, struct wanted *wanted, struct buf *error)
{
	static const struct {
		const char *client, *server;
		bool is_for_best_mx;
	} permits[] = {
#define PERMIT(from, to) { #from, #to, false },
#define PERMIT_BEST_MX(from, to) { #from, #to, true },
#include "ipc/permit.def"
#undef PERMIT
#undef PERMIT_BEST_MX
	};

	for (size_t i = 0; i < ARRAY_LEN(permits); i++)
		if (strcmp(permits[i].server, wanted->program) == 0 &&
		    (!permits[i].is_for_best_mx || endpoints_is_best_mx(config, wanted->entry)) &&
		    !want_client_socket(config, wanted, permits[i].client, error))
			return false;
	return true;
}

/* The listeners of an inet service are its front's, if it has one. */
static bool want_inet_sockets(struct config *config, struct wanted *wanted,
			      const struct master_service *entry, struct buf *error)
{
	return sockets_want_inet(&wanted->sockets, entry->name,
				 config_value(config, entry, "inet_interfaces"),
				 config_value(config, entry, "inet_protocols"),
				 config_value(config, entry, "known_tcp_ports"), error);
}

/* Those whose peers are not ours: they expect a stream, wherever the socket stands. */
static bool speaks_to_others(const struct master_service *entry)
{
	return strcmp(entry->command, "spawn") == 0 || strcmp(entry->command, "smtpd") == 0;
}

/* Those that postern(1) asks, which is root's: not even queue commands may. */
static bool listens_to_root(const struct master_service *entry)
{
	return strcmp(entry->command, "anvil") == 0 || strcmp(entry->command, "tlsrpt") == 0 ||
	       strcmp(entry->name, "oauth") == 0;
}

/* Where commands ask a service whose name in public/ is a FIFO; see command_connect(). */
static bool want_socket_beside(struct config *config, struct wanted *wanted, const char *path,
			       struct buf *error)
{
	char *beside = mem_printf("%s" COMMAND_BESIDE_FIFO, path);
	bool is_made = sockets_want_unix(&wanted->sockets, SOCKET_UNIX, beside, 0666,
					 config->setgid_gid, SERVICE_PUBLIC, error);

	free(beside);
	return is_made;
}

/* What stands at `path` in the queue directory, in private/ or public/. */
static bool want_at_path(struct config *config, struct wanted *wanted, const char *path,
			 bool is_public, struct buf *error)
{
	struct socket_set *set = &wanted->sockets;

	switch (wanted->entry->type) {
	case MASTER_UNIX_DGRAM:
		return sockets_want_unix(set, SOCKET_UNIX_DGRAM, path, 0622, config->setgid_gid,
					 SERVICE_DGRAM, error);
	case MASTER_FIFO:
		return sockets_want_unix(set, SOCKET_FIFO, path, 0622, config->setgid_gid,
					 SERVICE_FIFO, error) &&
		       (!is_public || want_socket_beside(config, wanted, path, error));
	case MASTER_PASS:
		return sockets_want_unix(set, SOCKET_UNIX_STREAM, path, 0666, (gid_t)-1,
					 SERVICE_PASS, error);
	case MASTER_UNIX:
		if (speaks_to_others(wanted->entry))
			return sockets_want_unix(set, SOCKET_UNIX_STREAM, path, 0666, (gid_t)-1,
						 SERVICE_PUBLIC, error);
		if (listens_to_root(wanted->entry))
			return sockets_want_unix(set, SOCKET_UNIX, path, 0600, (gid_t)-1,
						 SERVICE_PUBLIC, error);
		return !is_public || sockets_want_unix(set, SOCKET_UNIX, path, 0666,
						       config->setgid_gid, SERVICE_PUBLIC, error);
	case MASTER_INET:
		break;
	}
	return true;
}

/* The sockets of any service but one of type inet. */
static bool want_local_sockets(struct config *config, struct wanted *wanted, struct buf *error)
{
	const struct master_service *entry = wanted->entry;
	bool is_public = entry->private_service == MASTER_NO;
	char *path = mem_printf("%s/%s/%s", config->queue_directory,
				is_public ? "public" : "private", entry->name);
	bool is_made = want_at_path(config, wanted, path, is_public, error);

	free(path);
	return is_made &&
	       (speaks_to_others(entry) || want_client_sockets(config, wanted, error));
}

static void replace(char **text, const char *value)
{
	free(*text);
	*text = mem_dup_str(value);
}

/* Every inet service of smtpd has a front, without a word in master.cf; see smtpd/front. */
static bool has_front(const struct master_service *entry)
{
	return entry->type == MASTER_INET && strcmp(entry->command, "smtpd") == 0;
}

/* The unit `type` of this line of master.cf, running `program` from `file`; its sockets are not
 * wanted yet. */
static struct unit *want_unit(struct config *config, struct master_service *entry, const char *type,
			      const char *program, const char *file)
{
	struct unit *unit = unit_find(entry->name, type);
	struct wanted *wanted;

	if (unit == NULL)
		unit = unit_new(entry->name, type);
	unit->is_retired = false;
	unit->is_wanted = true;
	wanted = &unit->wanted;
	replace(&wanted->program, program);
	free(wanted->path);
	wanted->path = mem_printf("%s/%s", config->daemon_directory, file);
	wanted->is_log = strcmp(program, "postlogd") == 0;
	wanted->config = config;
	wanted->entry = entry;
	sockets_mark(&wanted->sockets);
	return unit;
}

static bool want_front(struct config *config, struct master_service *entry, struct buf *error)
{
	struct wanted *wanted = &want_unit(config, entry, "front", "front", "front")->wanted;

	if (!make_own_root(config, wanted->program, error) ||
	    !want_inet_sockets(config, wanted, entry, error))
		return false;
	sockets_sweep(&wanted->sockets);
	return true;
}

static bool want_service(struct config *config, struct master_service *entry, struct buf *error)
{
	struct wanted *wanted;
	const struct program *program = config_program(entry->command);
	bool is_made;

	if (program == NULL)
		return true; /* inside */
	if (has_front(entry) && !want_front(config, entry, error))
		return false;
	wanted = &want_unit(config, entry, entry->type_name, entry->command, program->file)->wanted;
	wanted->is_alone = program->manner != BESIDE || entry->maxproc == 1;
	wanted->is_last = program->manner == ALONE_LAST;
	wanted->wakeup_seconds = entry->wakeup_seconds;
	wanted->wakeup_on_use = entry->wakeup_on_use;
	if (!make_own_root(config, wanted->program, error))
		return false;
	if (has_front(entry))
		is_made = want_client_sockets(config, wanted, error);
	else if (entry->type == MASTER_INET)
		is_made = want_inet_sockets(config, wanted, entry, error);
	else
		is_made = want_local_sockets(config, wanted, error);
	if (is_made)
		sockets_sweep(&wanted->sockets);
	return is_made;
}

static bool is_disabled(const struct config *config, const struct master_service *entry)
{
	struct span rest = span_of(config_value(config, NULL, "master_service_disable")), word;
	char *name = mem_printf("%s.%s", entry->name, entry->type_name);
	bool is_off = false;

	while ((word = span_word(&rest, ", \t\r\n")).n > 0)
		is_off |= span_is(word, name) || span_is(word, entry->type_name);
	free(name);
	return is_off;
}

/* Wants the log service alone, or all the others. */
static bool want_services(struct config *config, bool is_log, struct buf *error)
{
	for (size_t i = 0; i < config->services.count; i++) {
		struct master_service *entry = config->services.services[i];

		if ((strcmp(entry->command, "postlogd") == 0) == is_log && !entry->is_replaced &&
		    !is_disabled(config, entry) && !want_service(config, entry, error))
			return false;
	}
	return true;
}

bool config_apply(struct config *config, struct buf *error)
{
	uint64_t window = 0;

	(void)!span_u64(span_of(config_value(config, NULL, "tcp_windowsize")), INT32_MAX, &window);
	sockets_window((int)window);
	LIST_FOR(item, units_all())
		CONTAINER_OF(item, struct unit, link)->is_wanted = false;
	if (!want_services(config, true, error) || !want_services(config, false, error))
		return false;
	LIST_FOR_SAFE(old, units_all())
		if (!CONTAINER_OF(old, struct unit, link)->is_wanted)
			unit_retire(CONTAINER_OF(old, struct unit, link));
	LIST_FOR_SAFE(each, units_all()) {
		struct unit *unit = CONTAINER_OF(each, struct unit, link);

		unit_forgive(unit);
		unit_renew(unit);
	}
	return true;
}
