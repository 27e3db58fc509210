/* SPDX-License-Identifier: MIT */
/*
 * postern user: who may log in with smtpd_sasl_type = passwd. Run by the administrator. A password
 * is read from the terminal or from standard input, never from the command line, which others
 * can see. The file is replaced as a whole; passauth(8) reads it anew by itself.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "commands/postern/postern.h"
#include "conf/conf.h"
#include "conf/edit.h"
#include "sasl/passwd.h"

/* One line of standard input without its end; on a terminal it is not shown. False: there is none. */
static bool read_line(const char *prompt, struct buf *out)
{
	struct termios shown, hidden;
	bool is_terminal = tcgetattr(STDIN_FILENO, &shown) == 0;
	int c;

	buf_reset(out);
	if (is_terminal) {
		hidden = shown;
		hidden.c_lflag &= ~(tcflag_t)ECHO;
		(void)fputs(prompt, stderr);
		(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);
	}
	while ((c = getchar()) != EOF && c != '\n')
		(void)buf_char(out, (char)c);
	if (is_terminal) {
		(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &shown);
		(void)fputc('\n', stderr);
	}
	return out->length > 0 && !buf_is_over(out);
}

/* NULL when it could not be had; the user was told why. */
static char *read_hash(void)
{
	struct buf password = BUF_INIT(PASSWD_PASSWORD_MAX), again = BUF_INIT(PASSWD_PASSWORD_MAX);
	bool is_terminal = isatty(STDIN_FILENO) != 0;
	char *hash = NULL;

	if (!read_line("Password: ", &password) ||
	    memchr(buf_str(&password), '\0', password.length) != NULL)
		log_error("a password has between 1 and %d bytes", PASSWD_PASSWORD_MAX);
	else if (is_terminal && (!read_line("Again: ", &again) ||
				 !span_eq(buf_span(&password), buf_span(&again))))
		log_error("the two passwords differ");
	else if ((hash = passwd_hash(buf_span(&password))) == NULL)
		log_error("cannot make a hash of the password: %s", strerror(errno));
	if (password.data != NULL)
		explicit_bzero(password.data, password.capacity);
	if (again.data != NULL)
		explicit_bzero(again.data, again.capacity);
	buf_done(&password);
	buf_done(&again);
	return hash;
}

/* An empty file is made when there is none, for its owner alone. */
static bool begin_edit(struct conf_edit *edit)
{
	const char *path = conf->smtpd_sasl_passwd_file;
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd >= 0)
		(void)close(fd);
	if (conf_edit_begin(edit, path))
		return true;
	log_error("%s: %s", path, strerror(errno));
	return false;
}

/* Puts the line in place, or takes it out when `hash` is NULL. */
static int change(struct span user, const char *hash, bool must_exist, bool must_not_exist)
{
	struct buf text = BUF_INIT(PASSWD_FILE_MAX);
	struct conf_edit edit;
	bool was_there;
	int code = 1;

	if (!begin_edit(&edit))
		return 1;
	passwd_edit(buf_span(&edit.text), user, hash, &text, &was_there);
	if ((must_exist && !was_there) || (must_not_exist && was_there)) {
		log_error("%.*s: %s", SPAN_ARG(user),
			  was_there ? "is a user already" : "there is no such user");
		conf_edit_cancel(&edit);
	} else if (buf_is_over(&text)) {
		log_error("%s: too big", conf->smtpd_sasl_passwd_file);
		conf_edit_cancel(&edit);
	} else if (!conf_edit_commit(&edit, buf_span(&text))) {
		log_error("%s: %s", conf->smtpd_sasl_passwd_file, strerror(errno));
	} else {
		code = 0;
	}
	buf_done(&text);
	return code;
}

static int set(struct span user, bool is_new)
{
	char *hash = read_hash();
	int code = hash != NULL ? change(user, hash, !is_new, is_new) : 1;

	free(hash);
	return code;
}

/* In the order of the file. */
static int list(void)
{
	struct conf_edit edit;
	struct span rest, line, user, hash;

	if (!begin_edit(&edit))
		return 1;
	rest = buf_span(&edit.text);
	while (span_line(&rest, &line))
		if (span_cut(span_trim(line), ':', &user, &hash) && passwd_is_name(user))
			(void)printf("%.*s\n", SPAN_ARG(user));
	conf_edit_cancel(&edit);
	return 0;
}

static int usage(void)
{
	(void)fprintf(stderr, "usage: postern user add NAME | passwd NAME | del NAME | list\n");
	return 1;
}

int do_user(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";
	struct span user = span_of(argc > 2 ? argv[2] : "");

	if (argc == 2 && strcmp(verb, "list") == 0)
		return list();
	if (argc != 3)
		return usage();
	if (!passwd_is_name(user)) {
		log_error("no name for a user: %s", log_clean(user));
		return 1;
	}
	if (strcmp(verb, "add") == 0)
		return set(user, true);
	if (strcmp(verb, "passwd") == 0)
		return set(user, false);
	if (strcmp(verb, "del") == 0)
		return change(user, NULL, true, false);
	return usage();
}
