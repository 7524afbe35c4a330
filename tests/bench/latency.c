/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How long a packet and its answer take through a gateway that is fully loaded.
 *
 * The load is that of pps.c: batches of 64 frames, as many as a NAPI poll takes, one after the
 * other. Meanwhile a thread on the same CPU, of a higher priority, wakes up at instants that have
 * nothing to do with the batches, sends a frame and waits for it to come back from the far end,
 * where a program turns it round. The time runs from the instant at which it should have been sent,
 * so a batch that was in the way counts, as it would for a packet that arrives behind it.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/instant.h"
#include "bed.h"
#include "bench.h"

#define LATENCY_SECTION   "latency"
#define LATENCY_SAMPLE_NS 500e6
#define LATENCY_PROBE     20000
#define LATENCY_GAP_NS    150000 /* between echoes at least; as much again at random */
#define LATENCY_ECHOES    8192   /* in a sample at most */
#define LATENCY_PATIENCE  ((struct timeval){.tv_sec = 1})
#define LATENCY_AGAIN_NS  20000 /* until a frame is sent again for which a queue had no room */
#define LATENCY_AGAIN     (NSEC_PER_SEC / LATENCY_AGAIN_NS)
#define LATENCY_PRIORITY  2 /* above a gateway in userspace */

static const enum lab_path ways[] = {LAB_KERNEL, LAB_NFT, LAB_TUN, LAB_FQDNAT};

/* Shares of the echoes that took no longer; and what that is called, by way. */
static const double shares[] = {0.5, 0.99, 0.999};

/* clang-format off: a table */
static const char *const names[][3] = {
	{"kernel p50", "kernel p99", "kernel p99.9"},
	{"nft p50", "nft p99", "nft p99.9"},
	{"tun p50", "tun p99", "tun p99.9"},
	{"fqdnat p50", "fqdnat p99", "fqdnat p99.9"},
};
/* clang-format on */

#define WAYS   (sizeof(ways) / sizeof(ways[0]))
#define SHARES (sizeof(shares) / sizeof(shares[0]))

struct echoes {
	int fd;
	volatile bool stop;
	int error; /* negative errno */
	unsigned int count;
	double us[LATENCY_ECHOES];
};

static int packet_socket(unsigned int ifindex)
{
	_cleanup_(closep) int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	struct sockaddr_ll at = {
		.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IP), .sll_ifindex = ifindex};
	struct timeval patience = LATENCY_PATIENCE;

	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0)
		return -errno;
	return TAKE_FD(fd);
}

static struct instant sleep_until(struct instant t)
{
	struct timespec ts = {t.ns / NSEC_PER_SEC, t.ns % NSEC_PER_SEC};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == EINTR)
		;
	return t;
}

/* The load fills the queue at times: then it goes a moment later, and that counts. */
static int send_frame(int fd, const unsigned char *frame)
{
	for (int i = 0; send(fd, frame, BENCH_LEN4, 0) < 0; i++) {
		if (errno != ENOBUFS || i == LATENCY_AGAIN)
			return -errno;
		sleep_until(instant_add(instant_now(), LATENCY_AGAIN_NS));
	}
	return 0;
}

