/* SPDX-License-Identifier: MIT */
#ifndef POSTCONF_POSTCONF_H
#define POSTCONF_POSTCONF_H

/* What the parts of postconf(1) share: the options, and the configuration that was read. */

#include "conf/check.h"

enum postconf_target {
	TARGET_MAIN,
	TARGET_SERVICES, /* -M */
	TARGET_FIELDS, /* -F */
	TARGET_PARAMS, /* -P */
};

enum postconf_action { ACTION_SHOW, ACTION_EDIT, ACTION_COMMENT, ACTION_REMOVE };

struct postconf {
	enum postconf_target target;
	enum postconf_action action;
	bool shows_defaults; /* -d */
	bool shows_set; /* -n */
	bool folds; /* -f */
	bool hides_names; /* -h */
	bool hides_values; /* -H */
	bool expands; /* -x */
	bool is_json; /* -j */
	bool is_quiet; /* -q */
	bool is_elsewhere; /* -c */
	unsigned classes; /* -C: bits 1 << enum conf_class */
	const char *directory;
	char *main_path;
	char *master_path;
	struct conf_dict main; /* main.cf and then -o */
	struct master_cf services;
	struct conf_usage usage;
};

/* print.c */

/*
 * Prints "LABEL = VALUE", or what -h, -H and -f leave of it, the value with single blanks. NULL as
 * label: none.
 */
void print_setting(const struct postconf *pc, const char *label, const char *value);

/* Prints a JSON object of `count` pairs of name and value on a line. */
struct json_pair {
	const char *name;
	const char *value;
};
void print_json(const struct json_pair *pairs, size_t count);

/* Appends a master.cf entry as it is printed and written, with line end; see -f. */
void format_service(struct buf *out, const struct master_service *service, bool folds);

/* Appends program and arguments alone; `column` is how long the line is that they go to. */
void format_command(struct buf *out, const struct master_service *service, size_t column,
		    bool folds);

/* main_show.c */
void show_main(struct postconf *pc, char **names);

/* A value as -x wants it, in a service's scope if that is not NULL; the caller frees it. */
char *display_value(const struct postconf *pc, const struct master_service *service,
		    const char *name, const char *value);

/* main_edit.c: `args` are name=value or names. */
void edit_main(struct postconf *pc, char **args);

/* master_show.c */
void show_services(struct postconf *pc, char **patterns);
void show_fields(struct postconf *pc, char **patterns);
void show_params(struct postconf *pc, char **patterns);

/*
 * A pattern "service/type/rest" whose missing parts, and "*", match anything. `parts` says how
 * many parts there may be, 1 to 3.
 */
struct master_pattern {
	const char *text;
	char *name, *type, *rest;
	char *value; /* behind "=", NULL when there is none */
	int matches;
};

/* Fatal when the text has too many parts or, with `needs_all`, too few. */
void pattern_init(struct master_pattern *pattern, const char *text, int parts, bool needs_all,
		  bool has_value);
void pattern_done(struct master_pattern *pattern);
bool pattern_takes_service(const struct master_pattern *pattern,
			   const struct master_service *service);
bool pattern_takes(const char *part, const char *text);

/* The column of that name; fatal when there is none. */
enum master_column column_find(const char *name);

/* master_edit.c */
void edit_master(struct postconf *pc, char **args);

/* lists.c: -a -A -l -m -T; false for an unknown -T mode. */
void list_table_types(void);
void list_lock_methods(void);
void list_server_sasl(void);
void list_client_sasl(void);
bool list_tls(const char *mode);

/* templates.c: -b and -t. `path` NULL: as bounce_template_file says; "": the built-in ones. */
void show_templates(struct postconf *pc, const char *path, bool expands);

#endif
