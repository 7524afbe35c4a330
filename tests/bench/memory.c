/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory of sessions; see memory.h. The program's maps are allocated in advance, so theirs is
 * what the kernel charges for the map. Connection tracking allocates by flow, from slabs and with
 * extensions of several sizes: there the growth of all slabs is taken, which is
 * right to some bytes a flow with 100000 flows on a machine that does nothing else.
 */
#include "memory.h"

#include <stdio.h>

#include "base/cleanup.h"

/* The number in the first line of a file that @format matches. */
static double number_in(const char *path, const char *format)
{
	_cleanup_(fclosep) FILE *f = fopen(path, "re");
	char line[256];
	unsigned long long n;

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, format, &n) == 1)
			return n;
	return 0;
}

double memory_of_map(int map_fd)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", map_fd);
	return number_in(path, "memlock: %llu");
}

double memory_slabs(void)
{
	return number_in("/proc/meminfo", "SUnreclaim: %llu kB") * 1024;
}
