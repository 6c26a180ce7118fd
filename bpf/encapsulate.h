/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* The outer header: IPIP in all four combinations of families (RFC 2003, 2473, 4213). */
#ifndef SLUICE_ENCAPSULATE_H
#define SLUICE_ENCAPSULATE_H

#include "maps.h"
#include "packet.h"

#define OUTER_TTL 64
#define IPV4_DF 0x4000

static __always_inline void write_ethernet(struct ethernet *ethernet, __u64 to, __be16 type)
{
	__u64 from = interface.mac;

	((__u64 *)ethernet)[0] = (to & 0xffffffffffff) | from << 48;
	*(__u32 *)&ethernet->source[2] = from >> 16;
	ethernet->type = type;
}

static __always_inline __u32 last_word(const __u8 *address)
{
	return *(const __u32 *)(address + 12);
}

/*
 * The flow's entropy for the outer source address. The multiplication spreads the hash anew: its high bits
 * selected the slot, so they alone would say little that the destination does not say.
 */
static __always_inline __u32 entropy(__u32 hash)
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

static __always_inline enum verdict encapsulate_in_ipv4(struct xdp_md *ctx, const struct packet *packet,
							 const struct backend *backend, __u64 next_hop, __u32 hash)
{
	__u16 length = bpf_htons(packet->length + sizeof(struct iphdr));
	/* 64 bits: Linux 6.1 refuses, without CAP_PERFMON, to spill 32 bits to half of a word of the stack. */
	__u64 protocol = packet->family == 4 ? IPPROTO_IPIP : IPPROTO_IPV6;
	__u64 mask = *(const volatile __be32 *)&backend->source_mask;
	__u64 varying = entropy(hash) & mask;
	__u32 sum = backend->header_sum + (varying & 0xffff) + (varying >> 16) + length +
		    bpf_htons(packet->traffic_class) + bpf_htons(protocol);
	struct iphdr *ip;

	if (bpf_xdp_adjust_head(ctx, -(int)sizeof(*ip)))
		return VERDICT_DROPPED_ENCAPSULATION;
	ip = frame_at(ctx, AT_IP);
	if (ends_before(ctx, ip + 1))
		return VERDICT_DROPPED_ENCAPSULATION;

	write_ethernet((void *)ip - ETH_HLEN, next_hop, bpf_htons(ETH_P_IP));
	*(__u16 *)ip = 0x45 | packet->traffic_class << 8;
	ip->tot_len = length;
	ip->id = 0; /* atomic datagram: RFC 6864 */
	ip->frag_off = bpf_htons(IPV4_DF);
	*(__u16 *)&ip->ttl = OUTER_TTL | protocol << 8;
	ip->check = ~fold(sum);
	ip->saddr = last_word(backend->source) | varying;
	ip->daddr = last_word(backend->destination);
	return VERDICT_FORWARDED;
}

static __always_inline enum verdict encapsulate_in_ipv6(struct xdp_md *ctx, const struct packet *packet,
							 const struct backend *backend, __u64 next_hop, __u32 hash)
{
	struct ipv6hdr *ip;

	if (bpf_xdp_adjust_head(ctx, -(int)sizeof(*ip)))
		return VERDICT_DROPPED_ENCAPSULATION;
	ip = frame_at(ctx, AT_IP);
	if (ends_before(ctx, ip + 1))
		return VERDICT_DROPPED_ENCAPSULATION;

	write_ethernet((void *)ip - ETH_HLEN, next_hop, bpf_htons(ETH_P_IPV6));
	/* Version, traffic class, and the entropy as flow label (RFC 6438). */
	*(__u32 *)ip = bpf_htonl(0x60000000 | (__u32)packet->traffic_class << 20 | (entropy(hash) & 0xfffff));
	ip->payload_len = bpf_htons(packet->length);
	ip->nexthdr = packet->family == 4 ? IPPROTO_IPIP : IPPROTO_IPV6;
	ip->hop_limit = OUTER_TTL;
	copy_address(&ip->saddr, backend->source);
	ip->saddr.in6_u.u6_addr32[3] |= entropy(hash) & backend->source_mask;
	copy_address(&ip->daddr, backend->destination);
	return VERDICT_FORWARDED;
}

#endif
