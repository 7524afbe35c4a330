/* SPDX-License-Identifier: BSD-2-Clause */
/* What view.c and view_progs.c share. */
#pragma once

#include "dataplane/internal.h"
#include "dataplane/view.h"

struct dpview {
	char bpffs[DP_PATH_MAX];
	int maps[M_COUNT]; /* opened for reading only */
};
