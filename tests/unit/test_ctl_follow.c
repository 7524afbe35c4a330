/* SPDX-License-Identifier: BSD-2-Clause */
/* Following events on the control socket: order, peers that are slow, and how it ends. */
#include <signal.h>

#include "ctl_lab.h"

static void publish(struct fixture *f, int n, size_t padding)
{
	static char text[8192];
	json_t *event;

	assert_true(padding < sizeof(text));
	memset(text, 'x', padding);
	text[padding] = '\0';
	event = json_pack("{s:i, s:s}", "event", n, "text", text);
	assert_int_equal(ctl_server_publish(f->server, event), 0);
	json_decref(event);
}

static int subscribe(struct fixture *f)
{
	int fd = raw_client(f);

	raw_send(f, fd, "{\"command\":\"monitor\"}\n", 22);
	assert_string_equal(raw_line(f, fd), "{\"ok\":true,\"result\":null}");
	return fd;
}

static void subscribers_get_events_in_order(void **state)
{
	struct fixture *f = *state;
	_cleanup_(closep) int a = -1, b = -1;

	start(f);
	publish(f, 0, 0); /* nobody listens */
	a = subscribe(f);
	publish(f, 1, 0);
	b = subscribe(f);
	publish(f, 2, 0);
	assert_int_equal(ctl_server_subscribers(f->server), 2);
	assert_string_equal(raw_line(f, a), "{\"event\":1,\"text\":\"\"}");
	assert_string_equal(raw_line(f, a), "{\"event\":2,\"text\":\"\"}");
	assert_string_equal(raw_line(f, b), "{\"event\":2,\"text\":\"\"}");

	/* what a subscriber says is not listened to; that it goes is noticed */
	raw_send(f, a, "{\"command\":\"nothing\"}\n", 22);
	publish(f, 3, 0);
	assert_string_equal(raw_line(f, a), "{\"event\":3,\"text\":\"\"}");
	assert_int_equal(f->handled, 0);
	close(TAKE_FD(b));
	RUN_UNTIL(f, ctl_server_subscribers(f->server) == 1);
}

static void handler_may_publish(void **state)
{
	struct fixture *f = *state;
	_cleanup_(closep) int a = -1, b = -1;

	start(f);
	f->publish = true;
	a = subscribe(f);
	b = raw_client(f);
	raw_send(f, b, "{\"command\":\"nothing\"}\n", 22);
	assert_string_equal(raw_line(f, a), "{\"event\":\"handled\"}");
	assert_string_equal(raw_line(f, b), "{\"ok\":true,\"result\":null}");
}

static void slow_subscriber_is_told_and_dropped(void **state)
{
	struct fixture *f = *state;
	_cleanup_(closep) int slow = -1, fast = -1;
	char line[4096 + 64] = "";
	int sent = 0, got = 0;

	start(f);
	slow = subscribe(f);
	fast = subscribe(f);
	/* the kernel's buffers, then the queue */
	while (ctl_server_subscribers(f->server) == 2 && sent < 10000) {
		publish(f, sent++, 1000);
		assert_non_null(strstr(raw_line(f, fast), "\"event\":"));
	}
	/* it has missed nothing before the last line, and then it is over */
	for (;;) {
		char expected[32];

		strcpy(line, raw_line(f, slow));
		if (strstr(line, "overrun"))
			break;
		snprintf(expected, sizeof(expected), "{\"event\":%d,", got++);
		assert_memory_equal(line, expected, strlen(expected));
	}
	assert_string_equal(line, "{\"event\":\"overrun\","
				  "\"text\":\"events were not read fast enough: disconnected\"}");
	assert_in_range(got, CTL_MONITOR_QUEUE_MAX / 1100, sent);
	assert_string_equal(raw_line(f, slow), "");
	assert_int_equal(ctl_server_subscribers(f->server), 1);
	publish(f, 7, 0);
	assert_string_equal(raw_line(f, fast), "{\"event\":7,\"text\":\"\"}");
}

/* A follower from a thread of its own. */
struct follow {
	struct fixture *f;
	const volatile sig_atomic_t *stop;
	atomic_int events;
	atomic_bool done;
	int stop_after;
	int r;
	char error[CTL_ERROR_LEN];
};

