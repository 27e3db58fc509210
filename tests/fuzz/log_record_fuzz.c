/* SPDX-License-Identifier: MIT */
/* Records of the log socket, which local users can write to: one clean line comes out. */

#include <stdlib.h>

#include "services/postlogd/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span rest = { (const char *)data, size }, line;
	struct log_record record;
	struct buf out = BUF_INIT(1 << 24);

	while (span_line(&rest, &line)) {
		if (!log_record_parse(line, &record))
			continue;
		buf_reset(&out);
		log_record_format(&out, &record, "host");
		line = buf_span(&out);
		for (size_t i = 0; i + 1 < line.n; i++)
			if ((unsigned char)line.p[i] < ' ' || line.p[i] == 0x7f)
				abort();
	}
	buf_done(&out);
	return 0;
}
