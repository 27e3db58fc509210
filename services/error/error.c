/* SPDX-License-Identifier: MIT */
/*
 * error, and under the service name retry: gives every recipient the outcome that the next hop
 * spells out, "5.1.2 text". Runs as uid net in an empty jail. Manual: error(8).
 */

#include <string.h>

#include "deliver/fixed.h"
#include "proc/service.h"

static char status_class(void)
{
	return strcmp(service.name, "retry") == 0 ? '4' : '5';
}

int main(int argc, char **argv)
{
	return fixed_main(argc, argv, "error", status_class);
}
