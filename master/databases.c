/* SPDX-License-Identifier: MIT */
/* Which database files the configuration names; see databases.h. Runs in master, as root. */

#include "master/databases.h"

#include "base/words.h"
#include "conf/param.h"
#include "master/config.h"

enum { LIST_MAX = 1024 * 1024 };

static const struct {
	const char *prefix, *suffix;
} types[] = { { "hash:", ".db" }, { "btree:", ".db" }, { "lmdb:", ".lmdb" } };

static void add_file(struct buf *lines, uint32_t programs, struct span path, const char *suffix)
{
	struct buf line = BUF_INIT(8192);
	struct span rest = buf_span(lines), other;

	(void)buf_printf(&line, "%u %.*s%s", programs, SPAN_ARG(path), suffix);
	while (!buf_is_over(&line) && span_line(&rest, &other))
		if (span_eq(other, buf_span(&line)))
			buf_reset(&line);
	if (line.length > 0 && !buf_is_over(&line))
		(void)buf_printf(lines, "%s\n", buf_str(&line));
	buf_done(&line);
}

/* The tables in one value, also those inside of others. */
static void add_value(struct buf *lines, uint32_t programs, struct span value)
{
	struct span proxy = SPAN("proxy:"), word;

	while ((word = span_word(&value, "{}, \t\r\n")).n > 0) {
		while (span_starts(word, proxy))
			word = span_from(word, proxy.n);
		for (size_t i = 0; i < ARRAY_LEN(types); i++) {
			struct span prefix = span_of(types[i].prefix);

			/* Whatever is no absolute path is a mistake that the table's user reports. */
			if (span_starts(word, prefix) && word.n > prefix.n && word.p[prefix.n] == '/')
				add_file(lines, programs, span_from(word, prefix.n), types[i].suffix);
		}
	}
}

/* Settings as they are expanded for `service`. `programs` 0: those whose parameters they are. */
static void add_settings(const struct config *config, const struct master_service *service,
			 const struct conf_dict *dict, uint32_t programs, struct buf *lines)
{
	struct buf value = BUF_INIT(CONF_VALUE_MAX);

	for (size_t i = 0; i < dict->count; i++) {
		const struct conf_setting *setting = dict->settings[i];
		const struct conf_param *param = conf_param_find(span_of(setting->name));
		/* A name of the administrator's own is a restriction class, or stands in other values. */
		uint32_t who = programs != 0   ? programs
			       : param != NULL ? param->who
					       : 1u << CONF_SMTPD;

		if (setting->is_overridden)
			continue;
		config_expand(config, service, span_of(setting->name), &value);
		add_value(lines, who, buf_span(&value));
	}
	buf_done(&value);
}

void databases_add(const struct config *config, struct conf_snapshot *snapshot)
{
	struct buf lines = BUF_INIT(LIST_MAX);

	add_settings(config, NULL, &config->main, 0, &lines);
	for (size_t i = 0; i < config->services.count; i++) {
		const struct master_service *service = config->services.services[i];
		enum conf_program program;

		if (!service->is_replaced && conf_program_find(service->command, &program))
			add_settings(config, service, &service->overrides, 1u << program, &lines);
	}
	conf_snapshot_extra_set(snapshot, "databases", buf_span(&lines));
	buf_done(&lines);
}
