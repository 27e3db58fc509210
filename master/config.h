/* SPDX-License-Identifier: MIT */
#ifndef MASTER_CONFIG_H
#define MASTER_CONFIG_H

/*
 * What master.cf and main.cf want, checked as a whole before anything is changed: a reload with a
 * broken file leaves the running system as it is.
 */

#include "conf/load.h"
#include "conf/master_cf.h"
#include "conf/snapshot.h"
#include "proc/jail.h"

struct config {
	const char *directory;
	struct conf_dict main;
	struct master_cf services;
	struct buf errors; /* one line each; empty when it is good */
	struct buf notes;  /* warnings, one line each */
	struct buf remarks; /* what is different here and needs no action, one line each */

	/* Looked up. */
	char *queue_directory, *daemon_directory;
	struct {
		uid_t uid;
		gid_t gid;
	} ids[JAIL_UIDS];
	gid_t setgid_gid;
	bool is_single_uid; /* not started by root */
};

/* Reads and checks both files. False when config->errors says why it cannot be used. */
MUST_USE bool config_read(struct config *config, const char *directory);
void config_free(struct config *config);

/* Where the parameters of `service` (NULL: main.cf alone) are looked up. Borrows both. */
struct conf_scope config_scope(const struct config *config, const struct master_service *service);

/* A parameter as `service` sees it (NULL: as main.cf has it), expanded; borrowed for good. */
const char *config_value(const struct config *config, const struct master_service *service,
			 const char *name);

/* Whether a parameter that is yes or no is yes. */
bool config_is_on(const struct config *config, const struct master_service *service, const char *name);

/* The value of a parameter, or of a name that the administrator made up; *out is empty when it has none. */
void config_expand(const struct config *config, const struct master_service *service, struct span name,
		   struct buf *out);

/* How many processes the service may have; 0: no limit. */
int config_maxproc(const struct config *config, const struct master_service *service);

/* Whether its process shall be chrooted, by the chroot column. */
bool config_is_chrooted(const struct master_service *service);

/* How the processes of a program start. */
enum program_manner {
	BESIDE,     /* a new generation serves beside the old one, which drains */
	ALONE,      /* two generations at the same time would be wrong */
	ALONE_LAST, /* and it begins with all mail that has waited: once the other services are there */
};

struct program {
	const char *name, *file; /* in daemon_directory */
	enum program_manner manner;
	unsigned types; /* bits by enum master_type: of the services that it can serve */
};

/* The program of that name, or NULL when it is not one of ours. */
const struct program *config_program(const char *command);

/* What does the job of a program of Postfix that has no process here, or NULL. */
const char *config_inside(const char *command);

/*
 * The snapshot of a service for one of its programs (an smtpd service has two, smtpd and its front),
 * to be completed by the caller. NULL with a line in `errors`.
 */
struct conf_snapshot *config_snapshot(struct config *config, const struct master_service *service,
				      const char *program_name, struct buf *errors);

/* Adds the words of notifications, expanded, for the bounce service: "template.failure.text" ... */
void config_add_templates(struct config *config, const struct master_service *service,
			  struct conf_snapshot *snapshot);

#endif
