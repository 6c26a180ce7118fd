/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* IPv4 packets: which service they are for, and whether they are sound. */
#ifndef SLUICE_IPV4_H
#define SLUICE_IPV4_H

#include "icmp.h"
#include "service.h"

#define FRAGMENT_BITS 0x3fff /* more fragments, offset */
#define OFFSET_BITS 0x1fff
#define LOWEST_MTU4 68 /* RFC 791: every link carries as much */
#define NARROW_MTU4 552 /* below, Linux sends by fragments: net.ipv4.route.min_pmtu */

/* Addresses that no client has: this network, loopback, multicast, reserved, broadcast; the VIP itself, and others. */
static __always_inline int is_martian4(const struct packet *packet)
{
	__u8 first = packet->client[0];

	if (first == 0 || first == 127 || first >= 224 || packet->client[0] == packet->vip[0])
		return 1;
	return may_be_vip(packet->client) && is_refused_vip_source(packet);
}

/* What holds for every packet for a VIP, once its headers are known to be within the frame. */
static __always_inline enum verdict check_ipv4(const struct packet *packet, __u8 ttl)
{
	if (packet->length + ETH_HLEN + packet->tag_count * VLAN_TAG_LENGTH > packet->frame_length)
		return VERDICT_DROPPED_TRUNCATED;
	/* A VIP is the packet's destination, not a hop on its path: RFC 1122, 3.2.1.7. */
	if (!ttl)
		return VERDICT_DROPPED_TTL_EXPIRED;
	if (is_martian4(packet))
		return VERDICT_DROPPED_MARTIAN_SOURCE;
	return VERDICT_FORWARDED;
}

/*
 * Counts an ICMP error against its limit. "Fragmentation needed" with an MTU that a host answers by fragments, or with
 * none (RFC 1191, section 5), is rare where it is honest and harms most where it is forged: it has a limit of its own.
 */
static __always_inline enum verdict limit_icmp4_error(const struct icmp_header *icmp, __u64 network)
{
	if (icmp->type == ICMP4_UNREACHABLE && icmp->code == ICMP4_CODE_FRAGMENTATION_NEEDED &&
	    (bpf_ntohl(icmp->rest) & 0xffff) < NARROW_MTU4)
		return within_limit(ANSWER_NARROW_MTU, network) ? VERDICT_FORWARDED : VERDICT_DROPPED_ICMP_MTU;
	return within_limit(ANSWER_ICMP_ERROR, network) ? VERDICT_FORWARDED : VERDICT_DROPPED_RATE_LIMITED;
}

/* An ICMP error about a packet of ours: it belongs to the flow that the packet belongs to. */
static __noinline enum verdict read_icmp4_error(struct xdp_md *ctx, struct packet *packet)
{
	struct icmp_header *icmp = frame_at(ctx, AT_TRANSPORT4);
	struct iphdr *inner = (void *)(icmp + 1);
	__u32 ports, inner_length, mtu;
	__u8 first;

	if (ends_before(ctx, inner + 1))
		return refuse(packet, VERDICT_DROPPED_TRUNCATED);
	first = *(__u8 *)inner;
	inner_length = (first & 0xf) * 4;
	if (first >> 4 != 4 || inner_length < sizeof(*inner))
		return refuse(packet, VERDICT_DROPPED_MALFORMED);
	if (inner->frag_off & bpf_htons(OFFSET_BITS))
		return refuse(packet, VERDICT_DROPPED_FRAGMENT);
	if (inner->saddr != packet->vip[0] ||
	    (inner->protocol != IPPROTO_TCP && inner->protocol != IPPROTO_UDP))
		return refuse(packet, VERDICT_DROPPED_ICMP_UNRELATED);
	if (packet->length < AT_TRANSPORT4 - AT_IP + sizeof(*icmp) + inner_length + sizeof(ports))
		return refuse(packet, VERDICT_DROPPED_TRUNCATED);
	mtu = bpf_ntohl(icmp->rest) & 0xffff;
	if (icmp->type == ICMP4_UNREACHABLE && icmp->code == ICMP4_CODE_FRAGMENTATION_NEEDED &&
	    mtu && mtu < LOWEST_MTU4)
		return refuse(packet, VERDICT_DROPPED_ICMP_MTU);

	set_address4(packet->client, inner->daddr);
	packet->protocol = inner->protocol;
	packet->icmp_error = 1;
	if (bpf_xdp_load_bytes(ctx, AT_TRANSPORT4 + sizeof(*icmp) + inner_length, &ports, sizeof(ports)))
		return refuse(packet, VERDICT_DROPPED_TRUNCATED);
	packet->ports = ports >> 16 | ports << 16;
	return VERDICT_FORWARDED;
}

