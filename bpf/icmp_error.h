/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * ICMP errors for a VIP. Each quotes a packet that a backend sent to a client in the VIP's name, and goes to that
 * flow's backend. The parsers here put the flow into struct packet: `client`, `ports` and `protocol` from the quoted
 * packet.
 */
#ifndef SLUICE_ICMP_ERROR_H
#define SLUICE_ICMP_ERROR_H

#include "extension_headers.h"
#include "match.h"
#include "verdict.h"

#define NARROW_MTU4 552 /* below, Linux sends by fragments: net.ipv4.route.min_pmtu */

static __always_inline void set_flow(struct packet *packet, __u32 ports, __u64 protocol)
{
	/* The quoted packet went from the VIP to the client, so its source port is the service's. */
	packet->ports = ports >> 16 | (__u64)(ports & 0xffff) << 16;
	packet->protocol = protocol;
	packet->icmp_error = 1;
}

static __always_inline int is_fragmentation_needed(const struct icmp_header *icmp)
{
	return icmp->type == ICMP4_UNREACHABLE && icmp->code == ICMP4_CODE_FRAGMENTATION_NEEDED;
}

static __noinline decision parse_icmp4_error(struct xdp_md *ctx, struct packet *packet)
{
	struct icmp_header *icmp = frame_at(ctx, AT_TRANSPORT4);
	struct iphdr *inner = (void *)(icmp + 1);
	__u64 inner_length, mtu;
	__u32 ports;
	__u8 first;

	if (ends_before(ctx, inner + 1))
		return VERDICT_DROPPED_TRUNCATED;
	first = *(__u8 *)inner;
	inner_length = (first & 0xf) * 4;
	if (first >> 4 != 4 || inner_length < sizeof(*inner))
		return VERDICT_DROPPED_MALFORMED;
	if (inner->frag_off & bpf_htons(IPV4_FRAGMENT_OFFSET_MASK))
		return VERDICT_DROPPED_FRAGMENT;
	if (inner->saddr != (__u32)packet->vip[0] || !has_ports(inner->protocol))
		return VERDICT_DROPPED_ICMP_UNRELATED;
	if (packet->length < AT_TRANSPORT4 - AT_IP + sizeof(*icmp) + inner_length + sizeof(ports))
		return VERDICT_DROPPED_TRUNCATED;
	mtu = bpf_ntohl(icmp->rest) & 0xffff;
	if (is_fragmentation_needed(icmp) && mtu && mtu < IPV4_LOWEST_MTU)
		return VERDICT_DROPPED_ICMP_MTU;

	packet->client[0] = inner->daddr;
	packet->protocol = inner->protocol;
	if (bpf_xdp_load_bytes(ctx, AT_TRANSPORT4 + sizeof(*icmp) + inner_length, &ports, sizeof(ports)))
		return VERDICT_DROPPED_TRUNCATED;
	set_flow(packet, ports, packet->protocol);
	return UNDECIDED;
}

/*
 * The quoted packet may have extension headers, and may be a first fragment, which has the ports. Hosts send datagrams
 * that exceed the path MTU in fragments, and "packet too big" is about one of these.
 */
static __noinline decision parse_icmp6_error(struct xdp_md *ctx, struct packet *packet)
{
	struct icmp_header *icmp = frame_at(ctx, AT_TRANSPORT6);
	struct ipv6hdr *inner = (void *)(icmp + 1);
	struct header_walk walk = {
		.ctx = ctx,
		.offset = AT_TRANSPORT6 + sizeof(*icmp) + sizeof(*inner),
		.is_quoted = 1,
	};
	__u64 source[2];
	decision flaw;
	__u32 ports;

	if (ends_before(ctx, inner + 1))
		return VERDICT_DROPPED_TRUNCATED;
	if (*(__u8 *)inner >> 4 != 6)
		return VERDICT_DROPPED_MALFORMED;
	copy_address(source, &inner->saddr);
	if (source[0] != packet->vip[0] || source[1] != packet->vip[1])
		return VERDICT_DROPPED_ICMP_UNRELATED;
	if (icmp->type == ICMP6_TOO_BIG && bpf_ntohl(icmp->rest) < IPV6_LOWEST_MTU)
		return VERDICT_DROPPED_ICMP_MTU;
	copy_address(packet->client, &inner->daddr);
	walk.next = inner->nexthdr;

	flaw = walk_headers(&walk);
	if (flaw != UNDECIDED)
		return flaw;
	if (!has_ports(walk.next))
		return VERDICT_DROPPED_ICMP_UNRELATED;
	if (walk.offset - AT_IP + sizeof(ports) > packet->length ||
	    bpf_xdp_load_bytes(ctx, walk.offset, &ports, sizeof(ports)))
		return VERDICT_DROPPED_TRUNCATED;
	set_flow(packet, ports, walk.next);
	return UNDECIDED;
}

/*
 * Which rate limit an error has. "Fragmentation needed" has one of its own if its MTU is so small that hosts fragment,
 * or if it has none (RFC 1191 §5): that is rare in honest use, and harmful if forged.
 */
static __always_inline enum answer limit_of_error(struct xdp_md *ctx, const struct packet *packet)
{
	struct icmp_header *icmp = frame_at(ctx, AT_TRANSPORT4);

	if (packet->family != 4 || ends_before(ctx, icmp + 1))
		return ANSWER_ICMP_ERROR;
	return is_fragmentation_needed(icmp) && (bpf_ntohl(icmp->rest) & 0xffff) < NARROW_MTU4 ? ANSWER_NARROW_MTU
												  : ANSWER_ICMP_ERROR;
}

/* UNDECIDED: the error is to be sent to the backend that its flow has at `service`. */
static __noinline decision admit_icmp_error(struct xdp_md *ctx, struct packet *packet, __u64 *service)
{
	__u64 network = source_network(packet);
	enum answer limit;
	decision flaw;

	flaw = packet->family == 4 ? parse_icmp4_error(ctx, packet) : parse_icmp6_error(ctx, packet);
	if (flaw != UNDECIDED)
		return flaw;
	*service = find_service(packet);
	if (!*service)
		return VERDICT_DROPPED_ICMP_UNRELATED;
	limit = limit_of_error(ctx, packet);
	if (within_limit(limit, network))
		return UNDECIDED;
	return limit == ANSWER_NARROW_MTU ? VERDICT_DROPPED_ICMP_MTU : VERDICT_DROPPED_RATE_LIMITED;
}

#endif