static int on_event(void *ctx, const json_t *event)
{
	struct follow *follow = ctx;

	(void)event;
	return atomic_fetch_add(&follow->events, 1) + 1 == follow->stop_after ? 1 : 0;
}

static void *follow_thread(void *arg)
{
	struct follow *follow = arg;

	follow->r = ctl_follow(follow->f->path, on_event, follow, follow->stop, follow->error);
	atomic_store(&follow->done, true);
	return NULL;
}

static void follower_ends_when_it_likes_or_when_the_server_does(void **state)
{
	struct fixture *f = *state;
	struct follow follow = {.f = f, .stop_after = 2};
	pthread_t thread;

	start(f);
	assert_int_equal(pthread_create(&thread, NULL, follow_thread, &follow), 0);
	RUN_UNTIL(f, ctl_server_subscribers(f->server) == 1);
	publish(f, 1, 0);
	publish(f, 2, 0);
	publish(f, 3, 0);
	RUN_UNTIL(f, atomic_load(&follow.done));
	pthread_join(thread, NULL);
	assert_int_equal(follow.r, 1);
	assert_int_equal(atomic_load(&follow.events), 2);

	follow = (struct follow){.f = f};
	RUN_UNTIL(f, ctl_server_subscribers(f->server) == 0);
	assert_int_equal(pthread_create(&thread, NULL, follow_thread, &follow), 0);
	RUN_UNTIL(f, ctl_server_subscribers(f->server) == 1);
	for (int i = 0; i < 3; i++)
		step(f, instant_add(instant_now(), DEADLINE_NS)); /* the reply goes out */
	ctl_server_free(TAKE_PTR(f->server));
	pthread_join(thread, NULL);
	assert_int_equal(follow.r, 0);
}

static volatile sig_atomic_t interrupted;

static void interrupt(int number)
{
	(void)number;
	interrupted = 1;
}

/* The signal comes while the follower is busy, and no event after it. */
static int on_event_interrupted(void *ctx, const json_t *event)
{
	(void)ctx;
	(void)event;
	return raise(SIGUSR1);
}

static void *interrupted_thread(void *arg)
{
	struct follow *follow = arg;

	follow->r = ctl_follow(follow->f->path, on_event_interrupted, follow, follow->stop,
			       follow->error);
	atomic_store(&follow->done, true);
	return NULL;
}

static void signal_between_two_waits_ends_following(void **state)
{
	const struct sigaction action = {.sa_handler = interrupt};
	struct fixture *f = *state;
	struct follow follow = {.f = f, .stop = &interrupted};
	struct sigaction before;
	pthread_t thread;

	interrupted = 0;
	assert_int_equal(sigaction(SIGUSR1, &action, &before), 0);
	start(f);
	assert_int_equal(pthread_create(&thread, NULL, interrupted_thread, &follow), 0);
	RUN_UNTIL(f, ctl_server_subscribers(f->server) == 1);
	publish(f, 1, 0);
	RUN_UNTIL(f, atomic_load(&follow.done));
	pthread_join(thread, NULL);
	assert_int_equal(follow.r, -EINTR);
	RUN_UNTIL(f, ctl_server_subscribers(f->server) == 0);

	/* and one that came before the first wait; the socket is never waited for */
	assert_int_equal(ctl_follow(f->path, on_event, &follow, &interrupted, follow.error),
			 -EINTR);

	/* and one that comes in the middle of a wait */
	interrupted = 0;
	follow = (struct follow){.f = f, .stop = &interrupted};
	assert_int_equal(pthread_create(&thread, NULL, follow_thread, &follow), 0);
	RUN_UNTIL(f, ctl_server_subscribers(f->server) == 1);
	for (int i = 0; i < 20; i++)
		step(f, instant_add(instant_now(), DEADLINE_NS));
	assert_int_equal(pthread_kill(thread, SIGUSR1), 0);
	RUN_UNTIL(f, atomic_load(&follow.done));
	pthread_join(thread, NULL);
	assert_int_equal(follow.r, -EINTR);
	assert_int_equal(sigaction(SIGUSR1, &before, NULL), 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(subscribers_get_events_in_order),
		T(handler_may_publish),
		T(slow_subscriber_is_told_and_dropped),
		T(follower_ends_when_it_likes_or_when_the_server_does),
		T(signal_between_two_waits_ends_following),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
