/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* IPv6 packets: which service they are for, and whether they are sound. */
#ifndef SLUICE_IPV6_H
#define SLUICE_IPV6_H

#include "icmp.h"
#include "service.h"

#define EXTENSION_HEADERS_MAX 6
#define LOWEST_MTU6 1280 /* RFC 8200 §5 */

/* Unspecified, loopback, IPv4-mapped, multicast; the VIP itself, and others. */
static __always_inline int is_martian6(const struct packet *packet)
{
	const __u32 *client = packet->client, *vip = packet->vip;

	if ((client[0] & 0xff) == 0xff)
		return 1;
	if (!client[0] && !client[1] &&
	    ((!client[2] && bpf_ntohl(client[3]) <= 1) || client[2] == bpf_htonl(0xffff)))
		return 1;
	if (client[0] == vip[0] && client[1] == vip[1] && client[2] == vip[2] && client[3] == vip[3])
		return 1;
	return may_be_vip(client) && is_refused_vip_source(packet);
}

static __always_inline enum verdict check_ipv6(const struct packet *packet, __u8 hop_limit)
{
	if (packet->length + ETH_HLEN + packet->tag_count * VLAN_TAG_LENGTH > packet->frame_length)
		return VERDICT_DROPPED_TRUNCATED;
	if (!hop_limit)
		return VERDICT_DROPPED_TTL_EXPIRED;
	if (is_martian6(packet))
		return VERDICT_DROPPED_MARTIAN_SOURCE;
	return VERDICT_FORWARDED;
}

/* One bit per next header value, all below 64: a chain of comparisons makes the verifier follow each of them. */
#define EXTENSION_HEADERS                                                                        \
	(1ull << IPPROTO_HOPOPTS | 1ull << IPPROTO_ROUTING | 1ull << IPPROTO_FRAGMENT |          \
	 1ull << IPPROTO_AH | 1ull << IPPROTO_DSTOPTS)

static __always_inline int is_extension_header(__u32 next)
{
	return next < 64 && EXTENSION_HEADERS >> next & 1;
}

/* Fields of eight octets: see element() in maps.h. */
struct header_walk {
	struct xdp_md *ctx;
	__u64 offset;
	__u64 next;
	__u64 is_quoted;	/* the headers are those of a packet that an ICMPv6 error quotes */
	__u64 trouble;		/* a verdict; VERDICT_FORWARDED: none */
};

/* The first octets of an extension header. What follows its length depends on its kind. */
struct extension_header {
	__u8 next;
	__u8 length;		/* in 8 octets beyond the first 8; of an authentication header, in 4 */
	union {
		struct {
			__u8 type;
			__u8 segments_left;
		} routing;
		struct {
			__u8 offset_high;
			__u8 offset_low; /* and "more fragments" */
		} fragment;
	};
};

#define FRAGMENT_OFFSET_LOW 0xf8

static __always_inline enum verdict check_header(__u32 kind, const struct extension_header *header)
{
	if (kind == IPPROTO_FRAGMENT &&
	    (header->fragment.offset_high || header->fragment.offset_low & FRAGMENT_OFFSET_LOW))
		return VERDICT_DROPPED_FRAGMENT;
	/* RFC 5095. A routing header without segments left is ignored, whatever its type: RFC 8200, section 4.4. */
	if (kind == IPPROTO_ROUTING && header->routing.type == 0 && header->routing.segments_left)
		return VERDICT_DROPPED_EXTENSION_HEADERS;
	return VERDICT_FORWARDED;
}

/* One step over an extension header; 1 ends the walk. */
static long step_over_header(__u32 index, struct header_walk *walk)
{
	__u32 next = walk->next;
	struct extension_header header;

	if (!is_extension_header(next))
		return 1;
	if (next == IPPROTO_FRAGMENT && !walk->is_quoted)
		walk->trouble = VERDICT_DROPPED_FRAGMENT;
	else if (bpf_xdp_load_bytes(walk->ctx, walk->offset, &header, sizeof(header)))
		walk->trouble = VERDICT_DROPPED_TRUNCATED;
	else
		walk->trouble = check_header(next, &header);
	if (walk->trouble != VERDICT_FORWARDED)
		return 1;
	if (next == IPPROTO_FRAGMENT)
		walk->offset += 8;
	else
		walk->offset += next == IPPROTO_AH ? (header.length + 2) * 4 : (header.length + 1) * 8;
	walk->next = header.next;
	return 0;
}

/*
 * Walks extension headers. Reads by bpf_xdp_load_bytes: a packet pointer with a variable offset would need CAP_PERFMON.
 * Steps by bpf_loop, which is verified once; unrolled, each branch of each step is followed in speculation too, more
 * than 6.12 does.
 */
