/* SPDX-License-Identifier: BSD-2-Clause */
/* What the benchmark of domains has measured, and how it is told; see domains.c. */
#pragma once

#include <stdint.h>

#include "base/instant.h"
#include "core/edge.h"
#include "report.h"

#define SIZES 3

/* Kinds of inputs. */
enum { KNOWN, NEW, STATUS, KINDS };

/* An edge with its domains, and what was measured of it. */
struct subject {
	struct edge *edge;
	uint32_t domains, next_new;
	struct instant now;
	struct figure cost[KINDS]; /* ns */
	uint64_t inputs[KINDS], actions[KINDS];
	double site_ns,
		site_worst_ms; /* of a gateway with as many: an input on the average, at worst */
	double heap, rss;      /* bytes for each domain */
	double lost_ms, slice_ms, walk_ms; /* the input; the longest of those after it; all */
	uint64_t lost_actions;             /* of all */
	uint64_t known_waits, new_waits;   /* of them, before a question that is asked now */
};

/* CPU time of this thread. */
double domains_cpu_ns(void);

/* A name below corp.example. */
void domains_name_of(uint32_t number, struct dname *ret_name);

/* Fill a gateway. Return: 0; negative errno. */
int domains_gateway(struct subject *s);

/* A table on stdout: rows are figures, columns numbers of domains. */
void domains_print(const struct subject subjects[SIZES]);

/* Return: 0; -1, said on stderr. */
int domains_write(const struct subject subjects[SIZES], const char *path);
