/* SPDX-License-Identifier: MIT */
/*
 * Computed defaults (postconf(5)): host and domain name from the kernel, mynetworks from the
 * network interfaces by mynetworks_style, myorigin from the file that it names. Run by master and by
 * the commands; reads nothing else.
 */

#include "conf/computed.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

static char *host_name; /* as gethostname() gives it */
static char *networks;
static char networks_style[16]; /* that `networks` was made for */

void conf_computed_reset(void)
{
	free(host_name);
	free(networks);
	host_name = networks = NULL;
}

static const char *system_host_name(void)
{
	char name[256] = "";

	if (host_name != NULL)
		return host_name;
	if (gethostname(name, sizeof(name) - 1) != 0 || name[0] == '\0')
		memcpy(name, "localhost", sizeof("localhost"));
	for (char *p = name; *p != '\0'; p++)
		*p = ascii_lower(*p);
	return host_name = mem_dup_str(name);
}

/*
 * The expanded value of a setting, or NULL when it is not set, malformed, or refers to itself by
 * way of a computed default.
 */
static const char *expanded_setting(const struct conf_scope *scope, struct span name,
				    char *ret_text, size_t size)
{
	static bool is_busy;
	const struct conf_setting *setting = conf_setting(scope, name);
	struct buf value = BUF_INIT(4096);
	char error[CONF_EXPAND_ERROR_MAX];
	bool is_good;

	if (setting == NULL || is_busy)
		return NULL;
	is_busy = true;
	is_good = conf_expand(scope, span_of(setting->value), &value, error, NULL, NULL) &&
		  buf_span(&value).n < size;
	if (is_good)
		snprintf(ret_text, size, "%s", buf_str(&value));
	is_busy = false;
	buf_done(&value);
	return is_good ? ret_text : NULL;
}

/* A name without a dot gets the domain: that of mydomain if set, else "localdomain". */
static const char *computed_myhostname(const struct conf_scope *scope)
{
	static char name[600];
	char text[300];
	const char *system_name = system_host_name();
	const char *domain;

	if (strchr(system_name, '.') != NULL)
		return system_name;
	domain = expanded_setting(scope, SPAN("mydomain"), text, sizeof(text));
	snprintf(name, sizeof(name), "%s.%s", system_name, domain != NULL ? domain : "localdomain");
	return name;
}

/* What follows the first dot of myhostname. */
static const char *computed_mydomain(const struct conf_scope *scope)
{
	static char text[300];
	const char *name = expanded_setting(scope, SPAN("myhostname"), text, sizeof(text));
	const char *dot = strchr(name != NULL ? name : system_host_name(), '.');

	return dot != NULL && dot[1] != '\0' ? dot + 1 : "localdomain";
}

/*
 * Debian's form of myorigin: "/etc/mailname" stands for the first line of that file. NULL when it
 * is no file name, or the file has no such line: the file name is then refused as a value.
 */
static const char *origin_in_file(const struct conf_scope *scope)
{
	static char name[300];
	struct span line, rest;
	struct buf text;
	char path[300];

	if (expanded_setting(scope, SPAN("myorigin"), path, sizeof(path)) == NULL ||
	    path[0] != '/' || !conf_file_read(path, &text))
		return NULL;
	name[0] = '\0';
	rest = buf_span(&text);
	if (span_line(&rest, &line) && span_trim(line).n < sizeof(name))
		snprintf(name, sizeof(name), "%.*s", SPAN_ARG(span_trim(line)));
	buf_done(&text);
	return name[0] != '\0' ? name : NULL;
}

struct network {
	int family;
	unsigned char address[16];
	int prefix; /* bits */
};

static int mask_bits(const unsigned char *mask, size_t size)
{
	int bits = 0;

	for (size_t i = 0; i < size; i++)
		for (int bit = 7; bit >= 0 && (mask[i] >> bit & 1) != 0; bit--)
			bits++;
	return bits;
}

static int class_bits(unsigned char first)
{
	return first < 128 ? 8 : first < 192 ? 16 : first < 224 ? 24 : 32;
}

/* The network of one interface address; false for families without one. */
static bool interface_network(const struct ifaddrs *interface, const char *style,
			      struct network *ret_network)
{
	const struct sockaddr *address = interface->ifa_addr, *mask = interface->ifa_netmask;
	size_t size;

