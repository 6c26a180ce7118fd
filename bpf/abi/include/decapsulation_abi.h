/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * What crosses the border between the backend's decapsulation program and sluice-backend: the maps' keys and values.
 * Addresses are in network order.
 */
#ifndef SLUICE_DECAPSULATION_ABI_H
#define SLUICE_DECAPSULATION_ABI_H

#include "forwarding_abi.h"

/*
 * What became of a frame. Each frame gets exactly one: received = decapsulated + sum of passed + sum of dropped.
 * Names appear in the CLI, lower case, without DECAPSULATION_: they are stable.
 */
enum ABI_OPEN_ENUM decapsulation_verdict : __u32 {
	DECAPSULATION_DECAPSULATED = 0,	/* the inner packet went to this host's stack */
	DECAPSULATION_PASSED_NOT_IP,	/* neither IPv4 nor IPv6, or VLAN-tagged: untouched, as all passed */
	DECAPSULATION_PASSED_NOT_TUNNELLED, /* carries no IP packet */
	DECAPSULATION_PASSED_OTHER_DESTINATION, /* carries one, but not to a tunnel address of this host */
	DECAPSULATION_DROPPED_SOURCE,	/* the outer source is none of the balancers' */
	DECAPSULATION_DROPPED_OUTER_OPTIONS, /* outer IPv4 options or IPv6 extension headers */
	DECAPSULATION_DROPPED_OUTER_FRAGMENT, /* the outer packet is a fragment */
	DECAPSULATION_DROPPED_MALFORMED, /* inner version or lengths contradict the outer header or the frame */
	DECAPSULATION_DROPPED_UNKNOWN_VIP, /* the inner destination is no VIP of this host */
	DECAPSULATION_DROPPED_CONGESTION, /* marked congested on its way, and the sender would not understand (RFC 6040) */
	DECAPSULATION_DROPPED_NO_ROOM,	/* the kernel refused to remove the header */
	DECAPSULATION_DROPPED_INNER_SOURCE, /* the inner source is this host's own, a VIP, or none that a client has */
	DECAPSULATION_DROPPED_INNER_PROTOCOL, /* the inner packet is neither TCP nor UDP nor ICMP */
	DECAPSULATION_VERDICT_COUNT
};

/* Of this host: where tunnels end, and the VIPs. The family is part of the key: no address stands for another's. */
struct host_address {
	__u8 octets[16];	/* IPv4 in the first four, the rest zero */
	__u32 family;		/* 4 or 6 */
};

/* What an address is to this host: the value of an element of `tunnel_addresses`. */
#define ADDRESS_ENDS_TUNNELS 1	/* balancers send encapsulated packets to it */
#define ADDRESS_OF_HOST 2	/* one of its others */

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