static __always_inline enum verdict walk_headers(struct header_walk *walk)
{
	bpf_loop(EXTENSION_HEADERS_MAX, step_over_header, walk, 0);
	if (walk->trouble == VERDICT_FORWARDED && is_extension_header(walk->next))
		return walk->next == IPPROTO_FRAGMENT ? VERDICT_DROPPED_FRAGMENT : VERDICT_DROPPED_EXTENSION_HEADERS;
	return walk->trouble;
}

/*
 * An ICMPv6 error about a packet of ours: it belongs to the flow that the packet belongs to. The packet may have extension
 * headers, and may be a first fragment: hosts fragment what exceeds the path MTU, so that "too big" quotes fragments.
 */
static __noinline enum verdict read_icmp6_error(struct xdp_md *ctx, struct packet *packet)
{
	struct icmp_header *icmp = frame_at(ctx, AT_TRANSPORT6);
	struct ipv6hdr *inner = (void *)(icmp + 1);
	struct header_walk walk = {
		.ctx = ctx,
		.offset = AT_TRANSPORT6 + sizeof(*icmp) + sizeof(*inner),
		.is_quoted = 1,
	};
	enum verdict trouble;
	const __u32 *source;
	__u32 ports;

	if (ends_before(ctx, inner + 1))
		return refuse(packet, VERDICT_DROPPED_TRUNCATED);
	if (*(__u8 *)inner >> 4 != 6)
		return refuse(packet, VERDICT_DROPPED_MALFORMED);
	source = inner->saddr.in6_u.u6_addr32;
	if (source[0] != packet->vip[0] || source[1] != packet->vip[1] || source[2] != packet->vip[2] ||
	    source[3] != packet->vip[3])
		return refuse(packet, VERDICT_DROPPED_ICMP_UNRELATED);
	if (icmp->type == ICMP6_TOO_BIG && bpf_ntohl(icmp->rest) < LOWEST_MTU6)
		return refuse(packet, VERDICT_DROPPED_ICMP_MTU);
	copy_address(packet->client, &inner->daddr);
	walk.next = inner->nexthdr;

	trouble = walk_headers(&walk);
	if (trouble != VERDICT_FORWARDED)
		return refuse(packet, trouble);
	if (walk.next != IPPROTO_TCP && walk.next != IPPROTO_UDP)
		return refuse(packet, VERDICT_DROPPED_ICMP_UNRELATED);
	if (walk.offset - ETH_HLEN + sizeof(ports) > packet->length ||
	    bpf_xdp_load_bytes(ctx, walk.offset, &ports, sizeof(ports)))
		return refuse(packet, VERDICT_DROPPED_TRUNCATED);
	packet->ports = ports >> 16 | ports << 16;
	packet->protocol = walk.next;
	packet->icmp_error = 1;
	return VERDICT_FORWARDED;
}

static __noinline enum verdict process_icmp6(struct xdp_md *ctx, struct packet *packet, __u8 hop_limit,
						   __u64 *service)
{
	struct icmp_header *icmp = frame_at(ctx, AT_TRANSPORT6);
	__u64 network = source_network(packet);
	enum verdict verdict;

	if (ends_before(ctx, icmp + 1) || packet->length < sizeof(struct ipv6hdr) + sizeof(*icmp))
		return refuse(packet, VERDICT_DROPPED_TRUNCATED);
	switch (icmp->type) {
	case ICMP6_ECHO_REQUEST:
		if (!is_vip(packet))
			return VERDICT_PASSED_NOT_OURS;
		verdict = check_ipv6(packet, hop_limit);
		return verdict == VERDICT_FORWARDED ? answer_echo6(ctx, packet) : verdict;
	case ICMP6_UNREACHABLE:
	case ICMP6_TOO_BIG:
	case ICMP6_TIME_EXCEEDED:
	case ICMP6_PARAMETER_PROBLEM:
		verdict = check_ipv6(packet, hop_limit);
		if (verdict != VERDICT_FORWARDED)
			return refuse(packet, verdict);
		verdict = read_icmp6_error(ctx, packet);
		if (verdict != VERDICT_FORWARDED)
			return verdict;
		*service = find_service(packet);
		if (!*service)
			return refuse(packet, VERDICT_DROPPED_ICMP_UNRELATED);
		return within_limit(ANSWER_ICMP_ERROR, network) ? VERDICT_FORWARDED : VERDICT_DROPPED_RATE_LIMITED;
	default:
		/* The kernel answers for its addresses, also where one of them is a VIP. */
		if (icmp->type >= ICMP6_ROUTER_SOLICITATION && icmp->type <= ICMP6_REDIRECT)
			return VERDICT_PASSED_NOT_OURS;
		verdict = judge_unserved(packet);
		return verdict == VERDICT_FORWARDED ? VERDICT_DROPPED_UNSERVED : verdict;
	}
}

