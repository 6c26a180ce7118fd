/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* How an outer packet carries another: what the decapsulator finds behind the outer IP header. */
#ifndef SLUICE_CARRIER_H
#define SLUICE_CARRIER_H

#include "decapsulation_maps.h"
#include "packet.h"

/* Values of 64 bits: see struct packet. */
enum carrier {
	CARRIER_NONE = 0,	/* it carries no packet, or in a way that sluice-backend was not told */
	CARRIER_IP,		/* the packet follows */
	CARRIER_UDP,		/* the packet follows UDP */
	CARRIER_GUE,		/* the packet follows UDP, or UDP and a GUE header */
	CARRIER_GRE,
};

static __always_inline int carries_ip(__u64 protocol)
{
	return protocol == IPPROTO_IPIP || protocol == IPPROTO_IPV6;
}

/* The protocol number of a packet by its first octet, or 0. */
static __always_inline __u64 protocol_of_version(__u64 first)
{
	if (first >> 4 == 4)
		return IPPROTO_IPIP;
	return first >> 4 == 6 ? IPPROTO_IPV6 : 0;
}

/* The same by an Ethernet type. */
static __always_inline __u64 protocol_of_type(__be16 type)
{
	if (type == bpf_htons(ETH_P_IP))
		return IPPROTO_IPIP;
	return type == bpf_htons(ETH_P_IPV6) ? IPPROTO_IPV6 : 0;
}

/* A header of variant 0 for data, without options and flags. All else is no IP version either. */
static __always_inline int is_gue_header(const struct gue_header *gue)
{
	return !gue->first && !gue->flags;
}

/*
 * `protocol`: of the outer IP header. `at`: the offset of the header behind it, a constant. `is_plain`: there are no options
 * and the packet is no fragment, so that the transport header is at `at`.
 *
 * GRE with a checksum, key or sequence number, or with other than IP inside, is none of a balancer: it may be for a
 * tunnel of this host's own.
 */
static __always_inline __u64 carrier_of(const struct frame *bounds, __u64 protocol, const int at, __u64 is_plain)
{
	const struct transport_header *udp = bounds->data + at;
	const struct gre_header *gre = bounds->data + at;

	if (!may_carry(protocol))
		return CARRIER_NONE;
	if (carries_ip(protocol))
		return CARRIER_IP;
	if (!is_plain || is_beyond(bounds, gre + 1))
		return CARRIER_NONE;
	if (protocol == IPPROTO_GRE)
		return !gre->flags && protocol_of_type(gre->type) ? CARRIER_GRE : CARRIER_NONE;
	if (protocol != IPPROTO_UDP)
		return CARRIER_NONE;
	switch (carried_by(udp->destination)) {
	case PORT_CARRIES_IP:
		return CARRIER_UDP;
	case PORT_CARRIES_GUE:
		return CARRIER_GUE;
	}
	return CARRIER_NONE;
}

#endif
