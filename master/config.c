/* SPDX-License-Identifier: MIT */
/* Reading and checking the configuration for master; see config.h. Runs as root; the files are
 * the administrator's. */

#include "master/config.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "conf/check.h"
#include "conf/computed.h"
#include "master/absent.h"
#include "queue/foreign.h"
#include "table/maps.h"
#include "conf/template.h"

enum { MESSAGES_MAX = 256 * 1024 };

/* By enum master_type. */
static const char *const type_names[] = { "inet", "unix", "fifo", "unix-dgram", "pass" };

/* Types of service, as programs.def has them. */
enum {
	INET = 1 << MASTER_INET,
	UNIX = 1 << MASTER_UNIX,
	FIFO = 1 << MASTER_FIFO,
	UNIX_DGRAM = 1 << MASTER_UNIX_DGRAM,
	PASS = 1 << MASTER_PASS,
};

static const struct program programs[] = {
#define PROGRAM(program, executable, manner, types) { #program, executable, manner, types },
#define INSIDE(service, program, by)
#define BUILTIN(service, kind, private, wakeup, limit, program)
#include "master/programs.def"
#undef PROGRAM
#undef INSIDE
#undef BUILTIN
};

static const struct {
	const char *name, *by;
} inside[] = {
#define PROGRAM(program, executable, manner, types)
#define INSIDE(service, program, by) { program, by },
#define BUILTIN(service, kind, private, wakeup, limit, program)
#include "master/programs.def"
#undef PROGRAM
#undef INSIDE
#undef BUILTIN
};

static const struct {
	const char *service;
	enum master_type type;
	bool is_private;
	int wakeup, maxproc;
	const char *program;
} builtins[] = {
#define PROGRAM(program, executable, manner, types)
#define INSIDE(service, program, by)
#define BUILTIN(service, kind, private, wakeup, limit, program) \
	{ service, kind, private, wakeup, limit, program },
#include "master/programs.def"
#undef PROGRAM
#undef INSIDE
#undef BUILTIN
};

const struct program *config_program(const char *command)
{
	for (size_t i = 0; i < ARRAY_LEN(programs); i++)
		if (strcmp(programs[i].name, command) == 0)
			return &programs[i];
	return NULL;
}

const char *config_inside(const char *command)
{
	for (size_t i = 0; i < ARRAY_LEN(inside); i++)
		if (strcmp(inside[i].name, command) == 0)
			return inside[i].by;
	return NULL;
}

/* Services that share a setting say the same of it: once is enough. */
static void add_line(struct buf *out, const char *text)
{
	struct span rest = buf_span(out), line;

	while (span_line(&rest, &line))
		if (span_is(line, text))
			return;
	(void)buf_printf(out, "%s\n", text);
}

static void take_problem(void *context, const struct conf_problem *problem)
{
	struct config *config = context;
	struct buf *out = problem->severity == CONF_IS_ERROR     ? &config->errors
			  : problem->severity == CONF_IS_WARNING ? &config->notes
								 : &config->remarks;

	add_line(out, conf_problem_text(problem));
}

struct conf_scope config_scope(const struct config *config, const struct master_service *service)
{
	return (struct conf_scope){
		.overrides = service != NULL ? &service->overrides : NULL,
		.main = &config->main,
		.config_directory = config->directory,
		.process_name = service != NULL ? service->command : "master",
		.service_name = service != NULL ? service->name : "",
	};
}

const char *config_value(const struct config *config, const struct master_service *service,
			 const char *name)
{
	struct conf_scope scope = config_scope(config, service);
	const struct conf_param *param = conf_param_find(span_of(name));
	struct buf value = BUF_INIT(CONF_VALUE_MAX);
	struct conf_report nobody = { 0 };

	if (param == NULL)
		return "";
	if (!conf_evaluate_one(&scope, param, &nobody, &value))
		buf_reset(&value);
	return buf_steal(&value);
}

bool config_is_on(const struct config *config, const struct master_service *service, const char *name)
{
	return span_is_nocase(span_of(config_value(config, service, name)), "yes");
}

