/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* Which virtual service a packet is for, if any. */
#ifndef SLUICE_SERVICE_H
#define SLUICE_SERVICE_H

#include "maps.h"
#include "packet.h"

/* The keys are built in words of eight octets, as fill_flow_key() does and for the same reason. */
static __always_inline __u32 *lookup_service(const struct packet *packet, __be16 port, __u8 protocol)
{
	if (packet->family == 4) {
		__u64 key = packet->vip[0] | (__u64)port << 32 | (__u64)protocol << 48;

		_Static_assert(sizeof(key) == sizeof(struct service_key4), "the key in words");
		return bpf_map_lookup_elem(&services4, &key);
	}
	__u64 key[3];

	_Static_assert(sizeof(key) >= sizeof(struct service_key6), "the key in words");
	copy_address(key, packet->vip);
	key[2] = port | (__u64)protocol << 16;
	return bpf_map_lookup_elem(&services6, key);
}

/*
 * The id of the service of the packet's address, protocol and port, else of its address and protocol. An id, not a
 * pointer: see choose_with_memory().
 */
static __always_inline __u64 find_service(const struct packet *packet)
{
	__u32 *id = lookup_service(packet, ports_service(packet->ports), packet->protocol);

	if (id)
		return *id;
	id = lookup_service(packet, 0, packet->protocol);
	return id ? *id : SERVICE_NONE;
}

/* Whether any service has the packet's destination address. */
static __always_inline int is_vip(const struct packet *packet)
{
	return lookup_service(packet, 0, packet->family == 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6) != NULL;
}

/* Odd packets pass until they are known to be for a VIP; then they drop with their reason. */
static __noinline enum verdict refuse(const struct packet *packet, enum verdict reason)
{
	return is_vip(packet) ? reason : VERDICT_PASSED_NOT_OURS;
}

#endif
