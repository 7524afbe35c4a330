/* SPDX-License-Identifier: BSD-2-Clause */
/* The file of the control socket: whose it is, and what may be in its place. */
#include <sys/stat.h>

#include "ctl_lab.h"

static void file_that_cannot_be_looked_at_is_named(void **state)
{
	struct fixture *f = *state;
	char run[80], expected[CTL_ERROR_LEN];

	snprintf(run, sizeof(run), "%s/run", f->dir);
	assert_int_equal(symlink("run", run), 0); /* to itself: ELOOP */
	assert_int_equal(ctl_server_new(f->event, f->path, handler, f, &f->server, f->error),
			 -ELOOP);
	snprintf(expected, sizeof(expected), "cannot look at %s: Too many levels of symbolic links",
		 f->path);
	assert_string_equal(f->error, expected);
	assert_int_equal(unlink(run), 0);
}

static void socket_is_for_its_owner_only(void **state)
{
	struct fixture *f = *state;
	struct stat st;

	start(f);
	assert_int_equal(lstat(f->path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 0777, 0600);
	ctl_server_free(TAKE_PTR(f->server));
	assert_int_equal(lstat(f->path, &st), -1);
}

static void stale_socket_is_replaced_and_a_live_one_is_not(void **state)
{
	struct fixture *f = *state;
	struct ctl_server *second = NULL;
	char expected[CTL_ERROR_LEN];
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd;

	start(f);
	assert_int_equal(ctl_server_new(f->event, f->path, handler, f, &second, f->error),
			 -EADDRINUSE);
	snprintf(expected, sizeof(expected), "%s: another daemon answers there", f->path);
	assert_string_equal(f->error, expected);
	ctl_server_free(TAKE_PTR(f->server));

	/* what a killed daemon leaves behind */
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	strcpy(addr.sun_path, f->path);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	close(fd);
	start(f);
}

static void file_that_is_no_socket_is_left_alone(void **state)
{
	struct fixture *f = *state;
	struct ctl_server *server = NULL;
	struct stat st;
	char run[80];

	snprintf(run, sizeof(run), "%s/run", f->dir);
	assert_int_equal(mkdir(run, 0700), 0);
	close(open(f->path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	assert_int_equal(ctl_server_new(f->event, f->path, handler, f, &server, f->error), -EEXIST);
	assert_non_null(strstr(f->error, "exists and is no socket"));
	assert_int_equal(lstat(f->path, &st), 0);
	assert_true(S_ISREG(st.st_mode));
}

static void paths_that_do_not_fit_are_refused(void **state)
{
	struct fixture *f = *state;
	struct ctl_server *server = NULL;
	char path[200];
	json_t *result;

	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(ctl_server_new(f->event, path, handler, f, &server, f->error),
			 -ENAMETOOLONG);
	assert_int_equal(ctl_call(path, "echo", NULL, 100, &result, f->error), -ENAMETOOLONG);
}

static void socket_of_a_successor_is_not_removed(void **state)
{
	struct fixture *f = *state;
	struct ctl_server *successor = NULL;
	struct stat st;

	start(f);
	assert_int_equal(unlink(f->path), 0);
	assert_int_equal(ctl_server_new(f->event, f->path, handler, f, &successor, f->error), 0);
	ctl_server_free(TAKE_PTR(f->server));
	assert_int_equal(lstat(f->path, &st), 0);
	ctl_server_free(successor);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(file_that_cannot_be_looked_at_is_named),
		T(socket_is_for_its_owner_only),
		T(stale_socket_is_replaced_and_a_live_one_is_not),
		T(file_that_is_no_socket_is_left_alone),
		T(paths_that_do_not_fit_are_refused),
		T(socket_of_a_successor_is_not_removed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
