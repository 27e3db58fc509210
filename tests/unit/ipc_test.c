/* SPDX-License-Identifier: MIT */
/* lib/ipc: every message of messages.def survives the trip, and nothing else is taken. */

#include "test.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ipc/channel.h"

/* Fills all fields of a message with values that differ. */
static void fill(const struct ipc_desc *desc, char *message)
{
	for (size_t i = 0; i < desc->field_count; i++) {
		void *at = message + desc->fields[i].offset;

		switch (desc->fields[i].type) {
		case IPC_flag: *(bool *)at = true; break;
		case IPC_u32: *(uint32_t *)at = (uint32_t)(i + 1); break;
		case IPC_u64: *(uint64_t *)at = UINT64_MAX - i; break;
		case IPC_i64: *(int64_t *)at = -(int64_t)i - 1; break;
		case IPC_str:
		case IPC_many:
			*(struct span *)at = span_first(SPAN("a\0b\nc"), desc->fields[i].limit);
			break;
		}
	}
}

static void test_all_messages(void)
{
	const struct ipc_desc *desc;
	size_t count = 0;

	for (; (desc = ipc_message(count)) != NULL; count++) {
		_Alignas(max_align_t) char sent[1024] = { 0 }, got[1024] = { 0 };
		struct buf wire = BUF_INIT(IPC_PACKET_MAX), again = BUF_INIT(IPC_PACKET_MAX);

		CHECK(desc->struct_size <= sizeof(sent));
		fill(desc, sent);
		CHECK(ipc_encode(&wire, desc, sent));
		CHECK_STR(ipc_name(buf_span(&wire)), desc->name);

		struct span rest = buf_span(&wire);

		CHECK(ipc_decode(&rest, desc, got) && rest.n == 0);
		CHECK(ipc_encode(&again, desc, got));
		CHECK(span_eq(buf_span(&wire), buf_span(&again)));
		for (size_t cut = 0; cut < wire.length; cut++) {
			rest = span_first(buf_span(&wire), cut);
			CHECK(!ipc_decode(&rest, desc, got));
		}
		buf_done(&wire);
		buf_done(&again);
	}
	CHECK(count > 15);
}

static void test_limits(void)
{
	struct buf wire = BUF_INIT(IPC_PACKET_MAX);
	struct msg_submit_ready ready = { .queue_id = SPAN("123456789012345678901234567890123") };

	CHECK(!msg_submit_ready_encode(&wire, &ready));
	CHECK_INT(wire.length, 0);
	ready.queue_id = SPAN("A1");
	CHECK(msg_submit_ready_encode(&wire, &ready));
	/* A string that claims to be longer than its message. */
	wire.data[wire.length - 6] = 3;

	struct span rest = buf_span(&wire);

	CHECK(!msg_submit_ready_decode(&rest, &ready));
	buf_done(&wire);
}

static void test_channel(void)
{
	int pair[2];
	struct ipc_channel left, right;
	struct msg_status got, status = { .code = 5, .text = SPAN("hello") };

	CHECK_INT(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	ipc_attach(&left, pair[0]);
	ipc_attach(&right, pair[1]);
	CHECK_INT(IPC_EXPECT(&right, status, &got, clock_in_ms(0)), IPC_TIMEOUT);
	CHECK_INT(IPC_SEND(&left, status, &status, STDIN_FILENO, clock_in_ms(100)), IPC_OK);
	CHECK_INT(IPC_EXPECT(&right, status, &got, clock_in_ms(100)), IPC_OK);
	CHECK_INT(got.code, 5);
	CHECK_SPAN(got.text, "hello");

	int fd = ipc_take_fd(&right);

	CHECK(fd > 2);
	(void)close(fd);
	CHECK_INT(send(left.fd, "junk", 4, 0), 4);
	CHECK_INT(IPC_EXPECT(&right, status, &got, clock_in_ms(100)), IPC_BROKEN);
	ipc_close(&left);
	CHECK_INT(IPC_EXPECT(&right, status, &got, clock_in_ms(100)), IPC_CLOSED);
	ipc_close(&right);
}

int main(void)
{
	TEST(all_messages);
	TEST(limits);
	TEST(channel);
	return test_end();
}
