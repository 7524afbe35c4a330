/* SPDX-License-Identifier: BSD-2-Clause */
/* What a session costs in kernel memory. */
#pragma once

/* Bytes that the kernel charges for a map; 0: it does not say. */
double memory_of_map(int map_fd);

/* Bytes of the kernel's unreclaimable slabs, of the whole machine; 0: unknown. */
double memory_slabs(void);