/* A transport header copied from behind extension headers. */
struct transport_copy {
	struct transport_header header;
	struct tcp_rest rest;
};

/* Walks the extension headers to TCP or UDP, whose header is copied. */
static __noinline enum verdict walk_extension_headers(struct xdp_md *ctx, struct packet *packet,
						       struct transport_copy *copy, __u64 *room)
{
	struct header_walk walk = { .ctx = ctx, .offset = AT_TRANSPORT6, .next = packet->protocol };
	enum verdict trouble = walk_headers(&walk);

	if (trouble != VERDICT_FORWARDED)
		return refuse(packet, trouble);
	packet->protocol = walk.next;
	if (walk.next != IPPROTO_TCP && walk.next != IPPROTO_UDP)
		return judge_unserved(packet);
	if (walk.offset - ETH_HLEN + 8 > packet->length)
		return refuse(packet, VERDICT_DROPPED_MALFORMED);
	*room = packet->length + ETH_HLEN - walk.offset;
	if (bpf_xdp_load_bytes(ctx, walk.offset, copy, 8) ||
	    (walk.next == IPPROTO_TCP && bpf_xdp_load_bytes(ctx, walk.offset, copy, sizeof(*copy))))
		return refuse(packet, VERDICT_DROPPED_TRUNCATED);
	return VERDICT_FORWARDED;
}

static __noinline enum verdict process_extended_ipv6(struct xdp_md *ctx, struct packet *packet, __u8 hop_limit,
						      __u64 *service)
{
	struct transport_copy copy = {};
	enum verdict verdict;
	__u64 room = 0;

	verdict = walk_extension_headers(ctx, packet, &copy, &room);
	if (verdict != VERDICT_FORWARDED)
		return verdict;
	if (packet->protocol != IPPROTO_TCP && packet->protocol != IPPROTO_UDP)
		return check_ipv6(packet, hop_limit);
	packet->ports = *(__u32 *)&copy.header;
	*service = find_service(packet);
	if (!*service) {
		verdict = judge_unserved(packet);
		if (verdict != VERDICT_FORWARDED)
			return verdict;
	}
	verdict = check_ipv6(packet, hop_limit);
	if (verdict != VERDICT_FORWARDED)
		return verdict;
	return packet->protocol == IPPROTO_UDP ? check_udp(&copy.header, room) : check_tcp(packet, &copy.rest, room);
}

/* VERDICT_FORWARDED with the packet's service, or without one where it is for a VIP; or what else becomes of it. */
static __always_inline enum verdict process_ipv6(struct xdp_md *ctx, struct packet *packet, __u64 *service)
{
	struct ipv6hdr *ip = frame_at(ctx, AT_IP);
	struct transport_header *transport;
	enum verdict verdict;
	__u32 first, room;
	__u8 hop_limit;

	if (ends_before(ctx, ip + 1))
		return VERDICT_PASSED_NOT_OURS;
	packet->family = 6;
	first = bpf_ntohl(*(__u32 *)ip);
	copy_address(packet->client, &ip->saddr);
	copy_address(packet->vip, &ip->daddr);
	room = bpf_ntohs(ip->payload_len);
	packet->length = sizeof(*ip) + room;
	packet->traffic_class = first >> 20;
	packet->protocol = ip->nexthdr;
	hop_limit = ip->hop_limit;

	if (first >> 28 != 6)
		return refuse(packet, VERDICT_DROPPED_MALFORMED);
	if (packet->protocol == IPPROTO_ICMPV6)
		return process_icmp6(ctx, packet, hop_limit, service);
	if (packet->protocol != IPPROTO_TCP && packet->protocol != IPPROTO_UDP) {
		if (is_extension_header(packet->protocol))
			return process_extended_ipv6(ctx, packet, hop_limit, service);
		verdict = judge_unserved(packet);
		return verdict == VERDICT_FORWARDED ? check_ipv6(packet, hop_limit) : verdict;
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

	verdict = check_ipv6(packet, hop_limit);
	if (verdict != VERDICT_FORWARDED)
		return verdict;
	if (room < sizeof(*transport))
		return VERDICT_DROPPED_MALFORMED;
	if (packet->protocol == IPPROTO_UDP)
		return check_udp(transport, room);
	struct tcp_rest *rest = (void *)(transport + 1);

	return ends_before(ctx, rest + 1) ? VERDICT_DROPPED_TRUNCATED : check_tcp(packet, rest, room);
}

#endif