void config_expand(const struct config *config, const struct master_service *service, struct span name,
		   struct buf *out)
{
	struct conf_scope scope = config_scope(config, service);
	char error[CONF_EXPAND_ERROR_MAX];
	const char *text = conf_lookup(&scope, name);

	buf_reset(out);
	if (text != NULL && !conf_expand(&scope, span_of(text), out, error, NULL, NULL))
		buf_reset(out);
}

bool config_is_chrooted(const struct master_service *service)
{
	return service->chroot != MASTER_NO;
}

int config_maxproc(const struct config *config, const struct master_service *service)
{
	uint64_t limit;

	if (service->maxproc != MASTER_MAXPROC_DEFAULT)
		return service->maxproc;
	return span_u64(span_of(config_value(config, service, "default_process_limit")), 1000000,
			&limit)
		       ? (int)limit
		       : 100;
}

/* ---- services that Postern needs and the file does not have ---- */

static void add_builtin(struct config *config, size_t index)
{
	const char *service = builtins[index].service;
	char *line = mem_printf("%s %s %s - y %d %d %s\n", service, type_names[builtins[index].type],
				builtins[index].is_private ? "-" : "n", builtins[index].wakeup,
				builtins[index].maxproc, builtins[index].program);
	struct conf_report nobody = { 0 };

	master_cf_parse(&config->services, span_of(line), &nobody);
	/* `line` stays: the service refers to it as its source. */
}

/* Whether logins of some smtpd are checked by the Cyrus SASL library. */
static bool uses_cyrus(const struct config *config)
{
	for (size_t i = 0; i < config->services.count; i++) {
		const struct master_service *service = config->services.services[i];

		if (!service->is_replaced && strcmp(service->command, "smtpd") == 0 &&
		    config_is_on(config, service, "smtpd_sasl_auth_enable") &&
		    strcmp(config_value(config, service, "smtpd_sasl_type"), "cyrus") == 0)
			return true;
	}
	return false;
}

/* cyrusauth runs where it is asked, and is there where Postern was built with its library. */
static bool is_needed(struct config *config, const char *program)
{
	char *path;
	bool is_there;

	if (strcmp(program, "cyrusauth") != 0)
		return true;
	if (!uses_cyrus(config))
		return false;
	path = mem_printf("%s/%s", config->daemon_directory, program);
	is_there = access(path, X_OK) == 0;
	if (!is_there)
		(void)buf_printf(&config->notes,
				 "smtpd_sasl_type = cyrus: there is no %s, so nobody can log in: build Postern where the "
				 "Cyrus SASL library (libsasl2) is, or use the type dovecot or passwd\n",
				 path);
	free(path);
	return is_there;
}

static void add_builtins(struct config *config)
{
	for (size_t i = 0; i < ARRAY_LEN(builtins); i++) {
		bool is_there = false;

		for (size_t j = 0; j < config->services.count; j++)
			is_there |= strcmp(config->services.services[j]->name, builtins[i].service) == 0;
		if (!is_there && is_needed(config, builtins[i].program))
			add_builtin(config, i);
	}
}

/* ---- checks ---- */

/* "inet, unix or pass" */
static void name_types(unsigned types, struct buf *text)
{
	for (size_t i = 0; i < ARRAY_LEN(type_names); i++) {
		if ((types & (1u << i)) == 0)
			continue;
		types &= ~(1u << i);
		(void)buf_printf(text, "%s%s", text->length == 0 ? "" : types == 0 ? " or " : ", ",
				 type_names[i]);
	}
}

/* Whether the program can serve what comes in by a service of that type. */
static void check_type(struct config *config, const struct master_service *service)
{
	struct buf expected = BUF_INIT(100);
	unsigned types = 0;

	for (size_t i = 0; i < ARRAY_LEN(programs); i++)
		if (strcmp(programs[i].name, service->command) == 0)
			types = programs[i].types;
	if ((types & (1u << service->type)) == 0) {
		name_types(types, &expected);
		(void)buf_printf(&config->errors,
				 "%s, line %d: bad service type \"%s\" for the program %s, expected %s\n",
				 service->file, service->line, service->type_name, service->command,
				 buf_str(&expected));
	}
	buf_done(&expected);
}

