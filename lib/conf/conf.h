/* SPDX-License-Identifier: MIT */
#ifndef CONF_CONF_H
#define CONF_CONF_H

/*
 * The parameters of main.cf as a running program sees them: one field for each row of
 * params.def, named as the parameter. `conf` is set once at start, by conf_load_command() in a
 * command and by conf_snapshot_load() (conf/snapshot.h) in a daemon, and is const from then on.
 *
 * A text field is never NULL. A value of a parameter that the program may not see (column WHO of
 * params.def) is the built-in default. "lmtp" is the smtp program: there each smtp_ field has
 * the value of its lmtp_ twin.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

/* A whole number of seconds, whatever unit the setting was written in. */
typedef int seconds;

/* The programs that params.def and the snapshots know. COMMAND stands for all commands. */
#define CONF_PROGRAMS(X) \
	X(COMMAND, "command") X(MASTER, "master") X(SMTPD, "smtpd") X(FRONT, "postscreen") \
	X(CLEANUP, "cleanup") X(QMGR, "qmgr") X(SMTP, "smtp") X(LOCAL, "local") \
	X(VIRTUAL, "virtual") X(PIPE, "pipe") X(BOUNCE, "bounce") X(PICKUP, "pickup") \
	X(SHOWQ, "showq") X(FLUSH, "flush") X(VERIFY, "verify") X(ERROR, "error") \
	X(DISCARD, "discard") X(PROXYMAP, "proxymap") X(CONNECT, "connect") X(SPAWN, "spawn") \
	X(ANVIL, "anvil") X(KEYSIGN, "keysign") X(TLSMGR, "tlsmgr") X(DNS, "dns") \
	X(MAILAUTH, "mailauth") X(POLICYFETCH, "policyfetch") X(POSTLOG, "postlogd") \
	X(PASSAUTH, "passauth") X(TLSRPT, "tlsrpt") X(CYRUSAUTH, "cyrusauth")

enum conf_program {
#define CONF_PROGRAM_ENUM(symbol, name) CONF_##symbol,
	CONF_PROGRAMS(CONF_PROGRAM_ENUM)
#undef CONF_PROGRAM_ENUM
	CONF_PROGRAM_COUNT
};

/*
 * The program of that name ("postscreen" is the front, "lmtp" the smtp program, "defer" and
 * "trace" are bounce); false when there is none.
 */
MUST_USE bool conf_program_find(const char *name, enum conf_program *ret_program);

/* Field types by parameter type. */
typedef seconds conf_field_TIME_S;
typedef seconds conf_field_TIME_H;
typedef seconds conf_field_TIME_D;
typedef int64_t conf_field_SIZE;
typedef int conf_field_COUNT;
typedef bool conf_field_BOOL;
typedef const char *conf_field_TEXT;
typedef const char *conf_field_RAW;
typedef const char *conf_field_TABLE;

struct conf {
#define NAMED(type, field, name, value, min, max, who, text) conf_field_##type field;
#define CHOICE(field, value, words, who, text) const char *field;
#define SMTP_LMTP(type, field, twin, value, twin_value, min, max, text) \
	conf_field_##type field; \
	conf_field_##type twin;
#define SMTP_LMTP_CHOICE(field, twin, value, twin_value, words, text) \
	const char *field; \
	const char *twin;
#include "conf/params.def"
};

extern const struct conf *conf;

/*
 * Most values that depend on $stress are read by workers whose state of stress comes with each
 * client. This points `conf` at the values for stress=yes or stress=; cheap, no allocation.
 */
void conf_set_stress(bool is_stressed);

/*
 * Per-transport settings: the value of TRANSPORT_SUFFIX ("slow_destination_rate_delay"), else
 * of the parameter that is the default for that suffix. `suffix` must be one of the PATTERN rows
 * of params.def (anything else is a bug and panics).
 */
int conf_transport_count(const char *transport, const char *suffix);
seconds conf_transport_time(const char *transport, const char *suffix);
const char *conf_transport_text(const char *transport, const char *suffix);

/*
 * A name that the administrator made up, expanded: a restriction class, the settings of an old
 * style database client. NULL when it is not set or not given to this program.
 */
const char *conf_user(const char *name);

/*
 * For commands: reads main.cf from `directory` (option -c), else from $MAIL_CONFIG, else from
 * /etc/postern, sets `conf` and MAIL_CONFIG in the environment. Problems that leave a value
 * unusable are fatal; others are logged as warnings. A set-gid program run by another user than
 * root takes only a directory that the main.cf in the default place lists in
 * alternate_config_directories or multi_instance_directories; anything else is fatal.
 */
void conf_load_command(const char *directory);

/*
 * For commands with an option -o: "name=value" counts in place of what main.cf says, from the next
 * conf_load_command() on. What is no such setting is fatal.
 */
void conf_override(const char *setting);

/* The configuration directory that conf_load_command() would use, after the same check. */
const char *conf_directory(const char *directory);

#endif
