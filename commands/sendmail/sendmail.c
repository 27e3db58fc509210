/* SPDX-License-Identifier: MIT */
/*
 * sendmail: the command that programs send mail with; mailq and newaliases are links to it. Runs as
 * its caller and has no privilege: postdrop, postqueue and postalias do the work. Manual:
 * sendmail(1).
 */

#include <errno.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/log.h"
#include "commands/sendmail/sendmail.h"
#include "conf/conf.h"
#include "mail/dsn.h"
#include "mail/verp.h"
#include "queue/envelope.h"

enum mode {
	MODE_DELIVER,
	MODE_QUEUE,
	MODE_ALIASES,
	MODE_SMTP,
	MODE_DAEMON,
	MODE_FLUSH,
	MODE_NOTHING
};

static struct {
	enum mode mode;
	const char *directory;  /* -C */
	const char *sender;     /* -f, or NULL */
	const char *full_name;  /* -F, or NULL */
	const char *flush_id;   /* -qI */
	const char *flush_site; /* -qR */
	bool takes_recipients;
	bool keeps_dots;
	unsigned flags; /* enum envelope_flag */
	unsigned notify;
	enum dsn_ret ret;
	const char *envid;
	const char *verp_delimiters; /* -XV; empty: those of main.cf */
	const char *body_type;
	int verbosity;
	char login[128];
} options = { .body_type = "" };

void fail(int status, const char *format, ...)
{
	char text[LOG_LINE_MAX];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	(void)fprintf(stderr, "sendmail: fatal: %s\n", text);
	exit(status);
}

static void on_fatal(void)
{
	_exit(EX_CONFIG);
}

/* ---- options ---- */

static bool parse_yes(struct span value)
{
	return span_is_nocase(value, "yes");
}

/* -O name=value: the two that mean something, all others are sendmail's. */
static void set_option(const char *text)
{
	static const struct {
		const char *name;
		unsigned flag;
	} names[] = { { "smtputf8", ENVELOPE_SMTPUTF8 }, { "requiretls", ENVELOPE_REQUIRETLS } };
	struct span name, value;

	if (!span_cut(span_of(text), '=', &name, &value))
		return;
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (span_is_nocase(span_trim(name), names[i].name))
			options.flags = parse_yes(span_trim(value))
						? options.flags | names[i].flag
						: options.flags & ~names[i].flag;
}

static void set_mode(enum mode mode)
{
	if (options.mode != MODE_DELIVER && options.mode != mode)
		fail(EX_USAGE, "the options ask for two different things");
	options.mode = mode;
}

/* -bX */
static void set_task(const char *letter)
{
	switch (*letter) {
	case 'd':
	case 'l': set_mode(MODE_DAEMON); return;
	case 'h':
	case 'H': set_mode(MODE_NOTHING); return;
	case 'i': set_mode(MODE_ALIASES); return;
	case 'm': return;
	case 'p': set_mode(MODE_QUEUE); return;
	case 's': set_mode(MODE_SMTP); return;
	case 'v': options.flags |= ENVELOPE_VERIFY_ONLY; return;
	}
	fail(EX_USAGE, "unsupported: -b%c", *letter);
}

/* -q, -qINTERVAL, -qIid, -qRsite */
static void set_flush(const char *text)
{
	if (*text == 'I')
		options.flush_id = text + 1;
	else if (*text == 'R')
		options.flush_site = text + 1;
	else if (*text != '\0' && !ascii_is_digit(*text))
		fail(EX_USAGE, "-q%c is not implemented", *text);
	/* With -bd an interval is all there is to it: the queue manager has its own. */
	if (options.mode != MODE_DAEMON)
		set_mode(MODE_FLUSH);
}

/* -oX[value] */
static void set_old_option(const char *text)
{
	if (*text == 'A')
		return; /* alias_database is the administrator's */
	if (*text == 'i')
		options.keeps_dots = true;
}

static void set_body_type(const char *text)
{
	if (strcasecmp(text, "8BITMIME") == 0)
		options.body_type = "8bit";
	else if (strcasecmp(text, "7BIT") == 0)
		options.body_type = "7bit";
	else
		fail(EX_USAGE, "-B option needs 8BITMIME or 7BIT");
}

static void set_directory(const char *path)
{
	size_t length = strlen(path), name = strlen("/main.cf");

	/* Either the directory or the file in it. */
	if (length > name && strcmp(path + length - name, "/main.cf") == 0)
		options.directory = mem_dup((struct span){ path, length - name });
	else
		options.directory = path;
}

static void set_dsn(char option, const char *text)
{
	bool is_good = true;

	if (option == 'N')
		is_good = dsn_notify_parse(span_of(text), &options.notify);
	else
		is_good = dsn_ret_parse(span_of(text), &options.ret);
	if (!is_good)
		log_warn("bad -%c option value -- ignored", option);
}

