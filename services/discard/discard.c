/* SPDX-License-Identifier: MIT */
/*
 * discard: says that every recipient was delivered, and throws the message away. The next hop is
 * the text for the log. Runs as uid net in an empty jail. Manual: discard(8).
 */

#include "deliver/fixed.h"

static char status_class(void)
{
	return '2';
}

int main(int argc, char **argv)
{
	return fixed_main(argc, argv, "discard", status_class);
}
