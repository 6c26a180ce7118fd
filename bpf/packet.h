/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* A packet, and the headers it is read from. Nobody else compares pointers with the end of the frame. */
#ifndef SLUICE_PACKET_H
#define SLUICE_PACKET_H

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "forwarding_abi.h"

#define VLAN_TAGS_MAX 2
#define VLAN_TAG_LENGTH 4

#define ICMP4_ECHO_REPLY 0
#define ICMP4_UNREACHABLE 3
#define ICMP4_CODE_PROTOCOL_UNREACHABLE 2
#define ICMP4_CODE_PORT_UNREACHABLE 3
#define ICMP4_CODE_FRAGMENTATION_NEEDED 4
#define ICMP4_ECHO_REQUEST 8
#define ICMP4_TIME_EXCEEDED 11
#define ICMP4_PARAMETER_PROBLEM 12

#define ICMP6_UNREACHABLE 1
#define ICMP6_CODE_PORT_UNREACHABLE 4
#define ICMP6_TOO_BIG 2
#define ICMP6_TIME_EXCEEDED 3
#define ICMP6_PARAMETER_PROBLEM 4
#define ICMP6_CODE_UNKNOWN_NEXT_HEADER 1
#define ICMP6_ECHO_REQUEST 128
#define ICMP6_ECHO_REPLY 129
#define ICMP6_ROUTER_SOLICITATION 133 /* the first of neighbour discovery (RFC 4861) */
#define ICMP6_REDIRECT 137 /* the last */

#define TCP_FLAGS_FIN 0x01
#define TCP_FLAGS_SYN 0x02
#define TCP_FLAGS_RST 0x04
#define TCP_FLAGS_ACK 0x10

/*
 * What is known of a packet that may be ours. Addresses and ports are those of the flow: client towards VIP, also
 * where the packet is an ICMP error that speaks of the flow from the other side.
 */
struct packet {
	__u32 client[4];	/* IPv4 in the first word */
	__u32 vip[4];
	__u32 ports;		/* client's in the low half, service's in the high half, network order */
	__u32 length;		/* of the IP packet, header included */
	__u32 frame_length;	/* as received, VLAN tags included */
	__u8 family;
	__u8 protocol;
	__u8 traffic_class;	/* DSCP and ECN */
	__u8 tcp_flags;
	__u8 icmp_error;	/* the packet is an ICMP error about the flow */
	__u8 tag_count;
	__u8 has_payload;	/* TCP: the segment carries data */
	__u64 tags[VLAN_TAGS_MAX]; /* outermost first: TPID and TCI in the low half, as on the wire */
};

/* As struct ethhdr, but not packed: its type is read at once. */
struct ethernet {
	__u8 destination[ETH_ALEN];
	__u8 source[ETH_ALEN];
	__be16 type;
};

/* Where headers begin in an untagged frame without options or extension headers. */
enum place {
	AT_IP = ETH_HLEN,
	AT_TRANSPORT4 = AT_IP + sizeof(struct iphdr),
	AT_TRANSPORT6 = AT_IP + sizeof(struct ipv6hdr),
};

/* ICMP and ICMPv6 alike (linux/icmp.h would bring libc's headers along). */
struct icmp_header {
	__u8 type;
	__u8 code;
	__u16 checksum;
	__be32 rest;		/* MTU in its last octets: two for ICMP, four for ICMPv6 */
};

/* The first octets of TCP or UDP, as far as we read them. */
struct transport_header {
	__be16 source;
	__be16 destination;
	union {
		struct {
			__be32 sequence;
		} tcp;
		struct {
			__be16 length;
			__be16 checksum;
		} udp;
	};
};

struct tcp_rest {
	__be32 acknowledgement;
	__u8 data_offset;	/* high nibble, 32-bit words */
	__u8 flags;
};

/*
 * A place in the frame; read no further than ends_before() allows. Two functions, because a comparison of a packet
 * pointer with NULL, in which a combined one ends, is refused without CAP_PERFMON. Loads in assembly, because the
 * compiler would move the 32-bit fields about in 32-bit registers, where the verifier loses the pointer.
 */
static __always_inline void *frame_at(const struct xdp_md *ctx, int offset)
{
	void *data;

	asm volatile("%0 = *(u32 *)(%1 + 0)" : "=r"(data) : "r"(ctx));
	return data + offset;
}

/* Whether the frame ends before `end`. */
static __always_inline int ends_before(const struct xdp_md *ctx, const void *end)
{
	void *data_end;

	asm volatile("%0 = *(u32 *)(%1 + 4)" : "=r"(data_end) : "r"(ctx));
	return end > data_end;
}

/* Sixteen octets in two moves; addresses in packets are aligned to four octets at best. */
static __always_inline void copy_address(void *to, const void *from)
{
	((__u64 *)to)[0] = ((const __u64 *)from)[0];
	((__u64 *)to)[1] = ((const __u64 *)from)[1];
}

/* An IPv4 address of the packet, its unused second word with it: see element() in maps.h. */
static __always_inline void set_address4(__u32 *to, __u32 address)
{
	*(__u64 *)to = address;
}

static __always_inline __u16 ports_service(__u32 ports)
{
	return ports >> 16;
}

/* A flow begins: SYN without ACK, RST, FIN. */
static __always_inline int is_first_packet(const struct packet *packet)
{
	return (packet->tcp_flags & (TCP_FLAGS_SYN | TCP_FLAGS_ACK | TCP_FLAGS_RST | TCP_FLAGS_FIN)) == TCP_FLAGS_SYN;
}

/*
 * What may go to its flow's backend, but says nothing about the flow: ICMP errors, and TCP flags that no sound sender
 * sets: a SYN with more than itself, or neither ACK nor RST.
 */
static __always_inline int is_no_evidence(const struct packet *packet)
{
	if (packet->icmp_error)
		return 1;
	return packet->protocol == IPPROTO_TCP && !is_first_packet(packet) &&
	       (packet->tcp_flags & TCP_FLAGS_SYN || !(packet->tcp_flags & (TCP_FLAGS_ACK | TCP_FLAGS_RST)));
}

/* `room`: the octets that the IP header leaves for the transport. VERDICT_FORWARDED where nothing is wrong. */
static __always_inline enum verdict check_udp(const struct transport_header *header, __u32 room)
{
	__u32 length = bpf_ntohs(header->udp.length);

	return length < 8 || length > room ? VERDICT_DROPPED_MALFORMED : VERDICT_FORWARDED;
}

static __always_inline enum verdict check_tcp(struct packet *packet, const struct tcp_rest *rest, __u32 room)
{
	__u32 length = (rest->data_offset >> 4) * 4;

	packet->tcp_flags = rest->flags;
	packet->has_payload = length < room;
	return length < 20 || length > room ? VERDICT_DROPPED_MALFORMED : VERDICT_FORWARDED;
}

#endif
