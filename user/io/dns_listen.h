/* SPDX-License-Identifier: BSD-2-Clause */
/* Where a DNS server listens: said to it, and to those who must not ask it. */
#pragma once

#include <stdint.h>

#include <fqdnat/abi.h>

#define DNS_PORT 53

struct dns_listen {
	struct fq_addr addr; /* zero: every IPv6 and IPv4 address; 0.0.0.0: every IPv4 address */
	uint16_t port;       /* host order; 0: chosen by the kernel (see dns_server_port) */
};
