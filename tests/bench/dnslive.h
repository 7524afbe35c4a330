/* SPDX-License-Identifier: BSD-2-Clause */
/* What the generator of DNS queries (dnslive.bpf.c) and its runner (dnslive.c) agree on. */
#pragma once

#include <linux/types.h>

#define DNSLIVE_NAMES_MAX 65536
#define DNSLIVE_QUERY_MAX 120
#define DNSLIVE_GIVEN \
	1024 /* length that live frames are made with: no query's, see gen4 in bench.bpf.c */

/* The query for a name, a whole frame. */
struct dnslive_query {
	__u32 len;
	__u8 frame[DNSLIVE_QUERY_MAX];
};

struct dnslive_vars {
	__u64 rng;      /* xorshift64; not 0 */
	__u64 answered; /* right answers that came back */
	__u32 names;    /* queries are drawn from [0, names) */
	__u16 port;     /* that is asked, network order */
	__u16 direct;   /* 1: nobody answers, the queries themselves are counted */
};
