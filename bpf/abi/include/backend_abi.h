/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* Backends, their next hops and outer headers. */
#ifndef SLUICE_BACKEND_ABI_H
#define SLUICE_BACKEND_ABI_H

#include "abi_base.h"

/*
 * How a packet is carried to a backend. All switches over it name every value and have no default, so that the compiler
 * (-Wswitch) names what a new one lacks.
 */
enum ABI_OPEN_ENUM encapsulation : __u8 {
	ENCAPSULATION_IPIP = 0,	/* in a bare IP header (RFC 2003, 2473, 4213) */
	ENCAPSULATION_GUE = 1,	/* directly behind UDP: GUE variant 1 (draft-ietf-intarea-gue) */
	ENCAPSULATION_GUE_HEADER = 2, /* behind UDP and a GUE header: GUE variant 0 */
	ENCAPSULATION_FOU = 3,	/* directly behind UDP, with a port for each family */
	ENCAPSULATION_GRE = 4,	/* behind a GRE header without checksum, key or sequence number (RFC 2784) */
	ENCAPSULATION_L2 = 5,	/* as it is, to the link-layer address of the backend, which is on the link */
};

/*
 * The word `next_hop` of struct backend:
 *   bits  0-47  the six octets of the next hop's link-layer address, first octet lowest
 *   bits 48-59  flags
 *   bits 60-63  enum encapsulation
 */
#define NEXT_HOP_MAC 0xffffffffffffull
#define NEXT_HOP_RESOLVED (1ull << 48)	/* the address is known, and `path` is valid */
#define BACKEND_USABLE (1ull << 49)	/* packets may go to it, of new flows or old ones */
#define BACKEND_OUTER_IPV6 (1ull << 50)	/* the outer header is IPv6, else IPv4; never changes */
#define BACKEND_DRAINING (1ull << 51)	/* draining or leaving: a slot whose previous backend it is stays changed */
#define BACKEND_LEAVING (1ull << 52)	/* gone from the configuration, kept for its flows; for the daemon */
#define BACKEND_ENCAPSULATION_SHIFT 60	/* never changes */

ABI_INLINE enum encapsulation encapsulation_of(__u64 next_hop)
{
	return (enum encapsulation)(next_hop >> BACKEND_ENCAPSULATION_SHIFT);
}

#define IPV4_HEADER_LENGTH 20
#define IPV6_HEADER_LENGTH 40
#define OUTER_UDP_LENGTH 8
#define OUTER_GUE_LENGTH 4
#define OUTER_GRE_LENGTH 4

/* What outer_length() returns for a value that is no encapsulation: more than any path's MTU. */
#define OUTER_LENGTH_NONE 0x10000

/* Octets of the outer headers of packets to a backend. */
ABI_INLINE __u64 outer_length(__u64 next_hop)
{
	__u64 ip = next_hop & BACKEND_OUTER_IPV6 ? IPV6_HEADER_LENGTH : IPV4_HEADER_LENGTH;

	switch (encapsulation_of(next_hop)) {
	case ENCAPSULATION_IPIP:
		return ip;
	case ENCAPSULATION_GUE:
	case ENCAPSULATION_FOU:
		return ip + OUTER_UDP_LENGTH;
	case ENCAPSULATION_GUE_HEADER:
		return ip + OUTER_UDP_LENGTH + OUTER_GUE_LENGTH;
	case ENCAPSULATION_GRE:
		return ip + OUTER_GRE_LENGTH;
	case ENCAPSULATION_L2:
		return 0;
	}
	return OUTER_LENGTH_NONE;
}

/*
 * A backend, in one cache line. Only `next_hop` and `path` change while a table names the backend, each by one store.
 * All else is written before; what changes otherwise gets a new number. `path` comes before the first `next_hop` that
 * is resolved.
 */
struct backend {
	__u64 next_hop;
	__u64 path;		/* outer source and MTU: see path4(), path6() */
	__u8 destination[16];	/* outer destination; IPv4 in the last four octets */
	__be32 source_mask;	/* which of the source's last 32 bits carry entropy */
	__u32 generation;	/* of the number: increases with each owner, so that old flow entries never fit */
	__u16 pair;		/* its index among the pool's backends: pair counter = service's first + pair */
	__u16 pool;		/* number of its pool */
	__u8 source_length;	/* of the configured source prefix, SOURCE_OF_INTERFACE: none; for the daemon */
	__u8 zero[3];
	__be16 port4;		/* UDP destination of IPv4 packets; 0: the encapsulation has no UDP header */
	__be16 port6;		/* of IPv6 packets */
	__u32 zero_word;
	__u64 reserved;
};

#define SOURCE_OF_INTERFACE 255

#define BACKEND_NONE 0

/* Fields of the outer header that are the same in every packet. */
#define OUTER_TTL 64
#define OUTER_IPV4_VERSION_LENGTH 0x45
#define OUTER_IPV4_DF 0x4000	/* "do not fragment", host order */

/* The outer UDP source port: the dynamic ports (RFC 6335 §6), the low bits by the flow's entropy. Host order. */
#define OUTER_PORT_FIRST 0xc000
#define OUTER_PORT_ENTROPY 0x3fff

/* Ones' complement sum folded to 16 bits (RFC 1071). */
ABI_INLINE __u64 fold_sum(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + ((sum >> 16) & 0xffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16);
}

/*
 * The sum over the outer IPv4 header's words that do not depend on the packet: version and length, DF, TTL, both
 * addresses. Words and addresses as they lie in memory. Entropy bits of the source are 0.
 */
ABI_INLINE __u64 outer_ipv4_sum(__be32 source, __be32 destination)
{
	__u64 df = (OUTER_IPV4_DF & 0xff) << 8 | OUTER_IPV4_DF >> 8;

	return fold_sum((__u64)OUTER_IPV4_VERSION_LENGTH + df + OUTER_TTL + source + destination);
}

/*
 * The word `path` of struct backend.
 * IPv4: bits 0-31 outer source as in memory, without entropy; bits 32-47 outer_ipv4_sum(); bits 48-63 MTU.
 * IPv6: bits 0-31 index of the outer source in `outer_sources`; bits 32-47 zero; bits 48-63 MTU.
 * MTU: the largest outer packet that the path to the backend takes.
 */
ABI_INLINE __u64 path4(__be32 source, __be32 destination, __u16 mtu)
{
	return source | outer_ipv4_sum(source, destination) << 32 | (__u64)mtu << 48;
}

ABI_INLINE __u64 path6(__u32 source_index, __u16 mtu)
{
	return source_index | (__u64)mtu << 48;
}

ABI_INLINE __u32 path_source(__u64 path)
{
	return path;
}

ABI_INLINE __u64 path_sum(__u64 path)
{
	return path >> 32 & 0xffff;
}

ABI_INLINE __u64 path_mtu(__u64 path)
{
	return path >> 48;
}

/*
 * An IPv6 outer source, without entropy: an element of `outer_sources`. Backends share elements. Element 0 is unused.
 * An element changes only while no `path` names it, a grace period after the last one that did.
 */
struct outer_source {
	__u8 octets[16];
};

#endif
