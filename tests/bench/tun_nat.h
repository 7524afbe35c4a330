/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A NAT in userspace over a TUN device: what a gateway without BPF does at least. For comparison
 * only: it knows the benchmark's translations, IPv4 and UDP, and forgets no session.
 */
#pragma once

/*
 * Make a TUN device in this thread's namespace; it lives as long as the descriptor.
 *
 * Return: descriptor; negative errno.
 */
int tun_nat_open(const char *name);

/* Translate what comes, for ever; returns only if the device is gone. */
void tun_nat_run(int fd);
