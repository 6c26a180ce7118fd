/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* Explicit congestion notification across a tunnel's end (RFC 6040). */
#ifndef SLUICE_ECN_H
#define SLUICE_ECN_H

#include "headers.h"

#define ECN_MASK 3
#define ECN_NOT_CAPABLE 0
#define ECN_CAPABLE_1 1
#define ECN_CAPABLE_0 2
#define ECN_CONGESTED 3

/* The inner ECN field after decapsulation (RFC 6040 §4.2), or -1: the packet is to be dropped. */
static __always_inline int merge_ecn(__u64 outer, __u64 inner)
{
	outer &= ECN_MASK;
	inner &= ECN_MASK;
	if (inner == ECN_NOT_CAPABLE)
		return outer == ECN_CONGESTED ? -1 : ECN_NOT_CAPABLE;
	if (outer == ECN_CONGESTED)
		return ECN_CONGESTED;
	if (outer == ECN_CAPABLE_1 && inner == ECN_CAPABLE_0)
		return ECN_CAPABLE_1;
	return inner;
}

/* Sets the ECN bits and corrects the header's checksum for it (RFC 1624, equation 3). */
static __always_inline void set_ecn4(struct iphdr *ip, __u8 ecn)
{
	__u8 tos = (ip->tos & ~ECN_MASK) | ecn;
	__u32 sum;

	sum = (__u16)~bpf_ntohs(ip->check) + (__u32)(__u16)~(__u16)ip->tos + tos;
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	ip->check = bpf_htons(~sum);
	ip->tos = tos;
}

/* Sets the ECN bits. Returns what this adds to a one's complement sum over the frame: IPv6 has no header checksum. */
static __always_inline __u64 set_ecn6(struct ipv6hdr *ip, __u8 ecn)
{
	/* Version, traffic class (ECN: its low two bits), flow label. */
	__be32 before = *(__be32 *)ip, after = before;

	after &= ~bpf_htonl(ECN_MASK << 20);
	after |= bpf_htonl((__u32)ecn << 20);
	*(__be32 *)ip = after;
	return before == after ? 0 : (__u64)(__u32)~before + after;
}

#endif