/* -XV, -XVxy: what the delimiters may be is known when main.cf was read. */
static void set_verp(const char *delimiters)
{
	options.flags |= ENVELOPE_VERP;
	options.verp_delimiters = delimiters;
}

/*
 * -V ENVID, which long ago was VERP: two characters in the same word, or another option behind it,
 * still mean that.
 */
static void set_envid(char **argv, const char *text)
{
	bool is_attached = text != argv[optind - 1];

	if (!is_attached && *text == '-') {
		optind--;
		text = "";
	} else if (!is_attached || strlen(text) != 2) {
		options.envid = text;
		return;
	}
	log_warn("option -V%s is deprecated; specify -XV%s instead", text, text);
	set_verp(text);
}

NORETURN static void usage(void)
{
	(void)fprintf(stderr, "sendmail: fatal: usage: sendmail [options] [recipients]\n");
	exit(EX_USAGE);
}

/* sendmail's -q takes its value only from the same word, as -qI..., so getopt is told "q::". */
static void parse_options(int argc, char **argv)
{
	int option;

	opterr = 1;
	while ((option = getopt(argc, argv, "A:B:C:F:GIL:N:O:R:UV:X:b:ce:f:h:imno:p:q::r:tvx")) !=
	       -1)
		switch (option) {
		case 'B': set_body_type(optarg); break;
		case 'C': set_directory(optarg); break;
		case 'F': options.full_name = optarg; break;
		case 'I': set_mode(MODE_ALIASES); break;
		case 'N':
		case 'R': set_dsn((char)option, optarg); break;
		case 'V': set_envid(argv, optarg); break;
		case 'X':
			if (*optarg == 'V')
				set_verp(optarg + 1);
			break;
		case 'O': set_option(optarg); break;
		case 'b': set_task(optarg); break;
		case 'f':
		case 'r': options.sender = optarg; break;
		case 'i': options.keeps_dots = true; break;
		case 'o': set_old_option(optarg); break;
		case 'q': set_flush(optarg != NULL ? optarg : ""); break;
		case 't': options.takes_recipients = true; break;
		case 'v': options.verbosity++; break;
		case 'A':
		case 'G':
		case 'L':
		case 'U':
		case 'c':
		case 'e':
		case 'h':
		case 'm':
		case 'n':
		case 'p':
		case 'x': break; /* of sendmail's, without use here */
		default: usage();
		}
}

static void check_options(int recipients)
{
	bool is_verify = (options.flags & ENVELOPE_VERIFY_ONLY) != 0;

	if (options.takes_recipients && options.mode != MODE_DELIVER)
		fail(EX_USAGE, "-t can be used only in delivery mode");
	if (options.takes_recipients && is_verify)
		fail(EX_USAGE, "-t option cannot be used with -bv");
	if (is_verify && options.mode != MODE_DELIVER)
		fail(EX_USAGE, "-bv can be used only in delivery mode");
	if (options.mode == MODE_QUEUE && recipients > 0)
		fail(EX_USAGE, "display queue mode requires no recipient");
	if (options.mode == MODE_ALIASES && recipients > 0)
		fail(EX_USAGE, "alias initialization mode requires no recipient");
	if (options.mode == MODE_FLUSH && recipients > 0)
		fail(EX_USAGE, "flush queue mode requires no recipient");
	if (options.verbosity == 1 && !is_verify)
		options.flags |= ENVELOPE_VERBOSE;
}

/* ---- the caller ---- */

static void find_login(void)
{
	const struct passwd *entry = getpwuid(getuid());

	if (entry == NULL)
		fail(EX_OSERR, "unknown user id %lu", (unsigned long)getuid());
	(void)snprintf(options.login, sizeof(options.login), "%s", entry->pw_name);
}

/* The name in the password file: up to the comma, "&" stands for the login name. */
static char *passwd_name(void)
{
	const struct passwd *entry = getpwuid(getuid());
	struct buf name = BUF_INIT(512);

	for (const char *p = entry != NULL ? entry->pw_gecos : "";
	     *p != '\0' && *p != ',' && *p != ';' && *p != '%'; p++) {
		if (*p == '&') {
			(void)buf_char(&name, ascii_upper(entry->pw_name[0]));
			(void)buf_text(&name, entry->pw_name + 1);
		} else {
			(void)buf_char(&name, *p);
		}
	}
	return buf_steal(&name);
}

/* Without what cannot stand in a header line. */
static struct span full_name(void)
{
	const char *from_environment = getenv("NAME");
	char *name = options.full_name != NULL ? mem_dup_str(options.full_name)
		     : from_environment != NULL && *from_environment != '\0'
			     ? mem_dup_str(from_environment)
			     : passwd_name();

