/* SPDX-License-Identifier: MIT */
#ifndef SMTPD_ATTRIBUTES_H
#define SMTPD_ATTRIBUTES_H

/*
 * $name in reply texts: what is known about client and transaction, by the names of postconf(5)
 * default_rbl_reply and smtpd_reject_footer.
 */

#include "smtpd/check.h"

/* One more name for a template, beside the common ones. */
struct attribute {
	const char *name;
	struct span value;
};

/*
 * Appends `text` expanded; bytes of values that smtpd_expansion_filter does not list become "_".
 * `check` may be NULL: then nothing is known of a recipient. False when the text is malformed.
 */
MUST_USE bool attributes_expand(struct buf *out, struct span text, const struct session *s,
				const struct check *check, const struct attribute *extra,
				size_t extra_count);

#endif
