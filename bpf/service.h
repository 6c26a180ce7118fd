/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* Which virtual service a packet is for, if any. */
#ifndef SLUICE_SERVICE_H
#define SLUICE_SERVICE_H

#include "maps.h"
#include "packet.h"

static __always_inline __u32 *lookup_service(const struct packet *packet, __be16 port, __u8 protocol)
{
	if (packet->family == 4) {
		struct service_key4 key = { .address = packet->vip[0], .port = port, .protocol = protocol };

		return bpf_map_lookup_elem(&services4, &key);
	}
	struct service_key6 key = { .port = port, .protocol = protocol };

	__builtin_memcpy(key.address, packet->vip, sizeof(key.address));
	return bpf_map_lookup_elem(&services6, &key);
}

/* The service of the packet's address, protocol and port, else of its address and protocol; NULL: not ours. */
static __always_inline struct service *find_service(const struct packet *packet)
{
	__u32 *id = lookup_service(packet, ports_service(packet->ports), packet->protocol);

	if (!id)
		id = lookup_service(packet, 0, packet->protocol);
	return id ? bpf_map_lookup_elem(&services, id) : NULL;
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