/* All but inet services stand in the file system under their name. */
static void check_name(struct config *config, const struct master_service *service)
{
	for (size_t i = 0; i < config->services.count; i++) {
		const struct master_service *other = config->services.services[i];

		if (other == service)
			return;
		if (!other->is_replaced && other->type != MASTER_INET &&
		    service->type != MASTER_INET && strcmp(other->name, service->name) == 0)
			(void)buf_printf(&config->errors,
					 "%s, line %d: bad service \"%s\" of type %s, expected another "
					 "name: line %d has it with type %s\n", service->file, service->line,
					 service->name, service->type_name, other->line,
					 other->type_name);
	}
}

static void check_program(struct config *config, const struct master_service *service)
{
	const struct program *program = config_program(service->command);
	const char *by = config_inside(service->command);

	if (by != NULL) {
		(void)buf_printf(&config->remarks, "%s, line %d: %s needs no process here: %s\n",
				 service->file, service->line, service->command, by);
		return;
	}
	if (program == NULL) {
		const char *advice = absent_program(service->command);

		(void)buf_printf(&config->errors, "%s, line %d: unknown program \"%s\": %s\n",
				 service->file, service->line, service->command,
				 advice != NULL ? advice : "expected one of Postern's daemons");
		return;
	}
	check_type(config, service);
	check_name(config, service);

	char *path = mem_printf("%s/%s", config->daemon_directory, program->file);

	if (access(path, X_OK) < 0)
		(void)buf_printf(&config->errors, "%s, line %d: cannot run %s: %s\n", service->file,
				 service->line, path, strerror(errno));
	free(path);
}

struct table_check {
	const struct conf_scope *scope;
	struct conf_report *report;
};

/*
 * A table of a type that nobody has would end the programs that want it: better told now, of the
 * setting itself and not of those that follow from it.
 */
static void check_table(void *context, const struct conf_param *param, struct span value,
			bool is_stressed)
{
	const struct table_check *check = context;
	const struct conf_setting *setting = conf_setting(check->scope, span_of(param->name));
	struct buf error = BUF_INIT(1000);

	(void)is_stressed;
	if (param->type == CONF_TABLE && setting != NULL && !maps_check(value, &error))
		conf_report(check->report, CONF_IS_ERROR, setting->file, setting->line, param->name,
			    "%s: %s", param->name, buf_str(&error));
	buf_done(&error);
}

static void check_values(struct config *config, const struct master_service *service)
{
	struct conf_report report = { take_problem, config, 0 };
	enum conf_program program;
	struct conf_scope scope = config_scope(config, service);
	struct table_check check = { &scope, &report };

	/* Without a service of its own the file is checked as the whole. */
	if (service == NULL) {
		conf_evaluate(&scope, CONF_EVERYBODY, &report, check_table, &check);
	} else if (service->overrides.count > 0 && conf_program_find(service->command, &program)) {
		conf_evaluate(&scope, 1u << program, &report, check_table, &check);
	}
}

static void check_protocols(struct config *config)
{
	const char *value = config_value(config, NULL, "inet_protocols");
	struct span rest = span_of(value), word;
	bool is_good = false;

	while ((word = span_word(&rest, ", \t\r\n")).n > 0) {
		is_good = span_is(word, "all") || span_is(word, "ipv4") || span_is(word, "ipv6");
		if (!is_good)
			break;
	}
	if (!is_good)
		(void)buf_printf(&config->errors,
				 "inet_protocols = %s: expected all, or ipv4 and ipv6 or one of them\n",
				 value);
}

/* Names that have no effect are most often mistyped ones. */
static void check_names(struct config *config)
{
	struct conf_report report = { take_problem, config, 0 };
	struct conf_usage usage;

	conf_usage_init(&usage, &config->main, &config->services);
	conf_usage_report(&usage, true, true, &report);
	conf_usage_done(&usage);
}

/*
 * Daemon programs of another suite do not speak our language; ours are where we were installed.
 * dns is one that only we have.
 */
