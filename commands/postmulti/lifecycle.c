/* SPDX-License-Identifier: MIT */
/*
 * postmulti -e: instances are made, taken in, given names, switched on and off, and removed.
 * All changes of main.cf files are made by postconf, so that comments and order stay. Run as root.
 */

#include "postmulti.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "conf/dict.h"

enum { ARGUMENTS_MAX = 64, LIST_BYTES = 64 * 1024 };

/* Arguments for postconf: "-c DIR -e" and then settings. */
struct edit {
	char *argv[ARGUMENTS_MAX + 1];
	size_t count;
};

static void edit_add(struct edit *edit, char *argument)
{
	if (edit->count == ARGUMENTS_MAX)
		fatal("too many settings");
	edit->argv[edit->count++] = argument;
}

static void edit_begin(struct edit *edit, const char *directory)
{
	*edit = (struct edit){ .count = 0 };
	edit_add(edit, mem_dup_str("-c"));
	edit_add(edit, mem_dup_str(directory));
	edit_add(edit, mem_dup_str("-e"));
}

static void edit_end(struct edit *edit, const struct instance *primary)
{
	if (edit->count > 3 && instance_run_own(primary, "postconf", edit->argv) != 0)
		fatal("cannot change %s/main.cf", edit->argv[1]);
	for (size_t i = 0; i < edit->count; i++)
		free(edit->argv[i]);
}

/* ---- the list in the primary instance ---- */

/* Where a new instance goes: behind all, or in front of the first that is selected. */
static size_t position_of(const struct instances *all, const struct lifecycle *what)
{
	if (what->at_front)
		return 1;
	if (what->selection.group == NULL && what->selection.name == NULL)
		return all->count;
	for (size_t i = 1; i < all->count; i++)
		if (instance_is_selected(all, i, &what->selection))
			return i;
	fatal("no matching instances");
}

/* The directories with `added` put before number `position`, and without number `removed`. */
static char *directories(const struct instances *all, const char *added, size_t position,
			 size_t removed)
{
	struct buf list = BUF_INIT(LIST_BYTES);

	for (size_t i = 1; i <= all->count; i++) {
		if (added != NULL && i == position)
			(void)buf_printf(&list, " %s", added);
		if (i < all->count && i != removed)
			(void)buf_printf(&list, " %s", all->list[i].directory);
	}
	if (buf_is_over(&list))
		fatal("too many instances");
	return mem_printf("multi_instance_directories =%s", buf_str(&list));
}

/* alternate_config_directories without `directory`, and with it at the end if `is_added`. */
static char *alternates(const char *directory, bool is_added)
{
	struct buf list = BUF_INIT(LIST_BYTES);
	struct span rest = span_of(conf->alternate_config_directories), word;

	while ((word = span_word(&rest, ", \t\r\n")).n > 0)
		if (!span_is(word, directory))
			(void)buf_printf(&list, " %.*s", SPAN_ARG(word));
	if (is_added)
		(void)buf_printf(&list, " %s", directory);
	if (buf_is_over(&list))
		fatal("alternate_config_directories is too long");
	return mem_printf("alternate_config_directories =%s", buf_str(&list));
}

static void change_list(const struct instances *all, char *list, char *others)
{
	struct edit edit;

	edit_begin(&edit, all->list[0].directory);
	edit_add(&edit, list);
	edit_add(&edit, others);
	edit_end(&edit, &all->list[0]);
}

/* ---- names ---- */

static void check_names(const struct lifecycle *what)
{
	if (what->new_name != NULL && strcmp(what->new_name, "-") != 0 &&
	    (strncmp(what->new_name, "postfix-", 8) != 0 || strpbrk(what->new_name, "/ ,\t") != NULL))
		fatal("the name of an instance must begin with postfix-: %s", what->new_name);
}

