/* SPDX-License-Identifier: BSD-2-Clause */
/* The control socket's file: made, guarded and removed. Used by io/ctl_server.c. */
#pragma once

#include <sys/stat.h>
#include <sys/un.h>

#include "io/ctl.h"

struct ctl_socket {
	int fd; /* listening, non-blocking; -1: none */
	struct sockaddr_un addr;
	struct stat identity; /* of the file: removed only if it is still this one */
};

/*
 * Listen at @path; see ctl_server_new.
 *
 * Return: 0; -EADDRINUSE; -EEXIST; -ENAMETOOLONG; others. ctl_socket_close is due also on failure.
 */
int ctl_socket_open(struct ctl_socket *sock, const char *path, char ret_error[CTL_ERROR_LEN]);

/* Stop listening and remove the file if it is still ours. */
void ctl_socket_close(struct ctl_socket *sock);