static char *find_daemons(struct config *config)
{
	const char *set = config_value(config, NULL, "daemon_directory");
	char *own = mem_printf("%s/dns", set);
	bool is_ours = access(own, X_OK) == 0;

	free(own);
	if (is_ours)
		return mem_dup_str(set);
	(void)buf_printf(&config->remarks, "daemon_directory = %s holds no programs of Postern: using %s\n",
			 set, POSTERN_DAEMON_DIRECTORY);
	return mem_dup_str(POSTERN_DAEMON_DIRECTORY);
}

/* The owner of the mail system: a main.cf that came from Postfix names Postfix's. */
static const char *find_owner(struct config *config, const char *parameter)
{
	const char *name = config_value(config, NULL, parameter);
	const struct conf_param *param = conf_param_find(span_of(parameter));

	if (strcmp(name, "postfix") != 0 || param == NULL)
		return name;
	(void)buf_printf(&config->remarks, "%s = %s is the account of another mail system: using %s\n",
			 parameter, name, param->value);
	return param->value;
}

static void look_up_user(struct config *config, const char *parameter, enum jail_uid id)
{
	const char *name = find_owner(config, parameter);
	const struct passwd *user = getpwnam(name);

	if (user == NULL) {
		(void)buf_printf(&config->errors, "%s = %s: there is no such user (\"make users\" or the "
				 "package makes Postern's)\n", parameter, name);
	} else if (user->pw_uid == 0) {
		(void)buf_printf(&config->errors, "%s = %s: this may not be the superuser\n",
				 parameter, name);
	} else {
		config->ids[id].uid = user->pw_uid;
		config->ids[id].gid = user->pw_gid;
	}
}

static void look_up_ids(struct config *config)
{
	const char *group_name = config_value(config, NULL, "setgid_group");
	const struct group *group;

	config->is_single_uid = geteuid() != 0;
	config->setgid_gid = getegid();
	if (config->is_single_uid)
		return;
	look_up_user(config, "mail_owner", JAIL_UID_QUEUE);
	look_up_user(config, "network_owner", JAIL_UID_NET);
	look_up_user(config, "auth_owner", JAIL_UID_AUTH);
	look_up_user(config, "secret_owner", JAIL_UID_SECRET);
	group = getgrnam(group_name);
	if (group != NULL)
		config->setgid_gid = group->gr_gid;
	else
		(void)buf_printf(&config->errors, "setgid_group = %s: there is no such group\n",
				 group_name);
}

static void check_queue_directory(struct config *config)
{
	struct stat st;

	if (stat(config->queue_directory, &st) < 0)
		(void)buf_printf(&config->errors, "queue_directory = %s: %s\n", config->queue_directory,
				 strerror(errno));
	else if (queue_is_foreign(config->queue_directory))
		(void)buf_printf(&config->errors,
				 "queue_directory = %s: holds mail in Postfix's format: let Postfix deliver "
				 "it first, or name another directory\n", config->queue_directory);
	else if (!S_ISDIR(st.st_mode))
		(void)buf_printf(&config->errors, "queue_directory = %s: not a directory\n",
				 config->queue_directory);
}

/* The log service opens its file as root: main.cf may name none that maillog_file_prefixes does not. */
static void check_maillog(struct config *config)
{
	struct span path = span_of(config_value(config, NULL, "maillog_file")), prefix;
	struct span rest = span_of(config_value(config, NULL, "maillog_file_prefixes"));

	if (path.n == 0)
		return;
	while ((prefix = span_word(&rest, ", \t\r\n")).n > 0) {
		while (prefix.n > 0 && prefix.p[prefix.n - 1] == '/')
			prefix.n--;
		if (span_starts(path, prefix) && (path.n == prefix.n || path.p[prefix.n] == '/'))
			return;
	}
	(void)buf_printf(&config->errors,
			 "maillog_file = %.*s: not below one of maillog_file_prefixes\n",
			 SPAN_ARG(path));
}