static __noinline enum verdict process_icmp4(struct xdp_md *ctx, struct packet *packet, __u8 ttl,
						   __u64 *service)
{
	struct icmp_header *icmp = frame_at(ctx, AT_TRANSPORT4);
	__u64 network = source_network(packet);
	enum verdict verdict;

	if (ends_before(ctx, icmp + 1) || packet->length < sizeof(struct iphdr) + sizeof(*icmp))
		return refuse(packet, VERDICT_DROPPED_TRUNCATED);
	switch (icmp->type) {
	case ICMP4_ECHO_REQUEST:
		if (!is_vip(packet))
			return VERDICT_PASSED_NOT_OURS;
		verdict = check_ipv4(packet, ttl);
		return verdict == VERDICT_FORWARDED ? answer_echo4(ctx, packet) : verdict;
	case ICMP4_UNREACHABLE:
	case ICMP4_TIME_EXCEEDED:
	case ICMP4_PARAMETER_PROBLEM:
		verdict = check_ipv4(packet, ttl);
		if (verdict != VERDICT_FORWARDED)
			return refuse(packet, verdict);
		verdict = read_icmp4_error(ctx, packet);
		if (verdict != VERDICT_FORWARDED)
			return verdict;
		*service = find_service(packet);
		if (!*service)
			return refuse(packet, VERDICT_DROPPED_ICMP_UNRELATED);
		return limit_icmp4_error(icmp, network);
	default:
		verdict = judge_unserved(packet);
		return verdict == VERDICT_FORWARDED ? VERDICT_DROPPED_UNSERVED : verdict;
	}
}

/* VERDICT_FORWARDED with the packet's service, or without one where it is for a VIP; or what else becomes of it. */
static __always_inline enum verdict process_ipv4(struct xdp_md *ctx, struct packet *packet, __u64 *service)
{
	struct iphdr *ip = frame_at(ctx, AT_IP);
	struct transport_header *transport;
	enum verdict verdict;
	__u8 first, ttl;
	__u32 room;

	if (ends_before(ctx, ip + 1))
		return VERDICT_PASSED_NOT_OURS;
	packet->family = 4;
	set_address4(packet->client, ip->saddr);
	set_address4(packet->vip, ip->daddr);
	packet->length = bpf_ntohs(ip->tot_len);
	packet->traffic_class = ip->tos;
	packet->protocol = ip->protocol;
	ttl = ip->ttl;
	first = *(__u8 *)ip;

	if (first != 0x45)
		return refuse(packet, first > 0x45 && first <= 0x4f ? VERDICT_DROPPED_IP_OPTIONS
								     : VERDICT_DROPPED_MALFORMED);
	if (ip->frag_off & bpf_htons(FRAGMENT_BITS))
		return refuse(packet, VERDICT_DROPPED_FRAGMENT);
	if (packet->protocol == IPPROTO_ICMP)
		return process_icmp4(ctx, packet, ttl, service);
	if (packet->protocol != IPPROTO_TCP && packet->protocol != IPPROTO_UDP) {
		verdict = judge_unserved(packet);
		return verdict == VERDICT_FORWARDED ? check_ipv4(packet, ttl) : verdict;
	}

	transport = (void *)(ip + 1);
	if (ends_before(ctx, transport + 1))
		return refuse(packet, VERDICT_DROPPED_TRUNCATED);
	packet->ports = *(__u32 *)transport;
	*service = find_service(packet);
	if (!*service) {
		verdict = judge_unserved(packet);
		if (verdict != VERDICT_FORWARDED)
			return verdict;
	}

	verdict = check_ipv4(packet, ttl);
	if (verdict != VERDICT_FORWARDED)
		return verdict;
	if (packet->length < sizeof(*ip) + sizeof(*transport))
		return VERDICT_DROPPED_MALFORMED;
	room = packet->length - sizeof(*ip);
	if (packet->protocol == IPPROTO_UDP)
		return check_udp(transport, room);
	struct tcp_rest *rest = (void *)(transport + 1);

	return ends_before(ctx, rest + 1) ? VERDICT_DROPPED_TRUNCATED : check_tcp(packet, rest, room);
}

#endif
