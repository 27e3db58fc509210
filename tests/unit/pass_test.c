/* SPDX-License-Identifier: MIT */
/* Connections that are passed to a service of type pass, and what is said about them. */

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proc/pass.h"
#include "test.h"

#define CLIENT "client_address\0" "192.0.2.7\0" "client_port\0" "1234\0"
#define SERVER "server_address\0" "2001:db8::1\0" "server_port\0" "25\0"

#define X50 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define FIRST_PART "other\0" X50 X50 X50 X50 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\0" "empty\0\0"
_Static_assert(sizeof(FIRST_PART) - 1 == 256, "one part");

static void test_parse(void)
{
	static const struct {
		const char *text;
		size_t size;
		bool is_good;
		const char *client;
	} cases[] = {
#define CASE(text, good, client) { text, sizeof(text) - 1, good, client }
		CASE("\0", true, ""),
		CASE(CLIENT SERVER "\0", true, "192.0.2.7"),
		CASE(SERVER "other\0x\0" CLIENT "\0", true, "192.0.2.7"),
		CASE("other\0x\0\0", true, ""),
		CASE("", false, ""),
		CASE("client_address", false, ""),
		CASE("client_address\0" "192.0.2.7", false, ""),
		CASE(CLIENT SERVER, false, ""),
		CASE(CLIENT "\0", false, ""), /* all or none */
		CASE(CLIENT SERVER "\0more", false, ""),
		CASE("client_address\0mx.test\0client_port\0" "25\0" SERVER "\0", false, ""),
		CASE("client_address\0" "192.0.2.7\0client_port\0" "65536\0" SERVER "\0", false, ""),
#undef CASE
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct passed passed = { 0 };
		bool is_good = pass_parse((struct span){ cases[i].text, cases[i].size }, &passed);

		CHECK_INT(is_good, cases[i].is_good);
		if (is_good)
			CHECK(span_is(passed.client_addr, cases[i].client));
	}
}

/* Sends a byte with copies of `count` descriptors. */
static void send_fds(int to, const int *fds, size_t count)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(2 * sizeof(int))];
	} control = { 0 };
	struct iovec io = { .iov_base = (char[]){ 0 }, .iov_len = 1 };
	struct msghdr message = { .msg_iov = &io, .msg_iovlen = 1 };
	struct cmsghdr *header;

	if (count > 0) {
		message.msg_control = &control;
		message.msg_controllen = CMSG_SPACE(count * sizeof(int));
		header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(count * sizeof(int));
		memcpy(CMSG_DATA(header), fds, count * sizeof(int));
	}
	CHECK_INT(sendmsg(to, &message, 0), 1);
}

static void test_take(void)
{
	static const struct {
		size_t count;
		const char *attributes;
		size_t size;
		bool is_good;
	} cases[] = {
		{ 1, "", 1, true },
		{ 1, CLIENT SERVER, sizeof(CLIENT SERVER), true },
		{ 0, "", 1, false },
		{ 2, "", 1, false },
		{ 1, CLIENT, sizeof(CLIENT) - 1, false },
		/* It is read in parts of 256 bytes, the first of which ends with an empty value. */
		{ 1, FIRST_PART CLIENT SERVER, sizeof(FIRST_PART CLIENT SERVER), true },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		int pair[2], passed_pair[2], fd;
		struct passed passed;
		const char *problem;

		CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
		CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, passed_pair), 0);
		send_fds(pair[0], passed_pair, cases[i].count);
		CHECK_INT(write(pair[0], cases[i].attributes, cases[i].size),
			  (long)cases[i].size);
		(void)close(pair[0]);
		fd = pass_take(pair[1], &passed, &problem);
		CHECK_INT(fd >= 0, cases[i].is_good);
		CHECK_INT(problem == NULL, cases[i].is_good);
		if (fd >= 0) {
			CHECK((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
			CHECK((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
			(void)close(fd);
		}
		pass_done(&passed);
		(void)close(passed_pair[0]);
		(void)close(passed_pair[1]);
	}
}

int main(void)
{
	TEST(parse);
	TEST(take);
	return test_end();
}