bool config_read(struct config *config, const char *directory)
{
	struct conf_report report = { take_problem, config, 0 };
	char *main_cf = mem_printf("%s/main.cf", directory);
	char *master_cf = mem_printf("%s/master.cf", directory);

	*config = (struct config){ .directory = directory };
	buf_init(&config->errors, MESSAGES_MAX);
	buf_init(&config->notes, MESSAGES_MAX);
	buf_init(&config->remarks, MESSAGES_MAX);
	conf_computed_reset();
	if (!conf_dict_read(&config->main, main_cf, &report))
		(void)buf_printf(&config->errors, "open %s: %s\n", main_cf, strerror(errno));
	if (!master_cf_read(&config->services, master_cf, &report))
		(void)buf_printf(&config->errors, "open %s: %s\n", master_cf, strerror(errno));
	free(main_cf);
	free(master_cf);
	if (config->errors.length > 0)
		return false;
	config->queue_directory = mem_dup_str(config_value(config, NULL, "queue_directory"));
	config->daemon_directory = find_daemons(config);
	look_up_ids(config);
	check_queue_directory(config);
	check_maillog(config);
	check_values(config, NULL);
	check_protocols(config);
	check_names(config);
	add_builtins(config);
	for (size_t i = 0; i < config->services.count; i++) {
		if (config->services.services[i]->is_replaced)
			continue;
		check_program(config, config->services.services[i]);
		check_values(config, config->services.services[i]);
		absent_check(config, config->services.services[i], &report);
	}
	return config->errors.length == 0;
}

void config_free(struct config *config)
{
	conf_dict_done(&config->main);
	master_cf_done(&config->services);
	buf_done(&config->errors);
	buf_done(&config->notes);
	buf_done(&config->remarks);
	free(config->queue_directory);
	free(config->daemon_directory);
	*config = (struct config){ 0 };
}

struct conf_snapshot *config_snapshot(struct config *config, const struct master_service *service,
				      const char *program_name, struct buf *errors)
{
	struct conf_report report = { take_problem, config, 0 };
	struct conf_scope scope = config_scope(config, service);
	enum conf_program program;

	if (!conf_program_find(program_name, &program)) {
		(void)buf_printf(errors, "%s: unknown program\n", program_name);
		return NULL;
	}
	return conf_snapshot_new(&scope, program, &report);
}

/* ---- what bounce says ---- */

static void set_template(struct conf_snapshot *snapshot, size_t kind, const char *part,
			 struct span value)
{
	char *name = mem_printf("template.%s.%s", conf_template_names[kind], part);

	conf_snapshot_extra_set(snapshot, name, value);
	free(name);
}

/* The administrator's templates; a file that is not there or wrong leaves the built-in ones. */
static void read_templates(struct config *config, const char *path,
			   struct conf_templates *templates)
{
	struct conf_report report = { take_problem, config, 0 };
	struct buf text;

	conf_templates_init(templates);
	if (*path == '\0')
		return;
	if (!conf_file_read(path, &text)) {
		(void)buf_printf(&config->notes, "open %s: %s\n", path, strerror(errno));
		return;
	}
	conf_templates_parse(templates, buf_span(&text), path, &report);
	buf_done(&text);
}

void config_add_templates(struct config *config, const struct master_service *service,
			  struct conf_snapshot *snapshot)
{
	struct conf_scope scope = config_scope(config, service);
	const char *path = config_value(config, service, "bounce_template_file");
	struct conf_templates templates;

	read_templates(config, path, &templates);
	for (size_t i = 0; i < CONF_TEMPLATE_COUNT; i++) {
		const struct conf_template *template = &templates.list[i];
		struct buf text = BUF_INIT(CONF_VALUE_MAX);
		char error[CONF_EXPAND_ERROR_MAX];

		if (!conf_template_expand(template, &scope, &text, error))
			(void)buf_printf(&config->notes, "%s: %s_template: %s\n", path,
					 conf_template_names[i], error);
		set_template(snapshot, i, "charset", span_of(template->charset));
		set_template(snapshot, i, "from", span_of(template->from));
		set_template(snapshot, i, "subject", span_of(template->subject));
		set_template(snapshot, i, "postmaster_subject",
			     span_of(template->postmaster_subject));
		set_template(snapshot, i, "text", buf_span(&text));
		buf_done(&text);
	}
	conf_templates_done(&templates);
}