/* -I and -G into the main.cf of the instance; "-" takes the name away. */
static void assign_names(const struct instances *all, const struct lifecycle *what,
			 const char *directory)
{
	struct edit edit;

	edit_begin(&edit, directory);
	if (what->new_name != NULL)
		edit_add(&edit, mem_printf("multi_instance_name = %s",
					   strcmp(what->new_name, "-") == 0 ? "" : what->new_name));
	if (what->new_group != NULL)
		edit_add(&edit, mem_printf("multi_instance_group = %s",
					   strcmp(what->new_group, "-") == 0 ? "" : what->new_group));
	edit_end(&edit, &all->list[0]);
}

/* ---- create, import ---- */

/* The directories of a new instance: as given, else those of the primary one with its own name. */
struct places {
	char *config, *queue, *data;
};

static char *beside(const char *path, const char *name)
{
	const char *slash = strrchr(path, '/');

	return mem_printf("%.*s/%s", slash != NULL ? (int)(slash - path) : 0, path, name);
}

static void set_place(char **place, const struct lifecycle *what, const char *primary,
		      const char *parameter)
{
	if (*place == NULL && what->new_name != NULL && strcmp(what->new_name, "-") != 0)
		*place = beside(primary, what->new_name);
	if (*place == NULL)
		fatal("give %s=/path, or a name (-I) to make it from", parameter);
	if (**place != '/')
		fatal("%s=%s is no absolute name", parameter, *place);
}

static void find_places(const struct instances *all, const struct lifecycle *what,
			struct places *ret)
{
	const struct instance *primary = &all->list[0];

	*ret = (struct places){ NULL, NULL, NULL };
	for (size_t i = 0; what->settings[i] != NULL; i++) {
		struct span name, value;
		const char *wrong =
			conf_assignment_parse(span_of(what->settings[i]), &name, &value);

		if (wrong != NULL)
			fatal("%s: \"%s\"", wrong, what->settings[i]);
		if (span_is(name, "config_directory"))
			ret->config = mem_dup(value);
		else if (span_is(name, "queue_directory"))
			ret->queue = mem_dup(value);
		else if (span_is(name, "data_directory"))
			ret->data = mem_dup(value);
		else
			fatal("only config_directory, queue_directory and data_directory can be "
			      "given: %s",
			      what->settings[i]);
	}
	set_place(&ret->config, what, primary->directory, "config_directory");
}

static bool has_file(const char *directory, const char *name)
{
	char *path = mem_printf("%s/%s", directory, name);
	bool is_there = access(path, F_OK) == 0;

	free(path);
	return is_there;
}

static bool has_configuration(const char *directory)
{
	return has_file(directory, "main.cf") && has_file(directory, "master.cf");
}

static void make_directory(const char *path, mode_t mode)
{
	if (mkdir(path, mode) < 0 && errno != EEXIST)
		fatal("mkdir %s: %s", path, strerror(errno));
}

/* The data of daemons belongs to the mail system. */
static void make_data_directory(const char *path)
{
	const struct passwd *owner = getpwnam(conf->mail_owner);

	make_directory(path, 0700);
	if (owner == NULL || chown(path, owner->pw_uid, owner->pw_gid) < 0)
		fatal("chown %s to %s: %s", path, conf->mail_owner, strerror(errno));
}

static void copy_sample(const char *directory, const char *name)
{
	char *from = mem_printf("%s/%s.proto", conf->meta_directory, name);
	char *to = mem_printf("%s/%s", directory, name);
	struct buf text;
	FILE *file;

	if (!conf_file_read(from, &text))
		fatal("open %s: %s", from, strerror(errno));
	file = fopen(to, "wxe");
	if (file == NULL || fwrite(buf_str(&text), 1, text.length, file) != text.length ||
	    fclose(file) != 0)
		fatal("write %s: %s", to, strerror(errno));
	buf_done(&text);
	free(from);
	free(to);
}

