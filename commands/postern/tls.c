/* SPDX-License-Identifier: MIT */
/*
 * postern tls: keys and certificates of the SMTP server, and TLS where there are none so far, as
 * postfix-tls(1). Run by the administrator. main.cf is changed by postconf(1); nothing that is in
 * use changes before a reload.
 */

#include "commands/postern/tls.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "commands/postern/postern.h"
#include "conf/conf.h"

enum { WORDS_MAX = 16 };

/* What the options of a subcommand said, and the words behind them. */
struct request {
	const char *algorithm, *bits, *random_source, *key, *host;
	char **names;
	size_t count;
};

/* postconf's exit status is 0; with `ret_has_output` that is read instead of shown. */
static bool run_postconf(const char *const *words, bool *ret_has_output)
{
	char *path = mem_printf("%s/postconf", conf->command_directory), byte;
	char *argv[WORDS_MAX + 1] = { path };
	posix_spawn_file_actions_t actions;
	int fds[2] = { -1, -1 }, status = -1, error;
	pid_t pid;

	for (size_t i = 0; words[i] != NULL && i + 1 < WORDS_MAX; i++)
		argv[i + 1] = mem_dup_str(words[i]);
	(void)posix_spawn_file_actions_init(&actions);
	if (ret_has_output != NULL) {
		if (pipe2(fds, O_CLOEXEC) < 0)
			fatal("pipe: %s", strerror(errno));
		(void)posix_spawn_file_actions_adddup2(&actions, fds[1], STDOUT_FILENO);
	}
	error = posix_spawn(&pid, path, &actions, NULL, argv, environ);
	(void)posix_spawn_file_actions_destroy(&actions);
	if (error != 0)
		fatal("cannot run %s: %s", path, strerror(error));
	if (ret_has_output != NULL) {
		(void)close(fds[1]);
		*ret_has_output = false;
		while (read(fds[0], &byte, 1) > 0)
			*ret_has_output |= byte != '\n';
		(void)close(fds[0]);
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			fatal("wait: %s", strerror(errno));
	for (size_t i = 0; argv[i] != NULL; i++)
		free(argv[i]);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* Whether main.cf gives none of the settings a value. */
static bool all_default(const char *const *words)
{
	bool has_output;

	return run_postconf(words, &has_output) && !has_output;
}

static bool is_client_default(void)
{
	return all_default((const char *const[]){
		"-nh", "smtp_use_tls", "smtp_enforce_tls", "smtp_tls_enforce_peername",
		"smtp_tls_security_level", "smtp_tls_cert_file", "smtp_tls_eccert_file",
		"smtp_tls_chain_files", NULL });
}

static bool is_server_default(void)
{
	return all_default((const char *const[]){
		"-nh", "smtpd_use_tls", "smtpd_enforce_tls", "smtpd_tls_security_level",
		"smtpd_tls_cert_file", "smtpd_tls_eccert_file", "smtpd_tls_chain_files", NULL });
}

/* A file name relative to the configuration directory, for the caller to free. */
static char *file_path(const char *name)
{
	return *name == '/' ? mem_dup_str(name) : mem_printf("%s/%s", conf_directory(NULL), name);
}

/* The key file that an argument means: a name of an algorithm is the one in use. NULL: none. */
static char *key_path(const char *argument)
{
	const char *name = argument;

	if (strcmp(argument, "rsa") == 0)
		name = conf->smtpd_tls_key_file;
	else if (strcmp(argument, "ecdsa") == 0)
		name = conf->smtpd_tls_eckey_file;
	return *name == '\0' || strcmp(name, "none") == 0 ? NULL : file_path(name);
}

static bool set_random_source(const struct request *request)
{
	char *setting;
	bool is_set;

	if (request->random_source == NULL)
		return true;
	setting = mem_printf("tls_random_source = %s", request->random_source);
	is_set = run_postconf((const char *const[]){ "-e", setting, NULL }, NULL);
	free(setting);
	return is_set;
}

static bool deploy(const char *cert, const char *key_file, bool is_enable)
{
	char *cert_path = file_path(cert), *path = file_path(key_file);
	EVP_PKEY *key = tls_read_key(path);
	bool is_good = key != NULL && tls_check_cert(cert_path, key);
	const char *ec = is_good && EVP_PKEY_get_base_id(key) == EVP_PKEY_EC ? "ec" : "";
	char *set_cert = mem_printf("smtpd_tls_%scert_file = %s", ec, cert_path);
	char *set_key = mem_printf("smtpd_tls_%skey_file = %s", ec, path);

	if (is_good && *conf->smtpd_tls_chain_files != '\0') {
		log_error("smtpd_tls_chain_files is set, and is used instead of what would be set");
		is_good = false;
	}
	/* Without is_enable the list ends before the settings of the server. */
	if (is_good)
		is_good = run_postconf((const char *const[]){
			"-e", set_cert, set_key, is_enable ? "smtpd_tls_security_level = may" : NULL,
			"smtpd_tls_loglevel = 1", "smtpd_tls_received_header = yes", NULL }, NULL);
	if (is_good)
		log_info("%sthe new key and certificate count after \"postern reload\"",
			 is_enable ? "the SMTP server offers TLS, and " : "");
	EVP_PKEY_free(key);
	free(cert_path);
	free(path);
	free(set_cert);
	free(set_key);
	return is_good;
}

/* The key in use with that algorithm, else a new one. */
static EVP_PKEY *choose_key(const struct request *request, bool keeps_key)
{
	char *path = keeps_key ? key_path(request->algorithm) : NULL;
	EVP_PKEY *key = path != NULL ? tls_read_key(path) :
				       tls_make_key(request->algorithm, request->bits);

	free(path);
	return key;
}

/*
 * Names for a key and a certificate that are not there yet: the time of day is in them, and a number
 * when that second has had its pair. Who makes another in between makes tls_write_key() fail.
 */
static void choose_names(const char *prefix, char **ret_key, char **ret_cert)
{
	char stamp[32];
	time_t now = time(NULL);
	struct tm parts;

	if (gmtime_r(&now, &parts) == NULL ||
	    strftime(stamp, sizeof(stamp), "%Y%m%d-%H%M%S", &parts) == 0)
		fatal("the time of day is no date");
	for (int number = 1;; number++) {
		char suffix[16] = "";

		if (number > 1)
			(void)snprintf(suffix, sizeof(suffix), "-%d", number);
		*ret_key = mem_printf("%s/%skey-%s%s.pem", conf_directory(NULL), prefix, stamp, suffix);
		*ret_cert = mem_printf("%s/%scert-%s%s.pem", conf_directory(NULL), prefix, stamp, suffix);
		if (access(*ret_key, F_OK) < 0 && access(*ret_cert, F_OK) < 0)
			return;
		free(*ret_key);
		free(*ret_cert);
	}
}

static bool new_server(const struct request *request, bool keeps_key, bool is_enable)
{
	EVP_PKEY *key = choose_key(request, keeps_key);
	char *key_name, *cert_name;
	bool is_good = key != NULL;

	choose_names(strcmp(request->algorithm, "ecdsa") == 0 ? "ec" : "", &key_name, &cert_name);
	is_good = is_good && tls_write_key(key_name, key) &&
		  tls_write_cert(cert_name, key, request->names, request->count);
	EVP_PKEY_free(key);
	if (is_good && is_enable)
		is_good = deploy(cert_name, key_name, true);
	else if (is_good)
		(void)printf("New key and self-signed certificate. To use them:\n"
			     "    postern tls deploy-server-cert %s %s\n"
			     "For a certificate by an authority, put its chain into %s first:\n"
			     "    postern tls output-server-csr -k %s\n"
			     "With DANE, publish the key and let old records expire first:\n"
			     "    postern tls output-server-tlsa %s\n",
			     cert_name, key_name, cert_name, key_name, key_name);
	free(key_name);
	free(cert_name);
	return is_good;
}

static bool do_new_key(struct request *request)
{
	return new_server(request, false, false);
}

static bool do_new_cert(struct request *request)
{
	return new_server(request, true, false);
}

static bool do_deploy(struct request *request)
{
	if (request->count == 2)
		return deploy(request->names[0], request->names[1], false);
	log_error("usage: postern tls deploy-server-cert CERTIFICATE_FILE KEY_FILE");
	return false;
}

static bool do_enable_server(struct request *request)
{
	if (is_server_default())
		return set_random_source(request) && new_server(request, false, true);
	(void)printf("TLS of the SMTP server is configured already; nothing was changed. Usual are:\n"
		     "    smtpd_tls_security_level = may\n"
		     "    smtpd_tls_loglevel = 1\n");
	return true;
}

static bool do_enable_client(struct request *request)
{
	if (is_client_default()) {
		if (!set_random_source(request) ||
		    !run_postconf((const char *const[]){ "-e", "smtp_tls_security_level = may",
							 "smtp_tls_loglevel = 1", NULL }, NULL))
			return false;
		log_info("the SMTP client uses TLS after \"postern reload\"");
		return true;
	}
	(void)printf("TLS of the SMTP client is configured already; nothing was changed. Usual are:\n"
		     "    smtp_tls_security_level = may\n"
		     "    smtp_tls_loglevel = 1\n");
	return true;
}

static bool do_csr(struct request *request)
{
	char *path = key_path(request->key);
	EVP_PKEY *key = path != NULL ? tls_read_key(path) : NULL;
	bool is_good = key != NULL && tls_print_csr(key, request->names, request->count);

	if (path == NULL)
		log_error("no %s key is in use", request->key);
	EVP_PKEY_free(key);
	free(path);
	return is_good;
}

static bool do_tlsa(struct request *request)
{
	bool is_good = true;

	for (size_t i = 0; i < request->count; i++) {
		char *path = key_path(request->names[i]);
		EVP_PKEY *key = path != NULL ? tls_read_key(path) : NULL;

		if (path != NULL)
			is_good = key != NULL && tls_print_tlsa(key, request->host) && is_good;
		EVP_PKEY_free(key);
		free(path);
	}
	return is_good;
}

static bool do_client_default(struct request *request)
{
	return request->count == 0 && is_client_default();
}

static bool do_server_default(struct request *request)
{
	return request->count == 0 && is_server_default();
}

/* What the words are when there are none. */
enum words { WORDS_NONE, WORDS_HOSTS, WORDS_FILES, WORDS_KEYS };

static const struct {
	const char *name, *options;
	enum words words;
	bool (*run)(struct request *request);
} verbs[] = {
	{ "new-server-key", "+a:b:", WORDS_HOSTS, do_new_key },
	{ "new-server-cert", "+a:b:", WORDS_HOSTS, do_new_cert },
	{ "deploy-server-cert", "+", WORDS_FILES, do_deploy },
	{ "enable-server", "+r:a:b:", WORDS_HOSTS, do_enable_server },
	{ "enable-client", "+r:", WORDS_NONE, do_enable_client },
	{ "output-server-csr", "+k:", WORDS_HOSTS, do_csr },
	{ "output-server-tlsa", "+h:", WORDS_KEYS, do_tlsa },
	{ "all-default-client", "+", WORDS_NONE, do_client_default },
	{ "all-default-server", "+", WORDS_NONE, do_server_default },
};

/* False: an option that the subcommand does not have. */
static bool parse_options(int argc, char **argv, const char *options, struct request *request)
{
	int option;

	optind = 0; /* glibc: from the beginning */
	while ((option = getopt(argc, argv, options)) >= 0) {
		switch (option) {
		case 'a': request->algorithm = optarg; break;
		case 'b': request->bits = optarg; break;
		case 'r': request->random_source = optarg; break;
		case 'k': request->key = optarg; break;
		case 'h': request->host = optarg; break;
		default: return false;
		}
	}
	request->names = argv + optind;
	request->count = (size_t)(argc - optind);
	return true;
}

/* A name is put into certificates and records as it is: letters, digits, and what joins them. */
static bool are_hosts(char *const *names, size_t count)
{
	static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_*";

	for (size_t i = 0; i < count; i++) {
		if (*names[i] == '\0' || names[i][strspn(names[i], good)] != '\0') {
			log_error("not a host name: %s", log_clean_str(names[i]));
			return false;
		}
	}
	return true;
}

static int run_verb(size_t verb, int argc, char **argv)
{
	char *hosts[] = { mem_dup_str(conf->myhostname) };
	char *keys[] = { (char[]){ "rsa" }, (char[]){ "ecdsa" } };
	struct request request = { .algorithm = "rsa", .key = "rsa", .host = conf->myhostname };
	enum words words = verbs[verb].words;
	int code = 1;

	if (parse_options(argc, argv, verbs[verb].options, &request)) {
		if (words == WORDS_HOSTS && request.count == 0) {
			request.names = hosts;
			request.count = ARRAY_LEN(hosts);
		} else if (words == WORDS_KEYS && request.count == 0) {
			request.names = keys;
			request.count = ARRAY_LEN(keys);
		}
		if (words == WORDS_NONE && request.count > 0)
			log_error("%s takes no arguments", verbs[verb].name);
		else if (words != WORDS_HOSTS || are_hosts(request.names, request.count))
			code = verbs[verb].run(&request) ? 0 : 1;
	}
	free(hosts[0]);
	return code;
}

int do_tls(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < ARRAY_LEN(verbs); i++)
		if (strcmp(argv[1], verbs[i].name) == 0)
			return run_verb(i, argc - 1, argv + 1);
	(void)fprintf(stderr, "usage: postern tls");
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
		(void)fprintf(stderr, "%s %s", i > 0 ? " |" : "", verbs[i].name);
	(void)fprintf(stderr, "\n");
	return 1;
}
