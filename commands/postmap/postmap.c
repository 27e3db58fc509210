/* SPDX-License-Identifier: MIT */
/* postmap(1): makes, changes and asks lookup tables. Runs as its caller; see tool.c. */

#include <stdlib.h>

#include "commands/postmap/tool.h"
#include "table/source.h"

static bool split_entry(const char *file, unsigned line, struct span text, struct buf *ret_key,
			struct buf *ret_value)
{
	struct span key, value;

	return source_split(file, line, text, &key, &value) && buf_set(ret_key, key) &&
	       buf_set(ret_value, value);
}

int main(int argc, char **argv)
{
	static const struct tool_format format = {
		.name = "postmap",
		.usage = "[-bfFhijmnNoprsuUvw] [-c config_dir] [-d key] [-q key] [map_type:]file...",
		.letters = "bc:d:fFhijmnNopq:rsuUvw",
		.separator = "\t",
		.split = split_entry,
	};

	return tool_main(argc, argv, &format);
}
