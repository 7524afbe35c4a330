/* SPDX-License-Identifier: BSD-2-Clause */
/* The measurements of the benchmark and what they are told; see bench.c. */
#pragma once

#include "lab.h"
#include "plan.h"
#include "report.h"

struct bench_plan {
	unsigned int rounds;
	unsigned int flows[REPORT_FLOWS_MAX]; /* ascending */
	unsigned int flows_count;
	bool new_only;    /* ns, pps: leave established flows out */
	const char *line; /* ns: of established sessions that one alone; NULL: all */
};

/*
 * CPU time of the program for a packet of an established session, by BPF_PROG_TEST_RUN.
 * Return: 0; negative errno, said on stderr.
 */
int bench_ns(const struct bench_plan *plan, struct lab *lab, struct report *report);

/*
 * Packets per second from client to net on one CPU.
 * Return: 0; negative errno, said on stderr.
 */
int bench_pps(const struct bench_plan *plan, struct lab *lab, struct report *report);

/*
 * How long an echo takes through a gateway that has all it can do.
 * Return: 0; negative errno, said on stderr.
 */
int bench_latency(const struct bench_plan *plan, struct lab *lab, struct report *report);

/*
 * Filling the maps of proxy addresses, with 100000 domains; only the plan's rounds matter.
 * Return: 0; negative errno, said on stderr.
 */
int bench_install(const struct bench_plan *plan, struct report *report);