/* What all instances share, where the primary one sets it, and what each has of its own. */
static void write_settings(const struct instances *all, const struct places *places)
{
	static const char *const shared[] = { "command_directory", "daemon_directory",
					      "meta_directory", "mail_owner", "network_owner",
					      "auth_owner", "secret_owner", "setgid_group",
					      "sendmail_path", "mailq_path", "newaliases_path" };
	struct conf_dict main = { 0 };
	struct conf_report nobody = { 0 };
	char *path = mem_printf("%s/main.cf", all->list[0].directory);
	struct edit edit;

	if (!conf_dict_read(&main, path, &nobody))
		fatal("open %s: %s", path, strerror(errno));
	edit_begin(&edit, places->config);
	edit_add(&edit, mem_printf("queue_directory = %s", places->queue));
	edit_add(&edit, mem_printf("data_directory = %s", places->data));
	/* A new instance listens nowhere and takes no local mail until somebody wants it. */
	edit_add(&edit, mem_dup_str("authorized_submit_users ="));
	edit_add(&edit, mem_dup_str("master_service_disable = inet"));
	for (size_t i = 0; i < ARRAY_LEN(shared); i++) {
		const struct conf_setting *setting = conf_dict_get(&main, span_of(shared[i]));

		if (setting != NULL)
			edit_add(&edit, mem_printf("%s = %s", shared[i], setting->value));
	}
	edit_end(&edit, &all->list[0]);
	conf_dict_done(&main);
	free(path);
}

static void make_instance(const struct instances *all, const struct lifecycle *what,
			  struct places *places)
{
	set_place(&places->queue, what, all->list[0].queue_directory, "queue_directory");
	set_place(&places->data, what, all->list[0].data_directory, "data_directory");
	for (size_t i = 0; i < all->count; i++)
		if (strcmp(places->queue, all->list[i].queue_directory) == 0 ||
		    strcmp(places->data, all->list[i].data_directory) == 0)
			fatal("queue_directory or data_directory is that of %s",
			      all->list[i].directory);
	make_directory(places->config, 0755);
	make_directory(places->queue, 0755);
	make_data_directory(places->data);
	copy_sample(places->config, "main.cf");
	write_settings(all, places);
	/* The last file: with it the instance is complete. */
	copy_sample(places->config, "master.cf");
}

static int add_instance(struct instances *all, const struct lifecycle *what)
{
	struct places places;
	char *check[] = { (char[]){ "check" }, NULL };

	find_places(all, what, &places);
	for (size_t i = 0; i < all->count; i++) {
		if (strcmp(places.config, all->list[i].directory) == 0)
			fatal("%s is an instance already", places.config);
		if (what->new_name != NULL && strcmp(what->new_name, all->list[i].name) == 0)
			fatal("the name %s is that of %s", what->new_name, all->list[i].directory);
	}
	if (!has_configuration(places.config)) {
		if (strcmp(what->action, "import") == 0)
			fatal("%s has no main.cf or no master.cf", places.config);
		make_instance(all, what, &places);
	}
	assign_names(all, what, places.config);
	change_list(all, directories(all, places.config, position_of(all, what), 0),
		    alternates(places.config, false));

	struct instance added;

	instance_load(&added, places.config);
	return instance_run_own(&added, "postern", check);
}

/* ---- one instance that is there ---- */

static size_t find_one(const struct instances *all, const struct lifecycle *what)
{
	if (what->selection.name == NULL)
		fatal("-e %s needs an instance: -i name", what->action);
	for (size_t i = 0; i < all->count; i++)
		if (instance_is_selected(all, i, &what->selection))
			return i;
	fatal("no matching instances");
}

static size_t find_secondary(const struct instances *all, const struct lifecycle *what)
{
	size_t index = find_one(all, what);

	if (index == 0)
		fatal("-e %s is not for the primary instance", what->action);
	return index;
}

static void must_be_stopped(const struct instance *instance)
{
	char *path = mem_printf("%s/pid/master.pid", instance->queue_directory);
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0)
		fatal("the instance %s runs: stop it first", instance->directory);
	if (fd >= 0)
		(void)close(fd);
	free(path);
}

