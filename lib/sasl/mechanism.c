/* SPDX-License-Identifier: MIT */
/* Names of mechanisms and security options; see mechanism.h. RFC 4422. */

#include "sasl/mechanism.h"

static bool is_name_char(char c)
{
	return ascii_is_alnum(c) || c == '-' || c == '_';
}

bool sasl_mechanisms_add(struct sasl_mechanisms *list, struct span name, unsigned properties)
{
	struct sasl_mechanism *mechanism;

	if (name.n == 0 || name.n > SASL_NAME_MAX || list->count == SASL_MECHANISMS_MAX)
		return false;
	for (size_t i = 0; i < name.n; i++)
		if (!is_name_char(name.p[i]))
			return false;
	mechanism = &list->list[list->count++];
	*mechanism = (struct sasl_mechanism){ .properties = properties };
	for (size_t i = 0; i < name.n; i++)
		mechanism->name[i] = ascii_upper(name.p[i]);
	return true;
}

const struct sasl_mechanism *sasl_mechanism_find(const struct sasl_mechanisms *list,
						 struct span name)
{
	for (size_t i = 0; i < list->count; i++)
		if (span_is_nocase(name, list->list[i].name))
			return &list->list[i];
	return NULL;
}

bool sasl_options_parse(struct span text, struct sasl_options *ret, struct span *ret_unknown)
{
	static const struct {
		const char *word;
		unsigned forbidden, required;
	} words[] = {
		{ "noplaintext", SASL_PLAINTEXT, 0 },
		{ "noactive", SASL_ACTIVE, 0 },
		{ "nodictionary", SASL_DICTIONARY, 0 },
		{ "noanonymous", SASL_ANONYMOUS, 0 },
		{ "forward_secrecy", 0, SASL_FORWARD_SECRECY },
		{ "mutual_auth", 0, SASL_MUTUAL_AUTH },
	};
	struct span word;

	*ret = (struct sasl_options){ 0 };
	while ((word = span_word(&text, ", \t\r\n")).n > 0) {
		bool is_known = false;

		for (size_t i = 0; i < ARRAY_LEN(words); i++) {
			if (!span_is_nocase(word, words[i].word))
				continue;
			ret->forbidden |= words[i].forbidden;
			ret->required |= words[i].required;
			is_known = true;
		}
		if (!is_known) {
			*ret_unknown = word;
			return false;
		}
	}
	return true;
}

bool sasl_is_allowed(const struct sasl_options *options, const struct sasl_mechanism *mechanism)
{
	return (mechanism->properties & options->forbidden) == 0 &&
	       (mechanism->properties & options->required) == options->required;
}