	for (char *p = name; *p != '\0'; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = ' ';
	return span_trim(span_of(name));
}

/* ---- what is to be done ---- */

NORETURN static void run(const char *directory, const char *command, char **argv)
{
	char *path = mem_printf("%s/%s", directory, command);

	(void)execv(path, argv);
	fail(errno == ENOENT ? EX_UNAVAILABLE : EX_OSERR, "cannot run %s: %s", path,
	     strerror(errno));
}

NORETURN static void run_postqueue(const char *option, const char *value)
{
	char *argv[] = { (char[]){ "postqueue" }, mem_dup_str(option),
			 value != NULL ? mem_dup_str(value) : NULL, NULL };

	run(conf->command_directory, "postqueue", argv);
}

NORETURN static void flush(void)
{
	if (options.flush_id != NULL)
		run_postqueue("-i", options.flush_id);
	if (options.flush_site != NULL)
		run_postqueue("-s", options.flush_site);
	run_postqueue("-f", NULL);
}

NORETURN static void rebuild_aliases(void)
{
	struct span rest = span_of(conf->alias_database), word;
	size_t count = 0;
	char **argv = mem_array(strlen(conf->alias_database) + 3, sizeof(char *));

	argv[count++] = mem_dup_str("postalias");
	argv[count++] = mem_dup_str("--");
	while ((word = span_word(&rest, ", \t\r\n")).n > 0)
		argv[count++] = mem_dup(word);
	if (count == 2)
		exit(0);
	run(conf->command_directory, "postalias", argv);
}

static struct span verp_delimiters(struct span sender)
{
	if ((options.flags & ENVELOPE_VERP) == 0)
		return (struct span){ NULL, 0 };
	if (sender.n == 0)
		fail(EX_USAGE, "-XV option requires non-null sender address");
	if (*options.verp_delimiters == '\0')
		return span_of(conf->default_verp_delimiters);
	if (!verp_are_delimiters(span_of(options.verp_delimiters),
				 span_of(conf->verp_delimiter_filter)))
		fail(EX_USAGE, "-XV requires two characters from %s", conf->verp_delimiter_filter);
	return span_of(options.verp_delimiters);
}

static void fill_envelope(struct submission *submission)
{
	struct msg_envelope *envelope = &submission->envelope;

	envelope->sender = options.sender != NULL
				   ? recipients_sender(submission, span_of(options.sender))
				   : span_of(options.login);
	envelope->rewrite_context = SPAN("local");
	envelope->flags = options.flags;
	envelope->ret = options.ret;
	envelope->envid = span_of(options.envid);
	envelope->body_type = span_of(options.body_type);
	envelope->full_name = full_name();
	envelope->verp_delims = verp_delimiters(envelope->sender);
	submission->notify = options.notify;
}

static void deliver(int argc, char **argv)
{
	struct submission submission = { .takes_recipients = options.takes_recipients,
					 .ends_at_dot = !options.keeps_dots };
	struct input input;

	fill_envelope(&submission);
	for (int i = 0; i < argc; i++)
		recipients_add_list(&submission, span_of(argv[i]));
	if (submission.rcpt_count == 0 && !options.takes_recipients)
		fail(EX_USAGE,
		     "%s(%lu): Recipient addresses must be specified on the command line or "
		     "via the -t option",
		     options.login, (unsigned long)getuid());
	if ((options.flags & ENVELOPE_VERIFY_ONLY) != 0) {
		submit_nothing(&submission);
		return;
	}
	input_open(&input);
	submit_message(&submission, &input);
}

/* What the name of a link asks for. */
static void set_by_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash != NULL ? slash + 1 : path;

	if (strcmp(name, "mailq") == 0)
		options.mode = MODE_QUEUE;
	else if (strcmp(name, "newaliases") == 0)
		options.mode = MODE_ALIASES;
}

int main(int argc, char **argv)
{
	static char start[] = "postern", verb[] = "start";

	(void)signal(SIGPIPE, SIG_IGN);
	log_open("sendmail", -1);
	log_on_fatal(on_fatal);
	set_by_name(argc > 0 ? argv[0] : "");
	parse_options(argc, argv);
	check_options(argc - optind);
	conf_load_command(options.directory);
	find_login();
	switch (options.mode) {
	case MODE_QUEUE: run_postqueue("-p", NULL);
	case MODE_FLUSH: flush();
	case MODE_ALIASES: rebuild_aliases();
	case MODE_SMTP: smtp_serve();
	case MODE_DAEMON: run(conf->command_directory, "postern", (char *[]){ start, verb, NULL });
	case MODE_NOTHING: break;
	case MODE_DELIVER: deliver(argc - optind, argv + optind); break;
	}
	return 0;
}
