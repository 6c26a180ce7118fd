/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * The outer header of a packet to a backend. For XDP and tc alike: other code asks outer_length() for its octets,
 * read_outer() for what goes into it, and has write_outer() write it.
 *
 * A new encapsulation needs a case in each switch over enum encapsulation.
 */
#ifndef SLUICE_OUTER_HEADER_H
#define SLUICE_OUTER_HEADER_H

#include "backends.h"
#include "packet.h"

_Static_assert(sizeof(struct iphdr) == IPV4_HEADER_LENGTH, "as in the ABI");
_Static_assert(sizeof(struct ipv6hdr) == IPV6_HEADER_LENGTH, "as in the ABI");

/* What goes into the outer header, apart from the packet's own fields. */
struct outer {
	__u64 path;		/* of the backend, loaded once: source, checksum and MTU fit each other */
	__u64 entropy;		/* differs between flows, the same for all packets of a flow; 0: the source has none */
	const struct outer_source *source; /* IPv6 only */
};

/*
 * The entropy of a flow. `flow_hash`: of the whole flow, also where the client's address alone chooses the backend, so
 * that the network and the backend's NIC spread a client's flows. Flows of one slot have the high bits of the hash in
 * common. The multiplication carries the low bits into them.
 */
static __always_inline __u64 entropy_of(__u32 flow_hash)
{
	return (__u32)(flow_hash * 0x9e3779b1);
}

/* Returns 0, or -1: the backend's record names no source. */
static __always_inline int read_outer(struct outer *outer, __u64 next_hop, __u64 path, __u64 entropy)
{
	outer->path = path;
	outer->entropy = entropy;
	outer->source = NULL;
	if (!(next_hop & BACKEND_OUTER_IPV6))
		return 0;
	outer->source = element(outer_sources, path_source(path));
	return outer->source ? 0 : -1;
}

/* `carried`: octets behind the header. `protocol`: what they begin with. */
static __always_inline void write_outer_ipv4(void *header, const struct packet *packet, const struct backend *backend,
					     const struct outer *outer, __u64 carried, __u64 protocol)
{
	__u64 length = bpf_htons(carried + sizeof(struct iphdr));
	__u64 varying = outer->entropy & READ_ONCE(backend->source_mask);
	__u64 sum = path_sum(outer->path) + (varying & 0xffff) + (varying >> 16) + length +
		    (packet->traffic_class << 8) + (protocol << 8);

	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	/* Identification 0: an atomic datagram, RFC 6864. */
	((__u64 *)header)[0] = OUTER_IPV4_VERSION_LENGTH | packet->traffic_class << 8 | length << 16 |
			       (__u64)bpf_htons(OUTER_IPV4_DF) << 48;
	((__u64 *)header)[1] = OUTER_TTL | protocol << 8 | (~sum & 0xffff) << 16 |
			       (path_source(outer->path) | varying) << 32;
	((__u32 *)header)[4] = *(const __u32 *)&backend->destination[12];
}

static __always_inline void write_outer_ipv6(void *header, const struct packet *packet, const struct backend *backend,
					     const struct outer *outer, __u64 carried, __u64 protocol)
{
	/* Version, traffic class, and the entropy as flow label (RFC 6438). */
	__u64 first = bpf_htonl(0x60000000 | (__u32)packet->traffic_class << 20 | (outer->entropy & 0xfffff));
	__u64 varying = outer->entropy & READ_ONCE(backend->source_mask);
	const __u64 *source = (const __u64 *)outer->source->octets;
	const __u64 *destination = (const __u64 *)backend->destination;

	((__u64 *)header)[0] = first | (__u64)bpf_htons(carried) << 32 | protocol << 48 | (__u64)OUTER_TTL << 56;
	((__u64 *)header)[1] = source[0];
	((__u64 *)header)[2] = source[1] | varying << 32;
	((__u64 *)header)[3] = destination[0];
	((__u64 *)header)[4] = destination[1];
}

static __always_inline void write_outer_ip(void *header, __u64 next_hop, const struct packet *packet,
					   const struct backend *backend, const struct outer *outer, __u64 carried,
					   __u64 protocol)
{
	if (next_hop & BACKEND_OUTER_IPV6)
		write_outer_ipv6(header, packet, backend, outer, carried, protocol);
	else
		write_outer_ipv4(header, packet, backend, outer, carried, protocol);
}

/*
 * UDP without a checksum, also in IPv6 (RFC 6935): the inner headers have checksums of their own, and the receiver
 * compares the addresses. `carried`: octets behind the outer IP header.
 */
static __always_inline void write_udp(void *header, const struct packet *packet, const struct backend *backend,
				      const struct outer *outer, __u64 carried)
{
	__u64 source = bpf_htons(OUTER_PORT_FIRST | (outer->entropy & OUTER_PORT_ENTROPY));
	__u64 ports = READ_ONCE(*(const __u32 *)&backend->port4); /* both: see READ_ONCE() */
	__u64 destination = packet->family == 4 ? ports & 0xffff : ports >> 16;

	*(__u64 *)header = source | destination << 16 | (__u64)bpf_htons(carried) << 32;
}

/*
 * Writes outer_length() octets. `next_hop`: of the backend, or its encapsulation and family only. The family is a
 * constant: without CAP_PERFMON the verifier refuses offsets that vary.
 */
static __always_inline void write_outer(void *header, __u64 next_hop, const struct packet *packet,
					const struct backend *backend, const struct outer *outer)
{
	__u64 protocol = packet->family == 4 ? IPPROTO_IPIP : IPPROTO_IPV6;
	void *inside = header + (next_hop & BACKEND_OUTER_IPV6 ? IPV6_HEADER_LENGTH : IPV4_HEADER_LENGTH);
	__u64 length;

	switch (encapsulation_of(next_hop)) {
	case ENCAPSULATION_IPIP:
		write_outer_ip(header, next_hop, packet, backend, outer, packet->length, protocol);
		break;
	case ENCAPSULATION_GUE:
	case ENCAPSULATION_FOU:
		length = packet->length + OUTER_UDP_LENGTH;
		write_outer_ip(header, next_hop, packet, backend, outer, length, IPPROTO_UDP);
		write_udp(inside, packet, backend, outer, length);
		break;
	case ENCAPSULATION_GUE_HEADER:
		length = packet->length + OUTER_UDP_LENGTH + OUTER_GUE_LENGTH;
		write_outer_ip(header, next_hop, packet, backend, outer, length, IPPROTO_UDP);
		write_udp(inside, packet, backend, outer, length);
		*(__u32 *)(inside + OUTER_UDP_LENGTH) = protocol << 8; /* no options, no flags */
		break;
	case ENCAPSULATION_GRE:
		length = packet->length + OUTER_GRE_LENGTH;
		write_outer_ip(header, next_hop, packet, backend, outer, length, IPPROTO_GRE);
		*(__u32 *)inside = (__u32)(packet->family == 4 ? bpf_htons(ETH_P_IP) : bpf_htons(ETH_P_IPV6)) << 16;
		break;
	case ENCAPSULATION_L2:
		break;
	}
}

/* The Ethernet type of the outer header. */
static __always_inline __be16 outer_type(__u64 next_hop)
{
	return next_hop & BACKEND_OUTER_IPV6 ? bpf_htons(ETH_P_IPV6) : bpf_htons(ETH_P_IP);
}

#endif