/* Send, and wait for the answer. Return: 0; negative errno. */
static int echo(int fd, const unsigned char *frame)
{
	unsigned char answer[BENCH_LEN4] = {};
	ssize_t n;
	int r = send_frame(fd, frame);

	if (r < 0)
		return r;
	do {
		n = recv(fd, answer, sizeof(answer), 0);
		if (n < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
	} while (answer[BENCH_ECHO_AT] != BENCH_ECHO);
	return 0;
}

static void *run_echoes(void *arg)
{
	struct echoes *e = arg;
	unsigned char frame[BENCH_LEN4];
	struct sched_param priority = {LATENCY_PRIORITY};
	unsigned int seed = 1;
	struct instant due;

	frame_echo(FRAME_OUT4, frame);
	e->error = -pthread_setschedparam(pthread_self(), SCHED_FIFO, &priority);
	while (!e->stop && e->error == 0 && e->count < LATENCY_ECHOES) {
		due = instant_add(instant_now(), LATENCY_GAP_NS + rand_r(&seed) % LATENCY_GAP_NS);
		sleep_until(due);
		e->error = echo(e->fd, frame);
		if (e->error == 0)
			e->us[e->count++] = instant_sub(instant_now(), due) / 1e3;
	}
	return NULL;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Load a path with packets of @flows flows, and echo meanwhile. */
static int sample(struct bed *b, enum lab_path path, unsigned int packets, double *ret_us)
{
	_cleanup_(freep) struct echoes *e = calloc(1, sizeof(*e));
	pthread_t thread;
	double mpps;
	int r;

	if (!e)
		return -ENOMEM;
	e->fd = packet_socket(b->lab->path[path].client);
	if (e->fd < 0)
		return e->fd;
	r = -pthread_create(&thread, NULL, run_echoes, e);
	if (r == 0) {
		r = bed_send(b, path, packets, &mpps);
		e->stop = true;
		pthread_join(thread, NULL);
		r = r < 0 ? r : e->error;
	}
	closep(&e->fd);
	if (r == 0 && e->count == 0)
		r = -EPROTO;
	if (r < 0) {
		fprintf(stderr, "bench: %s: no echo: %s\n", lab_path_names[path], strerror(-r));
		return r;
	}
	qsort(e->us, e->count, sizeof(e->us[0]), compare);
	for (size_t i = 0; i < SHARES; i++)
		ret_us[i] = e->us[(size_t)(shares[i] * (e->count - 1))];
	return 0;
}

static int add_figures(struct report *report, unsigned int flows, const bool *takes_part)
{
	for (size_t w = 0; w < WAYS; w++)
		for (size_t i = 0; i < SHARES && takes_part[w]; i++)
			if (!report_add(report, LATENCY_SECTION, names[w][i], "us", flows))
				return -ENOMEM;
	return 0;
}

static int measure(struct bed *b, const struct bench_plan *plan, unsigned int flows,
		   struct report *report)
{
	size_t first = report->count, at;
	unsigned int packets[WAYS];
	bool takes_part[WAYS];
	double us[SHARES], mpps;
	int r = 0;

	for (size_t w = 0; w < WAYS && r == 0; w++) {
		takes_part[w] = bed_takes_part(b, ways[w], flows);
		if (!takes_part[w])
			continue;
		r = bed_open_flows(b, ways[w], flows);
		rig_draw(&b->rig, flows);
		if (r == 0)
			r = bed_send(b, ways[w], LATENCY_PROBE, &mpps);
		packets[w] = mpps * 1e-3 * LATENCY_SAMPLE_NS;
	}
	if (r == 0)
		r = add_figures(report, flows, takes_part);
	for (unsigned int round = 0; round < plan->rounds && r == 0; round++) {
		at = first;
		for (size_t w = 0; w < WAYS && r == 0; w++) {
			if (!takes_part[w])
				continue;
			r = sample(b, ways[w], packets[w], us);
			for (size_t i = 0; i < SHARES && r == 0; i++)
				figure_sample(&report->figures[at++], us[i]);
		}
	}
	for (size_t i = 0; i < SHARES; i++)
		for (size_t w = 0; w + 1 < WAYS; w++)
			report_ratio(report, names[WAYS - 1][i], names[w][i], flows);
	return r;
}

int bench_latency(const struct bench_plan *plan, struct lab *lab, struct report *report)
{
	struct bed b;
	int r = bed_open(&b, lab, plan->flows[plan->flows_count - 1]);

	for (unsigned int i = 0; i < plan->flows_count && r == 0; i++)
		r = measure(&b, plan, plan->flows[i], report);
	bed_close(&b);
	return r;
}
