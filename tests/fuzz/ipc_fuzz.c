/* SPDX-License-Identifier: MIT */
/* Every message between programs: what decodes is what it encodes to. The first byte chooses. */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/mem.h"
#include "ipc/messages.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct ipc_desc *desc, struct span wire)
{
	struct span rest = wire;
	struct buf again = BUF_INIT(1 << 24), line = BUF_INIT(1 << 24);
	void *message = mem_alloc(desc->struct_size);

	if (ipc_decode(&rest, desc, message)) {
		if (!ipc_encode(&again, desc, message) ||
		    !span_eq(buf_span(&again), span_first(wire, wire.n - rest.n)) ||
		    !span_is(span_of(ipc_name(wire)), desc->name))
			abort();
		ipc_print(&line, desc, message);
		if (span_has(buf_span(&line), '\n'))
			abort();
	} else if (rest.p != wire.p || rest.n != wire.n) {
		abort();
	}
	free(message);
	buf_done(&again);
	buf_done(&line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span wire = { (const char *)data + 1, size - 1 };
	size_t count = 0;

	if (size < 1)
		return 0;
	while (ipc_message(count) != NULL)
		count++;
	(void)ipc_name(wire);
	check(ipc_message(data[0] % count), wire);
	/* And the one that it says it is. */
	for (size_t i = 0; i < count; i++)
		if (span_is(span_of(ipc_name(wire)), ipc_message(i)->name))
			check(ipc_message(i), wire);
	return 0;
}