static int deport(const struct instances *all, const struct lifecycle *what)
{
	size_t index = find_secondary(all, what);
	const struct instance *instance = &all->list[index];

	must_be_stopped(instance);
	change_list(all, directories(all, NULL, 0, index), alternates(instance->directory, true));
	return 0;
}

/* ---- destroy ---- */

static const char *const queues[] = { "active", "corrupt", "deferred", "hold", "incoming",
				      "maildrop" };

/* Whether there is no file, in it or a level below. */
static bool is_empty(int parent, const char *name, int levels)
{
	DIR *directory = fd_open_dir(parent, name);
	const struct dirent *entry;
	bool has_file = directory == NULL && errno == ENOTDIR;

	while (!has_file && directory != NULL && (entry = readdir(directory)) != NULL)
		if (entry->d_name[0] != '.')
			has_file = levels == 0 || !is_empty(dirfd(directory), entry->d_name, levels - 1);
	if (directory != NULL)
		(void)closedir(directory);
	return !has_file;
}

static void must_be_empty(const struct instance *instance)
{
	for (size_t i = 0; i < ARRAY_LEN(queues); i++) {
		char *path = mem_printf("%s/%s", instance->queue_directory, queues[i]);

		if (!is_empty(AT_FDCWD, path, 1))
			fatal("%s has mail in it", path);
		free(path);
	}
}

/* Removes what is empty; says what stays. */
static void remove_directory(const char *parent, const char *name)
{
	char *path = *name != '\0' ? mem_printf("%s/%s", parent, name) : mem_dup_str(parent);

	if (rmdir(path) < 0 && errno != ENOENT)
		log_warn("%s: %s: please look at it and remove it by hand", path, strerror(errno));
	free(path);
}

/* Those below it that are empty, as the parts of incoming. */
static void remove_directories_below(const char *parent, const char *name)
{
	char *path = mem_printf("%s/%s", parent, name);
	DIR *directory = opendir(path);
	const struct dirent *entry;

	while (directory != NULL && (entry = readdir(directory)) != NULL)
		if (entry->d_name[0] != '.')
			remove_directory(path, entry->d_name);
	if (directory != NULL)
		(void)closedir(directory);
	free(path);
}

/* Sockets and the pid file, which are made anew at each start: no directories within. */
static void remove_files(const char *parent, const char *name)
{
	char *path = mem_printf("%s/%s", parent, name);
	DIR *directory = opendir(path);
	const struct dirent *entry;

	while (directory != NULL && (entry = readdir(directory)) != NULL)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			(void)unlinkat(dirfd(directory), entry->d_name, 0);
	if (directory != NULL)
		(void)closedir(directory);
	free(path);
}

/* Files of each directory in it, and these directories. */
static void remove_within(const char *parent)
{
	DIR *directory = opendir(parent);
	const struct dirent *entry;

	while (directory != NULL && (entry = readdir(directory)) != NULL) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
		    (entry->d_type != DT_DIR && entry->d_type != DT_UNKNOWN))
			continue;
		remove_files(parent, entry->d_name);
		remove_directory(parent, entry->d_name);
	}
	if (directory != NULL)
		(void)closedir(directory);
}

/* jail/PROGRAM/SERVICE: sockets; in some jails a directory of what the program keeps. */
static void remove_jails(const char *queue)
{
	char *path = mem_printf("%s/jail", queue);
	DIR *directory = opendir(path);
	const struct dirent *entry;

	while (directory != NULL && (entry = readdir(directory)) != NULL) {
		char *jail;

		if (entry->d_name[0] == '.')
			continue;
		jail = mem_printf("%s/%s", path, entry->d_name);
		remove_within(jail);
		free(jail);
	}
	if (directory != NULL)
		(void)closedir(directory);
	remove_within(path);
	free(path);
}

