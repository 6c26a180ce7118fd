/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* Source addresses that no client has. `address`: as in struct packet. */
#ifndef SLUICE_SOURCES_H
#define SLUICE_SOURCES_H

#include "headers.h"

/* 0.0.0.0/8 (this network), 127.0.0.0/8 (loopback), 224.0.0.0 and above (multicast, reserved, broadcast). */
static __always_inline int is_no_client4(const __u64 *address)
{
	__u64 first = address[0] & 0xff;

	/* 0 wraps around. */
	return first - 1 >= 223 || first == 127;
}

/* ff00::/8 (multicast), ::ffff:0:0/96 (IPv4-mapped), :: and ::1 (unspecified, loopback). */
static __always_inline int is_no_client6(const __u64 *address)
{
	__u64 high = address[0], low = address[1];

	if ((high & 0xff) == 0xff)
		return 1;
	if (high)
		return 0;
	return (__u32)low == bpf_htonl(0xffff) || (!(__u32)low && bpf_ntohl(low >> 32) <= 1);
}

#endif
