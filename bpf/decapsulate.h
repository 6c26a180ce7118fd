/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * The backend's end of the tunnel: removes the outer headers from packets of a balancer. This host's stack gets the inner
 * packet as if the client had sent it here. The outer headers are IPv4 or IPv6, then nothing (IPIP), UDP (FOU, GUE variant
 * 1), UDP and GUE (variant 0) or GRE (carrier.h).
 *
 * The outer source must be a balancer, and the inner destination a VIP. Otherwise any host could send packets past the
 * filters in front of the balancers. There is one exception: an echo request for the tunnel's own address is
 * decapsulated, because a balancer checks by it that this program works. The inner packet must be TCP, UDP or ICMP, as
 * other protocols have no service. Its source must not be an address of this host, which would then answer itself.
 *
 * This file decides. decapsulate_xdp.bpf.c and decapsulate_tc.bpf.c remove the headers. The checksums of the outer IPv4
 * and UDP headers are not verified: if a header is corrupt, the checks here still hold. The stack verifies the inner
 * checksums.
 */
#ifndef SLUICE_DECAPSULATE_H
#define SLUICE_DECAPSULATE_H

#include "carrier.h"
#include "decapsulation_maps.h"
#include "extension_headers.h"
#include "inner_packet.h"
#include "parse.h"

/* The most that examine() reads and writes directly. */
#define TUNNEL_HEADERS_LENGTH                                                                                       \
	(AT_IP + 2 * sizeof(struct ipv6hdr) + UDP_HEADER_LENGTH + sizeof(struct gue_header) + sizeof(struct icmp_header))

/*
 * `outer_length` is a constant where this is inlined: no packet offset varies. `carried`: IPPROTO_IPIP, IPPROTO_IPV6, or
 * anything else, which is malformed. `end`: of the inner packet, in octets from the start of the outer one.
 */
static __always_inline enum decapsulation_verdict check_inner(struct tunnelled *frame, const struct frame *bounds,
							      const __u64 outer_length, __u64 carried, __u64 end)
{
	void *inner = (void *)bounds->data + AT_IP + outer_length;

	if (end < outer_length || end > frame->packet_length || AT_IP + frame->packet_length > frame->frame_length)
		return DECAPSULATION_DROPPED_MALFORMED;
	frame->outer_length = outer_length;
	if (carried == IPPROTO_IPIP)
		return check_inner4(frame, inner, bounds->end, end - outer_length, frame->traffic_class);
	if (carried == IPPROTO_IPV6)
		return check_inner6(frame, inner, bounds->end, end - outer_length, frame->traffic_class);
	return DECAPSULATION_DROPPED_MALFORMED;
}

/* `at`: of the header behind the outer IP header, a constant. */
static __always_inline enum decapsulation_verdict check_datagram(struct tunnelled *frame, const struct frame *bounds,
								 __u64 carrier, const int at)
{
	const __u64 behind_udp = at - AT_IP + UDP_HEADER_LENGTH;
	const struct transport_header *udp = bounds->data + at;
	const struct gue_header *gue = bounds->data + at + UDP_HEADER_LENGTH;
	__u64 end;

	if (is_beyond(bounds, gue + 1))
		return DECAPSULATION_DROPPED_MALFORMED;
	end = at - AT_IP + bpf_ntohs(udp->udp.length);
	if (carrier == CARRIER_GUE && is_gue_header(gue))
		return check_inner(frame, bounds, behind_udp + sizeof(*gue), gue->protocol, end);
	return check_inner(frame, bounds, behind_udp, protocol_of_version(gue->first), end);
}

static __always_inline enum decapsulation_verdict check_carried(struct tunnelled *frame, const struct frame *bounds,
								__u64 carrier, __u64 protocol, const int at)
{
	const struct gre_header *gre = bounds->data + at;

	if (carrier == CARRIER_IP)
		return check_inner(frame, bounds, at - AT_IP, protocol, frame->packet_length);
	if (carrier != CARRIER_GRE)
		return check_datagram(frame, bounds, carrier, at);
	if (is_beyond(bounds, gre + 1))
		return DECAPSULATION_DROPPED_MALFORMED;
	return check_inner(frame, bounds, at - AT_IP + sizeof(*gre), protocol_of_type(gre->type), frame->packet_length);
}

/* Out of line, as check_inner4(). */
static __noinline enum decapsulation_verdict check_carried4(struct tunnelled *frame, const struct frame *bounds,
							    __u64 carrier, __u64 protocol)
{
	return check_carried(frame, bounds, carrier, protocol, AT_TRANSPORT4);
}

static __noinline enum decapsulation_verdict check_carried6(struct tunnelled *frame, const struct frame *bounds,
							    __u64 carrier, __u64 protocol)
{
	return check_carried(frame, bounds, carrier, protocol, AT_TRANSPORT6);
}

static __noinline __u64 carrier_of4(const struct frame *bounds, __u64 protocol, __u64 is_plain)
{
	return carrier_of(bounds, protocol, AT_TRANSPORT4, is_plain);
}

static __noinline __u64 carrier_of6(const struct frame *bounds, __u64 protocol, __u64 is_plain)
{
	return carrier_of(bounds, protocol, AT_TRANSPORT6, is_plain);
}

static __always_inline void note_outer(struct tunnelled *frame, const struct packet *outer)
{
	frame->packet_length = outer->length;
	frame->traffic_class = outer->traffic_class;
}

