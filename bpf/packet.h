/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* The packet as the pipeline's steps hand it on. */
#ifndef SLUICE_PACKET_H
#define SLUICE_PACKET_H

#include "forwarding_abi.h"
#include "frame.h"
#include "headers.h"

/* What a step returns: a verdict, which ends the pipeline, or UNDECIDED, which is no verdict: the next step follows. */
typedef __u64 decision;
#define UNDECIDED VERDICT_COUNT

enum packet_kind {
	PACKET_OTHER = 0,	/* a protocol without ports */
	PACKET_FLOW,		/* TCP or UDP */
	PACKET_ICMP_ECHO,	/* a ping */
	PACKET_ICMP_ERROR,
	PACKET_ICMP_OTHER,
};

/*
 * A packet that may be for a VIP. Addresses and ports are the flow's, in the direction from client to VIP. An ICMP
 * error has them, too: they come from the packet that it quotes, with both directions exchanged.
 *
 * Every field has 64 bits: when the compiler spills a 32-bit value, it writes half of a stack word, and Linux 6.1 refuses
 * that without CAP_PERFMON ("attempt to corrupt spilled pointer on stack"). For the same reason, other structs on the
 * stack and the arguments of large functions have 64 bits where the compiler spills them.
 */
struct packet {
	__u64 client[2];	/* as in memory; IPv4 in the low half of the first word, the rest 0 */
	__u64 vip[2];
	__u64 ports;		/* client's in bits 0-15, service's in bits 16-31, as in memory */
	__u64 length;		/* of the IP packet, header included */
	__u64 frame_length;	/* as received, VLAN tags included */
	__u64 family;		/* 4 or 6 */
	__u64 protocol;		/* of the transport, behind IPv6 extension headers */
	__u64 traffic_class;	/* DSCP and ECN */
	__u64 flow_hash;	/* of the whole flow; set by the step choose */
	__u64 ttl;
	__u64 tcp_flags;
	__u64 kind;		/* enum packet_kind */
	__u64 icmp_error;	/* not 0: the packet is an ICMP error about the flow */
	__u64 transport_offset;	/* from the start of the untagged frame */
	__u64 payload_offset;	/* of TCP or UDP */
	__u64 pair;		/* of a forwarded packet: index of its counter of (service, backend), or PAIR_NONE */
	__u64 transport_flaw;	/* a verdict about the transport header, or UNDECIDED: admit() returns it */
	__u64 tag_count;
	__u64 tags[VLAN_TAGS_MAX]; /* outermost first: TPID and TCI in the low half, as in memory */
};

/* Beyond every pair counter. */
#define PAIR_NONE 0xffffffff

static __always_inline __u64 ports_service(__u64 ports)
{
	return ports >> 16;
}

/* A set of bits: with two comparisons the compiler makes a value of each, and then compares those. */
static __always_inline int has_ports(__u64 protocol)
{
	return protocol < 64 && (1ull << IPPROTO_TCP | 1ull << IPPROTO_UDP) >> protocol & 1;
}

/* TCP: the segment carries data. */
static __always_inline int has_payload(const struct packet *packet)
{
	return packet->payload_offset < packet->length + AT_IP;
}

/* A flow begins: SYN without ACK, RST, FIN. */
static __always_inline int is_first_packet(const struct packet *packet)
{
	return (packet->tcp_flags & (TCP_FLAGS_SYN | TCP_FLAGS_ACK | TCP_FLAGS_RST | TCP_FLAGS_FIN)) == TCP_FLAGS_SYN;
}

/*
 * Whether a packet shows the state of its flow. One that does not is forwarded to the flow's backend, but changes no flow
 * entry: ICMP errors, and TCP segments with flags that no correct sender sets (SYN with ACK, RST or FIN, or none of SYN,
 * ACK and RST).
 */
static __always_inline int carries_evidence(const struct packet *packet)
{
	if (packet->icmp_error)
		return 0;
	return packet->protocol != IPPROTO_TCP || is_first_packet(packet) ||
	       (!(packet->tcp_flags & TCP_FLAGS_SYN) && packet->tcp_flags & (TCP_FLAGS_ACK | TCP_FLAGS_RST));
}

#endif
