/* SPDX-License-Identifier: BSD-2-Clause */
/* Reverse lookup names: in-addr.arpa (RFC 1035 3.5) and ip6.arpa (RFC 3596 2.5). Pure. */
#pragma once

#include <stdbool.h>

#include "base/ipaddr.h"
#include "core/dname.h"

/* Whether @name is the reverse name of exactly one address (D-02), and of which. */
bool reverse_parse(const struct dname *name, struct fq_addr *ret_addr);
