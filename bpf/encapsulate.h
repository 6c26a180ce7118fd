/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* Room in front of a frame in XDP, and the outer header in it. */
#ifndef SLUICE_ENCAPSULATE_H
#define SLUICE_ENCAPSULATE_H

#include "maps.h"
#include "outer_header.h"
#include "packet.h"

static __always_inline void write_ethernet(struct ethernet *ethernet, __u64 to, __be16 type)
{
	__u64 from = interface.mac;

	((__u64 *)ethernet)[0] = (to & 0xffffffffffff) | from << 48;
	*(__u32 *)&ethernet->source[2] = from >> 16;
	ethernet->type = type;
}

static __always_inline enum verdict encapsulate_in_ipv4(struct xdp_md *ctx, const struct packet *packet,
							 const struct backend *backend, __u64 next_hop, __u32 hash)
{
	struct outer_ipv4 outer = prepare_ipv4(packet, backend, entropy_of(hash));
	struct iphdr *ip;

	if (bpf_xdp_adjust_head(ctx, -(int)sizeof(*ip)))
		return VERDICT_DROPPED_ENCAPSULATION;
	ip = frame_at(ctx, AT_IP);
	if (ends_before(ctx, ip + 1))
		return VERDICT_DROPPED_ENCAPSULATION;

	write_ethernet((void *)ip - ETH_HLEN, next_hop, bpf_htons(ETH_P_IP));
	write_ipv4(ip, &outer, packet, backend);
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
	write_ipv6(ip, packet, backend, entropy_of(hash));
	return VERDICT_FORWARDED;
}

#endif
