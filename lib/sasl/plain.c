/* SPDX-License-Identifier: MIT */
/* The message of PLAIN; see plain.h. Runs in smtpd, on what strangers send. */

#include "sasl/plain.h"

bool sasl_plain_parse(struct span message, struct sasl_plain *ret)
{
	struct span rest;

	return span_cut(message, '\0', &ret->authorization, &rest) &&
	       span_cut(rest, '\0', &ret->authentication, &ret->password) &&
	       !span_has(ret->password, '\0') && ret->authentication.n > 0 && ret->password.n > 0;
}
