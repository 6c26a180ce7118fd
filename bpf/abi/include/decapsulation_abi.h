/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * The interface between the backend's decapsulation program and sluice-backend: keys and values of the maps.
 * Addresses are in network order.
 */
#ifndef SLUICE_DECAPSULATION_ABI_H
#define SLUICE_DECAPSULATION_ABI_H

#include "forwarding_abi.h"

/*
 * What became of a frame. Each frame gets exactly one: received = decapsulated + sum of passed + sum of dropped.
 * Names appear in the CLI, lower case, without DECAPSULATION_: they are stable.
 */
#define DECAPSULATION_VERDICTS(X) \
	X(DECAPSULATION_DECAPSULATED)             /* the inner packet went to this host's stack */ \
	X(DECAPSULATION_PASSED_NOT_IP)            /* neither IPv4 nor IPv6, or VLAN-tagged; left as it is */ \
	X(DECAPSULATION_PASSED_NOT_TUNNELLED)     /* carries no IP packet */ \
	X(DECAPSULATION_PASSED_OTHER_DESTINATION) /* carries one, but not to a tunnel address of this host */ \
	X(DECAPSULATION_DROPPED_SOURCE)           /* the outer source is none of the balancers' */ \
	X(DECAPSULATION_DROPPED_OUTER_OPTIONS)    /* outer IPv4 options or IPv6 extension headers */ \
	X(DECAPSULATION_DROPPED_OUTER_FRAGMENT)   /* the outer packet is a fragment */ \
	X(DECAPSULATION_DROPPED_MALFORMED)        /* inner version or lengths contradict the frame */ \
	X(DECAPSULATION_DROPPED_UNKNOWN_VIP)      /* the inner destination is no VIP of this host */ \
	X(DECAPSULATION_DROPPED_CONGESTION)       /* congested, and the sender would not understand (RFC 6040) */ \
	X(DECAPSULATION_DROPPED_NO_ROOM)          /* the kernel refused to remove the header */ \
	X(DECAPSULATION_DROPPED_INNER_SOURCE)     /* the inner source is this host's, a VIP, or no client's */ \
	X(DECAPSULATION_DROPPED_INNER_PROTOCOL)   /* the inner packet is neither TCP nor UDP nor ICMP */

enum ABI_OPEN_ENUM decapsulation_verdict : __u32 {
	DECAPSULATION_VERDICTS(ABI_ENUMERATOR)
	DECAPSULATION_VERDICT_COUNT
};

/* An enumerator without DECAPSULATION_; NULL: the value has none. */
ABI_INLINE const char *decapsulation_verdict_name(enum decapsulation_verdict verdict)
{
#define DECAPSULATION_NAME(name) &#name[sizeof("DECAPSULATION_") - 1],
	static const char *const names[] = { DECAPSULATION_VERDICTS(DECAPSULATION_NAME) };

	return verdict < DECAPSULATION_VERDICT_COUNT ? names[verdict] : NULL;
}

/*
 * Key of `tunnel_addresses` and `vips`. It has the family, so that an IPv4 address and an IPv6 address with the same
 * octets differ.
 */
struct host_address {
	__u8 octets[16];	/* IPv4 in the first four, the rest zero */
	__u32 family;		/* 4 or 6 */
};

/* What an address is to this host: the value of an element of `tunnel_addresses`. */
#define ADDRESS_ENDS_TUNNELS 1	/* balancers send encapsulated packets to it */
#define ADDRESS_OF_HOST 2	/* one of its others */

/*
 * The encapsulations that balancers use: the one element of `tunnel_formats`. A packet in another one passes as any
 * packet of the host does.
 */
struct tunnel_formats {
	__u64 protocols;	/* bit N: packets of IP protocol N (4 and 41, UDP, GRE) may carry others */
};

/* What a UDP port carries: the value of an element of `tunnel_ports`, by destination port, in network order. */
#define PORT_CARRIES_IP 1	/* an IPv4 or IPv6 packet (FOU) */
#define PORT_CARRIES_GUE 2	/* GUE, variants 0 and 1 */
#define TUNNEL_PORTS_MAX 64

/*
 * The largest segments that a host announces for its VIPs, by family of the packet, in octets: the one element of
 * `mss_limits`. 65535: no limit.
 */
struct mss_limits {
	__u32 ipv4;
	__u32 ipv6;
};

/* Prefixes of the balancers' outer sources, as an LPM trie wants its keys. */
struct source_prefix4 {
	__u32 length;
	__u8 address[4];
};

struct source_prefix6 {
	__u32 length;
	__u8 address[16];
};

#endif
