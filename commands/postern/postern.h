/* SPDX-License-Identifier: MIT */
#ifndef POSTERN_POSTERN_H
#define POSTERN_POSTERN_H

/* The subcommands of postern(1) that have files of their own. Each returns the exit status. */

/* "user add|passwd|del|list [NAME]": the file of smtpd_sasl_passwd_file. */
int do_user(int argc, char **argv);

/* "ban list|add|del [NETWORK [TIME]]": asks anvil. */
int do_ban(int argc, char **argv);

/* "oauth ACCOUNT": asks policyfetch for a token, as smtp does. */
int do_oauth(int argc, char **argv);

/* "tls new-server-key|enable-server|...": keys, certificates and settings of TLS. */
int do_tls(int argc, char **argv);

/* "tlsrpt list|send [DOMAIN]": asks tlsrpt. */
int do_tlsrpt(int argc, char **argv);

#endif
