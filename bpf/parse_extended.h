/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* Parsing the transport header behind IPv6 extension headers. */
#ifndef SLUICE_PARSE_EXTENDED_H
#define SLUICE_PARSE_EXTENDED_H

#include "extension_headers.h"

/* A transport header copied from behind extension headers. */
struct transport_copy {
	struct transport_header header;
	struct tcp_rest rest;
};

/* Parses a packet whose first next header is an extension header. */
static __noinline decision parse_extended_ipv6(frame_context *ctx, struct packet *packet)
{
	struct header_walk walk = { .ctx = ctx, .offset = AT_TRANSPORT6, .next = packet->protocol };
	struct transport_copy copy = {};
	decision flaw = walk_headers(&walk);
	__u64 room;

	if (flaw != UNDECIDED)
		return flaw;
	packet->protocol = walk.next;
	packet->transport_offset = walk.offset;
	if (!has_ports(walk.next))
		return UNDECIDED;
	if (walk.offset - AT_IP + sizeof(copy.header) > packet->length)
		return VERDICT_DROPPED_MALFORMED;
	if (load_frame_bytes(ctx, walk.offset, &copy, sizeof(copy.header)) ||
	    (walk.next == IPPROTO_TCP && load_frame_bytes(ctx, walk.offset, &copy, sizeof(copy))))
		return VERDICT_DROPPED_TRUNCATED;
	room = packet->length + AT_IP - walk.offset;
	packet->kind = PACKET_FLOW;
	packet->ports = *(__u32 *)&copy.header;
	packet->transport_flaw = walk.next == IPPROTO_UDP ? parse_udp(packet, &copy.header, room)
							   : parse_tcp(packet, &copy.rest, room);
	return UNDECIDED;
}

#endif
