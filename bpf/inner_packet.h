/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* What the decapsulator demands of the packet inside a tunnelled frame. */
#ifndef SLUICE_INNER_PACKET_H
#define SLUICE_INNER_PACKET_H

#include "decapsulation_maps.h"
#include "ecn.h"
#include "extension_headers.h"
#include "parse.h"
#include "sources.h"

/* A frame under examination, and what is to be done to it. The fields have 64 bits: see struct packet. */
struct tunnelled {
	__u64 frame_length;	/* with the Ethernet header; tc may see less of the frame directly */
	__u64 packet_length;	/* of the outer packet, by its header */
	__u64 traffic_class;	/* of the outer packet */
	__u64 outer_length;	/* octets to remove after the Ethernet header */
	__u64 outer_type;	/* Ethernet types, network order */
	__u64 inner_type;
	__u64 sum_change;	/* what the new ECN field of an inner IPv6 header adds to a sum over the frame */
	__u64 extension;	/* HAS_EXTENSION and the kind of the inner packet's first extension header; or 0 */
};

#define HAS_EXTENSION 0x100

static __always_inline int is_served6(__u64 protocol)
{
	return has_ports(protocol) || protocol == IPPROTO_ICMPV6;
}

/* For a VIP, or an echo request of a balancer's check (`sluice check run`), which anybody may send without a tunnel. */
static __always_inline int is_for_us(const struct packet *inner)
{
	if (is_vip(inner->vip, inner->family))
		return 1;
	return inner->kind == PACKET_ICMP_ECHO && ends_tunnels(inner->vip, inner->family);
}

/*
 * Checks an inner IPv4 packet and merges the ECN fields. `payload`: octets behind the outer header, which the frame is
 * known to hold.
 *
 * The function is out of line because in one large function the compiler spills numbers over pointers, which Linux 6.1
 * refuses without CAP_PERFMON. It checks the frame's end before it parses, because without CAP_PERFMON the verifiers of
 * Linux 6.1 and 6.12 also follow the path on which the parser's result is ignored ("invalid access to packet").
 */
static __noinline enum decapsulation_verdict check_inner4(struct tunnelled *frame, struct iphdr *ip, const void *end,
							  __u32 payload, __u8 outer_class)
{
	struct frame bounds = { ip, end };
	struct packet inner = {};
	decision flaw;
	int ecn;

	if (is_beyond(&bounds, ip + 1))
		return DECAPSULATION_DROPPED_MALFORMED;
	flaw = parse_ipv4(&bounds, 0, &inner);
	/* Options and fragments are left to this host's stack. */
	if (flaw == VERDICT_DROPPED_MALFORMED)
		return DECAPSULATION_DROPPED_MALFORMED;
	if (inner.length < ip->ihl * 4u || inner.length > payload)
		return DECAPSULATION_DROPPED_MALFORMED;
	if (flaw == UNDECIDED && inner.protocol == IPPROTO_ICMP)
		parse_icmp4(&bounds, sizeof(*ip), &inner);
	if (!is_for_us(&inner))
		return DECAPSULATION_DROPPED_UNKNOWN_VIP;
	if (is_no_client4(inner.client) || is_own(inner.client, 4))
		return DECAPSULATION_DROPPED_INNER_SOURCE;
	if (!has_ports(inner.protocol) && inner.protocol != IPPROTO_ICMP)
		return DECAPSULATION_DROPPED_INNER_PROTOCOL;
	ecn = merge_ecn(outer_class, inner.traffic_class);
	if (ecn < 0)
		return DECAPSULATION_DROPPED_CONGESTION;
	if (ecn != (inner.traffic_class & ECN_MASK))
		set_ecn4(ip, ecn);
	frame->inner_type = bpf_htons(ETH_P_IP);
	return DECAPSULATION_DECAPSULATED;
}

static __noinline enum decapsulation_verdict check_inner6(struct tunnelled *frame, struct ipv6hdr *ip, const void *end,
							  __u32 payload, __u8 outer_class)
{
	struct frame bounds = { ip, end };
	struct packet inner = {};
	int ecn;

	if (is_beyond(&bounds, ip + 1))
		return DECAPSULATION_DROPPED_MALFORMED;
	if (parse_ipv6(&bounds, 0, &inner) != UNDECIDED || inner.length > payload)
		return DECAPSULATION_DROPPED_MALFORMED;
	if (inner.protocol == IPPROTO_ICMPV6)
		parse_icmp6(&bounds, sizeof(*ip), &inner);
	if (!is_for_us(&inner))
		return DECAPSULATION_DROPPED_UNKNOWN_VIP;
	if (is_no_client6(inner.client) || is_own(inner.client, 6))
		return DECAPSULATION_DROPPED_INNER_SOURCE;
	if (is_extension_header(inner.protocol))
		frame->extension = HAS_EXTENSION | inner.protocol;
	else if (!is_served6(inner.protocol))
		return DECAPSULATION_DROPPED_INNER_PROTOCOL;
	ecn = merge_ecn(outer_class, inner.traffic_class);
	if (ecn < 0)
		return DECAPSULATION_DROPPED_CONGESTION;
	frame->sum_change = set_ecn6(ip, ecn);
	frame->inner_type = bpf_htons(ETH_P_IPV6);
	return DECAPSULATION_DECAPSULATED;
}

#endif
