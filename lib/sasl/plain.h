/* SPDX-License-Identifier: MIT */
#ifndef SASL_PLAIN_H
#define SASL_PLAIN_H

/* The message of PLAIN: [authorization] NUL authentication NUL password. RFC 4616 2. */

#include "base/span.h"

struct sasl_plain {
	struct span authorization, authentication, password;
};

/* The spans borrow from `message`. False when it has another form, or no name, or no password. */
MUST_USE bool sasl_plain_parse(struct span message, struct sasl_plain *ret);

#endif
