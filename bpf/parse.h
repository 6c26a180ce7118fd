/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Step parse: reads headers at constant offsets into a struct packet. It uses no map, so that the fast path, the probe
 * program and the decapsulators share it.
 *
 * A parser returns UNDECIDED, or VERDICT_PASSED_... for a packet that is none of ours, or VERDICT_DROPPED_... for one
 * with a flaw. A packet with a flaw is dropped only if it is for a VIP (drop_if_for_vip()). The fields up to the flaw
 * are valid, `vip` among them.
 */
#ifndef SLUICE_PARSE_H
#define SLUICE_PARSE_H

#include "packet.h"

static __always_inline decision parse_ipv4(const struct frame *frame, int at, struct packet *packet)
{
	const struct iphdr *ip = frame->data + at;
	__u64 first;

	if (is_beyond(frame, ip + 1))
		return VERDICT_PASSED_NOT_OURS;
	first = *(const __u8 *)ip;
	packet->family = 4;
	packet->client[0] = ip->saddr;
	packet->client[1] = 0;
	packet->vip[0] = ip->daddr;
	packet->vip[1] = 0;
	packet->length = bpf_ntohs(ip->tot_len);
	packet->traffic_class = ip->tos;
	packet->protocol = ip->protocol;
	packet->ttl = ip->ttl;

	if (first != IPV4_WITHOUT_OPTIONS)
		return first > IPV4_WITHOUT_OPTIONS && first <= 0x4f ? VERDICT_DROPPED_IP_OPTIONS
								      : VERDICT_DROPPED_MALFORMED;
	return ip->frag_off & bpf_htons(IPV4_FRAGMENT_MASK) ? VERDICT_DROPPED_FRAGMENT : UNDECIDED;
}

/* `protocol` is the first next header. */
static __always_inline decision parse_ipv6(const struct frame *frame, int at, struct packet *packet)
{
	const struct ipv6hdr *ip = frame->data + at;
	__u64 first;

	if (is_beyond(frame, ip + 1))
		return VERDICT_PASSED_NOT_OURS;
	first = bpf_ntohl(*(const __be32 *)ip);
	packet->family = 6;
	copy_address(packet->client, &ip->saddr);
	copy_address(packet->vip, &ip->daddr);
	packet->length = bpf_ntohs(ip->payload_len) + sizeof(*ip);
	packet->traffic_class = first >> 20 & 0xff;
	packet->protocol = ip->nexthdr;
	packet->ttl = ip->hop_limit;
	return first >> 28 == 6 ? UNDECIDED : VERDICT_DROPPED_MALFORMED;
}

/* `room`: octets of the packet from the transport header on. */
static __always_inline decision parse_udp(struct packet *packet, const struct transport_header *header, __u64 room)
{
	__u64 length = bpf_ntohs(header->udp.length);

	packet->payload_offset = packet->transport_offset + UDP_HEADER_LENGTH;
	if (length < UDP_HEADER_LENGTH || length > room)
		return VERDICT_DROPPED_MALFORMED;
	return UNDECIDED;
}

static __always_inline decision parse_tcp(struct packet *packet, const struct tcp_rest *rest, __u64 room)
{
	__u64 length = (rest->data_offset >> 4) * 4;

	packet->tcp_flags = rest->flags;
	packet->payload_offset = packet->transport_offset + length;
	if (length < TCP_HEADER_LENGTH || length > room)
		return VERDICT_DROPPED_MALFORMED;
	return UNDECIDED;
}

static __always_inline decision parse_ports(const struct frame *frame, int at, struct packet *packet)
{
	const struct transport_header *header = frame->data + at;

	if (is_beyond(frame, header + 1))
		return VERDICT_DROPPED_TRUNCATED;
	packet->kind = PACKET_FLOW;
	packet->ports = *(const __u32 *)header;
	packet->transport_offset = at;
	return UNDECIDED;
}

/* The flaw of a TCP or UDP header, or UNDECIDED. */
static __always_inline decision check_transport(const struct frame *frame, int at, struct packet *packet)
{
	const struct transport_header *header = frame->data + at;
	const struct tcp_rest *rest = (const void *)(header + 1);
	__u64 room = packet->length + AT_IP - at;

	if (is_beyond(frame, header + 1))
		return VERDICT_DROPPED_TRUNCATED;
	if ((__s64)room < (__s64)sizeof(*header))
		return VERDICT_DROPPED_MALFORMED;
	if (packet->protocol == IPPROTO_UDP)
		return parse_udp(packet, header, room);
	return is_beyond(frame, rest + 1) ? VERDICT_DROPPED_TRUNCATED : parse_tcp(packet, rest, room);
}

static __always_inline decision parse_transport(const struct frame *frame, int at, struct packet *packet)
{
	decision flaw = parse_ports(frame, at, packet);

	if (flaw == UNDECIDED)
		packet->transport_flaw = check_transport(frame, at, packet);
	return flaw;
}

static __always_inline int is_icmp4_error(__u64 type)
{
	return type == ICMP4_UNREACHABLE || type == ICMP4_TIME_EXCEEDED || type == ICMP4_PARAMETER_PROBLEM;
}

/* Also of unknown type: such errors are for the upper layer (RFC 4443 §2.4 a). */
static __always_inline int is_icmp6_error(__u64 type)
{
	return !(type & ICMP6_INFORMATIONAL);
}

static __always_inline decision parse_icmp4(const struct frame *frame, int at, struct packet *packet)
{
	const struct icmp_header *icmp = frame->data + at;

	if (is_beyond(frame, icmp + 1) || packet->length < sizeof(struct iphdr) + sizeof(*icmp))
		return VERDICT_DROPPED_TRUNCATED;
	packet->transport_offset = at;
	if (icmp->type == ICMP4_ECHO_REQUEST)
		packet->kind = PACKET_ICMP_ECHO;
	else
		packet->kind = is_icmp4_error(icmp->type) ? PACKET_ICMP_ERROR : PACKET_ICMP_OTHER;
	return UNDECIDED;
}

static __always_inline decision parse_icmp6(const struct frame *frame, int at, struct packet *packet)
{
	const struct icmp_header *icmp = frame->data + at;

	if (is_beyond(frame, icmp + 1) || packet->length < sizeof(struct ipv6hdr) + sizeof(*icmp))
		return VERDICT_DROPPED_TRUNCATED;
	/* The kernel answers neighbour discovery for its addresses, also for one that is a VIP. */
	if (icmp->type >= ICMP6_ROUTER_SOLICITATION && icmp->type <= ICMP6_REDIRECT)
		return VERDICT_PASSED_NOT_OURS;
	packet->transport_offset = at;
	if (icmp->type == ICMP6_ECHO_REQUEST)
		packet->kind = PACKET_ICMP_ECHO;
	else
		packet->kind = is_icmp6_error(icmp->type) ? PACKET_ICMP_ERROR : PACKET_ICMP_OTHER;
	return UNDECIDED;
}

#endif