	if (address == NULL || mask == NULL || (interface->ifa_flags & IFF_UP) == 0)
		return false;
	*ret_network = (struct network){ .family = address->sa_family };
	if (address->sa_family == AF_INET) {
		struct sockaddr_in in, in_mask;

		memcpy(&in, address, sizeof(in));
		memcpy(&in_mask, mask, sizeof(in_mask));
		size = 4;
		memcpy(ret_network->address, &in.sin_addr, size);
		ret_network->prefix =
			mask_bits((const unsigned char *)&in_mask.sin_addr, size);
	} else if (address->sa_family == AF_INET6) {
		struct sockaddr_in6 in6, in6_mask;

		memcpy(&in6, address, sizeof(in6));
		memcpy(&in6_mask, mask, sizeof(in6_mask));
		size = 16;
		memcpy(ret_network->address, &in6.sin6_addr, size);
		ret_network->prefix =
			mask_bits((const unsigned char *)&in6_mask.sin6_addr, size);
	} else {
		return false;
	}
	if (strcmp(style, "host") == 0 && ret_network->address[0] != 127)
		ret_network->prefix = (int)size * 8;
	else if (strcmp(style, "class") == 0 && size == 4)
		ret_network->prefix = class_bits(ret_network->address[0]);
	for (int bit = ret_network->prefix; bit < (int)size * 8; bit++)
		ret_network->address[bit / 8] &= (unsigned char)~(0x80 >> bit % 8);
	return true;
}

static void append_network(struct buf *list, const struct network *network)
{
	char text[INET6_ADDRSTRLEN], entry[INET6_ADDRSTRLEN + 8];
	struct span rest = buf_span(list), word;

	if (inet_ntop(network->family, network->address, text, sizeof(text)) == NULL)
		return;
	if (network->family == AF_INET6)
		snprintf(entry, sizeof(entry), "[%s]/%d", text, network->prefix);
	else
		snprintf(entry, sizeof(entry), "%s/%d", text, network->prefix);
	while ((word = span_word(&rest, " ")).n > 0)
		if (span_is(word, entry))
			return;
	if (buf_span(list).n > 0)
		buf_char(list, ' ');
	buf_text(list, entry);
}

static bool wants_family(const char *protocols, int family)
{
	return strstr(protocols, "all") != NULL ||
	       strstr(protocols, family == AF_INET ? "ipv4" : "ipv6") != NULL;
}

static char *find_networks(const char *style, const char *protocols)
{
	static const int families[] = { AF_INET, AF_INET6 };
	struct buf list = BUF_INIT(65536);
	struct ifaddrs *interfaces;

	if (getifaddrs(&interfaces) != 0)
		return mem_dup_str("127.0.0.0/8");
	for (size_t i = 0; i < ARRAY_LEN(families); i++)
		for (struct ifaddrs *at = interfaces; at != NULL; at = at->ifa_next) {
			struct network network;

			if (interface_network(at, style, &network) &&
			    network.family == families[i] && wants_family(protocols, families[i]))
				append_network(&list, &network);
		}
	freeifaddrs(interfaces);
	return buf_steal(&list);
}

static const char *computed_mynetworks(const struct conf_scope *scope)
{
	static bool is_busy;
	struct buf style = BUF_INIT(4096), protocols = BUF_INIT(4096);
	char error[CONF_EXPAND_ERROR_MAX];

	if (is_busy) /* mynetworks_style = $mynetworks, or the like */
		return "";
	is_busy = true;
	if (!conf_expand(scope, SPAN("$mynetworks_style"), &style, error, NULL, NULL) ||
	    !conf_expand(scope, SPAN("$inet_protocols"), &protocols, error, NULL, NULL) ||
	    buf_span(&style).n >= sizeof(networks_style))
		buf_set(&style, SPAN("host"));
	if (networks == NULL || strcmp(networks_style, buf_str(&style)) != 0) {
		free(networks);
		networks = find_networks(buf_str(&style), buf_str(&protocols));
		snprintf(networks_style, sizeof(networks_style), "%s", buf_str(&style));
	}
	is_busy = false;
	buf_done(&style);
	buf_done(&protocols);
	return networks;
}

static const char *computed_process_id(void)
{
	static char text[16];

	snprintf(text, sizeof(text), "%d", (int)getpid());
	return text;
}

const char *conf_computed(const struct conf_scope *scope, struct span name, bool is_set)
{
	if (span_is(name, "config_directory"))
		return scope->config_directory;
	if (span_is(name, "process_name"))
		return scope->process_name != NULL ? scope->process_name : "";
	if (span_is(name, "service_name"))
		return scope->service_name != NULL ? scope->service_name : "";
	if (span_is(name, "process_id"))
		return computed_process_id();
	if (span_is(name, "stress") && scope->is_stressed)
		return "yes";
	if (is_set)
		return span_is(name, "myorigin") ? origin_in_file(scope) : NULL;
	if (span_is(name, "myhostname"))
		return computed_myhostname(scope);
	if (span_is(name, "mydomain"))
		return computed_mydomain(scope);
	if (span_is(name, "mynetworks"))
		return computed_mynetworks(scope);
	return NULL;
}
