/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control socket's file: what a dead daemon has left behind is replaced, a live one and
 * whatever is no socket are left alone.
 */
#include "io/ctl_socket.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"

#define BACKLOG        16
#define SOCKET_MODE    0600
#define DIRECTORY_MODE 0755

static int make_directory(const char *path, char error[CTL_ERROR_LEN])
{
	char dir[sizeof(((struct sockaddr_un *)0)->sun_path)];
	char *slash;

	strcpy(dir, path);
	slash = strrchr(dir, '/');
	if (!slash || slash == dir)
		return 0;
	*slash = '\0';
	if (mkdir(dir, DIRECTORY_MODE) == 0 || errno == EEXIST)
		return 0;
	snprintf(error, CTL_ERROR_LEN, "cannot make directory %s: %s", dir, strerror(errno));
	return -errno;
}

/* Remove what an earlier daemon has left behind, and nothing else. */
static int remove_stale(const struct sockaddr_un *addr, char error[CTL_ERROR_LEN])
{
	_cleanup_(closep) int fd = -1;
	struct stat st;
	int r;

	if (lstat(addr->sun_path, &st) < 0) {
		if (errno == ENOENT)
			return 0;
		r = -errno;
		snprintf(error, CTL_ERROR_LEN, "cannot look at %s: %s", addr->sun_path,
			 strerror(-r));
		return r;
	}
	if (!S_ISSOCK(st.st_mode)) {
		snprintf(error, CTL_ERROR_LEN, "%s exists and is no socket", addr->sun_path);
		return -EEXIST;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) == 0 || errno == EAGAIN) {
		snprintf(error, CTL_ERROR_LEN, "%s: another daemon answers there", addr->sun_path);
		return -EADDRINUSE;
	}
	if (errno != ECONNREFUSED)
		return -errno;
	return unlink(addr->sun_path) < 0 && errno != ENOENT ? -errno : 0;
}

static int bind_socket(struct ctl_socket *sock)
{
	/* The mode of a socket before bind() is that of its file afterwards: no moment of 0755. */
	if (fchmod(sock->fd, SOCKET_MODE) < 0 ||
	    bind(sock->fd, (struct sockaddr *)&sock->addr, sizeof(sock->addr)) < 0)
		return -errno;
	if (lstat(sock->addr.sun_path, &sock->identity) < 0 || listen(sock->fd, BACKLOG) < 0)
		return -errno;
	return 0;
}

static int listen_at(struct ctl_socket *sock, char error[CTL_ERROR_LEN])
{
	int r;

	r = make_directory(sock->addr.sun_path, error);
	if (r == 0)
		r = remove_stale(&sock->addr, error);
	if (r < 0)
		return r;
	sock->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	return sock->fd < 0 ? -errno : bind_socket(sock);
}

int ctl_socket_open(struct ctl_socket *sock, const char *path, char ret_error[CTL_ERROR_LEN])
{
	int r;

	*sock = (struct ctl_socket){.fd = -1, .addr = {.sun_family = AF_UNIX}};
	ret_error[0] = '\0';
	if (strlen(path) >= sizeof(sock->addr.sun_path)) {
		snprintf(ret_error, CTL_ERROR_LEN,
			 "path of the control socket is too long: %.100s...", path);
		return -ENAMETOOLONG;
	}
	strcpy(sock->addr.sun_path, path);
	r = listen_at(sock, ret_error);
	if (r < 0 && !ret_error[0])
		snprintf(ret_error, CTL_ERROR_LEN, "cannot listen on %s: %s", path, strerror(-r));
	return r;
}

void ctl_socket_close(struct ctl_socket *sock)
{
	struct stat st;

	if (sock->identity.st_ino && lstat(sock->addr.sun_path, &st) == 0 &&
	    st.st_ino == sock->identity.st_ino && st.st_dev == sock->identity.st_dev)
		(void)unlink(sock->addr.sun_path);
	closep(&sock->fd);
	sock->fd = -1;
}
