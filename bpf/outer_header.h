/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* The outer header: IPIP in all four combinations of families (RFC 2003, 2473, 4213). For XDP and tc alike. */
#ifndef SLUICE_OUTER_HEADER_H
#define SLUICE_OUTER_HEADER_H

#include "backends.h"
#include "packet.h"

#define OUTER_TTL 64
#define IPV4_DF 0x4000

static __always_inline __u32 outer_length(const struct backend *backend)
{
	return backend->family == 4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr);
}

static __always_inline __u32 last_word(const __u8 *address)
{
	return *(const __u32 *)(address + 12);
}

/*
 * The flow's entropy for the outer source address. The multiplication spreads the hash anew: its high bits
 * selected the slot, so they alone would say little that the destination does not say.
 */
static __always_inline __u32 entropy_of(__u32 hash)
{
	return hash * 0x9e3779b1;
}

/* Ones' complement sum folded to 16 bits (RFC 1071). */
static __always_inline __u16 fold(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* What packets to one backend differ in: computed before there is room for the header. */
struct outer_ipv4 {
	__u16 length;
	/* 64 bits: Linux 6.1 refuses, without CAP_PERFMON, to spill 32 bits to half of a word of the stack. */
	__u64 protocol;
	__u64 varying;		/* the source's bits that carry entropy */
	__u32 sum;
};

static __always_inline struct outer_ipv4 prepare_ipv4(const struct packet *packet, const struct backend *backend,
						       __u32 entropy)
{
	__u16 length = bpf_htons(packet->length + sizeof(struct iphdr));
	__u64 protocol = packet->family == 4 ? IPPROTO_IPIP : IPPROTO_IPV6;
	__u64 mask = *(const volatile __be32 *)&backend->source_mask;
	__u64 varying = entropy & mask;
	__u32 sum = backend->header_sum + (varying & 0xffff) + (varying >> 16) + length +
		    bpf_htons(packet->traffic_class) + bpf_htons(protocol);

	return (struct outer_ipv4){ length, protocol, varying, sum };
}

static __always_inline void write_ipv4(struct iphdr *ip, const struct outer_ipv4 *outer, const struct packet *packet,
				       const struct backend *backend)
{
	*(__u16 *)ip = 0x45 | packet->traffic_class << 8;
	ip->tot_len = outer->length;
	ip->id = 0; /* atomic datagram: RFC 6864 */
	ip->frag_off = bpf_htons(IPV4_DF);
	*(__u16 *)&ip->ttl = OUTER_TTL | outer->protocol << 8;
	ip->check = ~fold(outer->sum);
	ip->saddr = last_word(backend->source) | outer->varying;
	ip->daddr = last_word(backend->destination);
}

static __always_inline void write_ipv6(struct ipv6hdr *ip, const struct packet *packet, const struct backend *backend,
				       __u32 entropy)
{
	/* Version, traffic class, and the entropy as flow label (RFC 6438). */
	*(__u32 *)ip = bpf_htonl(0x60000000 | (__u32)packet->traffic_class << 20 | (entropy & 0xfffff));
	ip->payload_len = bpf_htons(packet->length);
	ip->nexthdr = packet->family == 4 ? IPPROTO_IPIP : IPPROTO_IPV6;
	ip->hop_limit = OUTER_TTL;
	copy_address(&ip->saddr, backend->source);
	ip->saddr.in6_u.u6_addr32[3] |= entropy & backend->source_mask;
	copy_address(&ip->daddr, backend->destination);
}

#endif
