/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* Protocol headers and numbers, as far as the programs read or write them. */
#ifndef SLUICE_HEADERS_H
#define SLUICE_HEADERS_H

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define VLAN_TAGS_MAX 2
#define VLAN_TAG_LENGTH 4

#define IPV4_FRAGMENT_MASK 0x3fff /* more fragments, offset */
#define IPV4_FRAGMENT_OFFSET_MASK 0x1fff
#define IPV4_WITHOUT_OPTIONS 0x45 /* version and header length */
#define IPV4_LOWEST_MTU 68 /* RFC 791: every link carries as much */
#define IPV6_LOWEST_MTU 1280 /* RFC 8200 §5 */

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
#define ICMP6_PARAMETER_PROBLEM 4
#define ICMP6_CODE_UNKNOWN_NEXT_HEADER 1
#define ICMP6_INFORMATIONAL 128 /* the bit that errors do not have */
#define ICMP6_ECHO_REQUEST 128
#define ICMP6_ECHO_REPLY 129
#define ICMP6_ROUTER_SOLICITATION 133 /* the first of neighbour discovery (RFC 4861) */
#define ICMP6_REDIRECT 137 /* the last */

#define TCP_FLAGS_FIN 0x01
#define TCP_FLAGS_SYN 0x02
#define TCP_FLAGS_RST 0x04
#define TCP_FLAGS_ACK 0x10

/* As struct ethhdr, but not packed: its type is read at once. */
struct ethernet {
	__u8 destination[ETH_ALEN];
	__u8 source[ETH_ALEN];
	__be16 type;
};

/* Offsets in an untagged frame without options or extension headers. */
enum frame_offset {
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

struct gre_header {
	__be16 flags;		/* and version */
	__be16 type;		/* as of Ethernet */
};

struct gue_header {
	__u8 first;		/* version, control, and the length of options */
	__u8 protocol;
	__be16 flags;
};

#define UDP_HEADER_LENGTH 8
#define TCP_HEADER_LENGTH 20 /* without options */

struct tcp_rest {
	__be32 acknowledgement;
	__u8 data_offset;	/* high nibble, 32-bit words */
	__u8 flags;
};

/* Sixteen octets in two moves. Addresses in packets are aligned to four octets at best. */
static __always_inline void copy_address(void *to, const void *from)
{
	((__u64 *)to)[0] = ((const __u64 *)from)[0];
	((__u64 *)to)[1] = ((const __u64 *)from)[1];
}

#endif
