/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* Packets for a VIP with a port or protocol that no service has. */
#ifndef SLUICE_UNSERVED_H
#define SLUICE_UNSERVED_H

#include "icmp.h"
#include "packet.h"
#include "reset.h"
#include "verdict.h"

/* The offset of the IPv6 header's next header field. */
#define AT_NEXT_HEADER __builtin_offsetof(struct ipv6hdr, nexthdr)

static __noinline int reject_datagram4(struct xdp_md *ctx, const struct packet *packet)
{
	__u8 code = packet->protocol == IPPROTO_UDP ? ICMP4_CODE_PORT_UNREACHABLE : ICMP4_CODE_PROTOCOL_UNREACHABLE;

	return write_error4(ctx, packet, QUOTE4, ICMP4_UNREACHABLE, code, 0);
}

/* A packet with extension headers gets no answer: the 8 octets that are quoted may not reach the transport header. */
static __noinline int reject_datagram6(struct xdp_md *ctx, const struct packet *packet)
{
	struct ipv6hdr *ip = frame_at(ctx, AT_IP);
	int is_udp = packet->protocol == IPPROTO_UDP;

	if (ends_before(ctx, ip + 1) || ip->nexthdr != packet->protocol)
		return -1;
	return write_error6(ctx, packet, QUOTE6, is_udp ? ICMP6_UNREACHABLE : ICMP6_PARAMETER_PROBLEM,
			    is_udp ? ICMP6_CODE_PORT_UNREACHABLE : ICMP6_CODE_UNKNOWN_NEXT_HEADER,
			    is_udp ? 0 : bpf_htonl(AT_NEXT_HEADER));
}

/*
 * Whether a packet may be answered at all. A RST (RFC 9293 §3.5.2), ICMP and "no next header" (RFC 8200 §4.7) may not.
 */
static __always_inline int is_answerable(const struct packet *packet)
{
	if (packet->protocol == IPPROTO_TCP)
		return !(packet->tcp_flags & TCP_FLAGS_RST);
	return packet->family == 4 || (packet->protocol != IPPROTO_NONE && packet->protocol != IPPROTO_ICMPV6);
}

/* Answers a valid packet for a VIP without a service, unless such packets pass. */
static __noinline enum verdict answer_unserved(struct xdp_md *ctx, const struct packet *packet)
{
	int failed;

	if (vip_policy.unserved != UNSERVED_REJECT || !is_answerable(packet) ||
	    !within_limit(ANSWER_UNSERVED, source_network(packet)))
		return VERDICT_DROPPED_UNSERVED;
	if (packet->protocol == IPPROTO_TCP)
		failed = turn_into_reset(ctx, packet);
	else
		failed = packet->family == 4 ? reject_datagram4(ctx, packet) : reject_datagram6(ctx, packet);
	return failed ? VERDICT_DROPPED_UNSERVED : VERDICT_ANSWERED_UNSERVED;
}

#endif