static __always_inline enum decapsulation_verdict examine4(struct tunnelled *frame, const struct frame *bounds)
{
	struct packet outer = {};
	decision flaw = parse_ipv4(bounds, AT_IP, &outer);
	__u64 carrier;

	if (flaw == VERDICT_PASSED_NOT_OURS)
		return DECAPSULATION_PASSED_NOT_TUNNELLED;
	note_outer(frame, &outer);
	carrier = carrier_of4(bounds, outer.protocol, flaw == UNDECIDED);
	if (carrier == CARRIER_NONE)
		return DECAPSULATION_PASSED_NOT_TUNNELLED;
	if (!ends_tunnels(outer.vip, 4))
		return DECAPSULATION_PASSED_OTHER_DESTINATION;
	if (!is_balancer4(outer.client))
		return DECAPSULATION_DROPPED_SOURCE;
	switch (flaw) {
	case UNDECIDED:
		return check_carried4(frame, bounds, carrier, outer.protocol);
	case VERDICT_DROPPED_IP_OPTIONS:
		return DECAPSULATION_DROPPED_OUTER_OPTIONS;
	case VERDICT_DROPPED_FRAGMENT:
		return DECAPSULATION_DROPPED_OUTER_FRAGMENT;
	default:
		return DECAPSULATION_DROPPED_MALFORMED;
	}
}

/*
 * The verdict on an outer packet with an extension header in front of the carried packet. Only IPIP is found there: the
 * headers of GRE and UDP are not where their parsers look.
 */
static __noinline enum decapsulation_verdict examine_extension(const struct frame *bounds, __u64 protocol)
{
	const struct extension_header *header = bounds->data + AT_TRANSPORT6;

	if (!is_extension_header(protocol) || protocol == IPPROTO_AH)
		return DECAPSULATION_PASSED_NOT_TUNNELLED;
	if (is_beyond(bounds, &header->length) || !carries_ip(header->next) || !may_carry(header->next))
		return DECAPSULATION_PASSED_NOT_TUNNELLED;
	return protocol == IPPROTO_FRAGMENT ? DECAPSULATION_DROPPED_OUTER_FRAGMENT
					    : DECAPSULATION_DROPPED_OUTER_OPTIONS;
}

static __always_inline enum decapsulation_verdict examine6(struct tunnelled *frame, const struct frame *bounds)
{
	enum decapsulation_verdict verdict = DECAPSULATION_DECAPSULATED;
	struct packet outer = {};
	decision flaw = parse_ipv6(bounds, AT_IP, &outer);
	__u64 carrier;

	if (flaw == VERDICT_PASSED_NOT_OURS)
		return DECAPSULATION_PASSED_NOT_TUNNELLED;
	note_outer(frame, &outer);
	carrier = carrier_of6(bounds, outer.protocol, flaw == UNDECIDED);
	if (carrier == CARRIER_NONE) {
		verdict = examine_extension(bounds, outer.protocol);
		if (verdict == DECAPSULATION_PASSED_NOT_TUNNELLED)
			return verdict;
	}
	if (!ends_tunnels(outer.vip, 6))
		return DECAPSULATION_PASSED_OTHER_DESTINATION;
	if (!is_balancer6(outer.client))
		return DECAPSULATION_DROPPED_SOURCE;
	if (verdict != DECAPSULATION_DECAPSULATED)
		return verdict;
	if (flaw != UNDECIDED)
		return DECAPSULATION_DROPPED_MALFORMED;
	return check_carried6(frame, bounds, carrier, outer.protocol);
}

/* One step over an inner extension header; 1 ends the walk. */
static long step_over_inner(__u32 index, struct header_walk *walk)
{
	struct extension_header header;

	if (!is_extension_header(walk->next) || load_frame_bytes(walk->ctx, walk->offset, &header, 2))
		return 1;
	step_over(walk, &header);
	return 0;
}

/* The verdict on an inner packet whose first next header is an extension header. */
static __noinline enum decapsulation_verdict check_transport6(frame_context *ctx, const struct tunnelled *frame)
{
	struct header_walk walk = {
		.ctx = ctx,
		.offset = AT_IP + frame->outer_length + sizeof(struct ipv6hdr),
		.next = frame->extension & 0xff,
	};

	bpf_loop(EXTENSION_HEADERS_MAX, step_over_inner, &walk, 0);
	return is_served6(walk.next) ? DECAPSULATION_DECAPSULATED : DECAPSULATION_DROPPED_INNER_PROTOCOL;
}

/* DECAPSULATION_DECAPSULATED: the caller is to remove the outer header. Changes nothing but the inner ECN field. */
static __always_inline enum decapsulation_verdict examine(frame_context *ctx, struct tunnelled *frame)
{
	struct frame bounds = read_frame(ctx);
	const struct ethernet *ethernet = bounds.data;
	enum decapsulation_verdict verdict;

	if (is_beyond(&bounds, ethernet + 1))
		return DECAPSULATION_PASSED_NOT_IP;
	frame->outer_type = ethernet->type;
	if (ethernet->type == bpf_htons(ETH_P_IP))
		verdict = examine4(frame, &bounds);
	else if (ethernet->type == bpf_htons(ETH_P_IPV6))
		verdict = examine6(frame, &bounds);
	else
		return DECAPSULATION_PASSED_NOT_IP;
	if (verdict == DECAPSULATION_DECAPSULATED && frame->extension)
		verdict = check_transport6(ctx, frame);
	return verdict;
}

#endif