static void remove_queue(const char *queue)
{
	static const char *const passing[] = { "pid", "private", "public" };
	static const char *const others[] = { "bounce", "defer", "trace", "flush", "saved", "jail" };

	for (size_t i = 0; i < ARRAY_LEN(passing); i++) {
		remove_files(queue, passing[i]);
		remove_directory(queue, passing[i]);
	}
	remove_jails(queue);
	for (size_t i = 0; i < ARRAY_LEN(queues); i++) {
		remove_directories_below(queue, queues[i]);
		remove_directory(queue, queues[i]);
	}
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		remove_directory(queue, others[i]);
	remove_directory(queue, "");
}

/* What daemons keep in data_directory; they make it anew when it is gone. */
static void remove_data(const char *path)
{
	static const char *const names[] = { "verify_cache", "postscreen_cache",
					     "smtpd_tls_session_cache", "smtp_tls_session_cache",
					     "prng_exch", "master.lock", "bans" };
	DIR *directory = opendir(path);
	const struct dirent *entry;

	while (directory != NULL && (entry = readdir(directory)) != NULL)
		for (size_t i = 0; i < ARRAY_LEN(names); i++)
			if (strncmp(entry->d_name, names[i], strlen(names[i])) == 0)
				(void)unlinkat(dirfd(directory), entry->d_name, 0);
	if (directory != NULL)
		(void)closedir(directory);
	remove_directory(path, "");
}

static int destroy(const struct instances *all, const struct lifecycle *what)
{
	size_t index = find_secondary(all, what);
	const struct instance *instance = &all->list[index];
	char *main_cf = mem_printf("%s/main.cf", instance->directory);
	char *master_cf = mem_printf("%s/master.cf", instance->directory);

	if (instance->is_enabled)
		fatal("the instance %s is enabled: disable it first", instance->directory);
	must_be_stopped(instance);
	must_be_empty(instance);
	change_list(all, directories(all, NULL, 0, index), alternates(instance->directory, false));
	remove_queue(instance->queue_directory);
	remove_data(instance->data_directory);
	(void)unlink(master_cf);
	(void)unlink(main_cf);
	remove_directory(instance->directory, "");
	free(main_cf);
	free(master_cf);
	return 0;
}

/* ---- what -e does ---- */

static void set_one(const struct instances *all, const char *directory, const char *setting)
{
	struct edit edit;

	edit_begin(&edit, directory);
	edit_add(&edit, mem_dup_str(setting));
	edit_end(&edit, &all->list[0]);
}

static int init(const struct instances *all)
{
	struct edit edit;

	edit_begin(&edit, all->list[0].directory);
	edit_add(&edit,
		 mem_dup_str("multi_instance_wrapper = ${command_directory}/postmulti -p --"));
	edit_add(&edit, mem_dup_str("multi_instance_enable = yes"));
	edit_end(&edit, &all->list[0]);
	return 0;
}

int lifecycle_run(struct instances *all, const struct lifecycle *what)
{
	const char *action = what->action;

	if (geteuid() != 0)
		fatal("-e is for the superuser");
	if (strcmp(action, "init") == 0)
		return init(all);
	if (*all->wrapper == '\0' || !all->is_managed)
		fatal("multi_instance_wrapper is empty, or multi_instance_enable is not yes: run "
		      "\"postmulti -e init\" first");
	check_names(what);
	if (strcmp(action, "create") == 0 || strcmp(action, "import") == 0)
		return add_instance(all, what);
	if (*what->settings != NULL)
		fatal("-e %s takes no name=value", action);
	if (strcmp(action, "destroy") == 0)
		return destroy(all, what);
	if (strcmp(action, "deport") == 0)
		return deport(all, what);
	if (strcmp(action, "assign") == 0)
		assign_names(all, what, all->list[find_one(all, what)].directory);
	else if (strcmp(action, "enable") == 0)
		set_one(all, all->list[find_one(all, what)].directory,
			"multi_instance_enable = yes");
	else if (strcmp(action, "disable") == 0)
		set_one(all, all->list[find_secondary(all, what)].directory,
			"multi_instance_enable = no");
	else
		fatal("unknown action: %s", action);
	return 0;
}
