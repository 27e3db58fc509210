/* SPDX-License-Identifier: MIT */
/* The secret of deliveries. Runs in master, as root or the one uid of a private instance. */

#include "master/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"

static void make_secret(char *ret_secret)
{
	unsigned char random[(SECRET_SIZE - 1) / 2];

	if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
		fatal("getrandom: %s", strerror(errno));
	for (size_t i = 0; i < sizeof(random); i++)
		(void)snprintf(ret_secret + 2 * i, 3, "%02x", random[i]);
}

void secret_load(const char *queue_directory, char ret_secret[SECRET_SIZE])
{
	char *path = mem_printf("%s/pid/delivery.secret", queue_directory);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	ssize_t size = fd >= 0 ? read(fd, ret_secret, SECRET_SIZE - 1) : -1;

	if (size < 0)
		fatal("%s: %s", path, strerror(errno));
	ret_secret[size] = '\0';
	if (strspn(ret_secret, "0123456789abcdef") != SECRET_SIZE - 1) {
		make_secret(ret_secret);
		if (ftruncate(fd, 0) < 0 ||
		    pwrite(fd, ret_secret, SECRET_SIZE - 1, 0) != SECRET_SIZE - 1)
			fatal("%s: %s", path, strerror(errno));
	}
	(void)close(fd);
	free(path);
}
