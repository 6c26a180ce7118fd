/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* Which virtual service a packet is for, if any. */
#ifndef SLUICE_SERVICE_H
#define SLUICE_SERVICE_H

#include "maps.h"
#include "packet.h"

/*
 * `address`: the packet's, where its VIP is expected. The keys are built in words of eight octets, as fill_flow_key()
 * does and for the same reason.
 */
static __always_inline __u32 *lookup_service(const struct packet *packet, const __u32 *address, __be16 port,
					     __u8 protocol)
{
	if (packet->family == 4) {
		__u64 key = address[0] | (__u64)port << 32 | (__u64)protocol << 48;

		_Static_assert(sizeof(key) == sizeof(struct service_key4), "the key in words");
		return bpf_map_lookup_elem(&services4, &key);
	}
	__u64 key[3];

	_Static_assert(sizeof(key) >= sizeof(struct service_key6), "the key in words");
	copy_address(key, address);
	key[2] = port | (__u64)protocol << 16;
	return bpf_map_lookup_elem(&services6, key);
}

/*
 * The id of the service of the packet's address, protocol and port, else of its address and protocol. An id, not a
 * pointer: see choose_with_memory().
 */
static __always_inline __u64 find_service(const struct packet *packet)
{
	__u32 *id = lookup_service(packet, packet->vip, ports_service(packet->ports), packet->protocol);

	if (id)
		return *id;
	id = lookup_service(packet, packet->vip, 0, packet->protocol);
	return id ? *id : SERVICE_NONE;
}

/* False for almost every address that is no VIP. */
static __always_inline int may_be_vip(const __u32 *address)
{
	__u32 bit = vip_filter_bit(*(const __u64 *)address);
	__u64 *word = element(vip_filter, bit >> 6);

	return word && *word >> (bit & 63) & 1;
}

/* Whether any service has an address of the packet's family. */
static __always_inline int has_service(const struct packet *packet, const __u32 *address)
{
	return lookup_service(packet, address, 0, packet->family == 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6) != NULL;
}

/* Whether any service has the packet's destination address. */
static __always_inline int is_vip(const struct packet *packet)
{
	return may_be_vip(packet->vip) && has_service(packet, packet->vip);
}

/* Whether the packet's source, which may be a VIP, is one and must not be. Out of line: almost no packet comes here. */
static __noinline int is_refused_vip_source(const struct packet *packet)
{
	return !vip_policy.accepts_sources && has_service(packet, packet->client);
}

/*
 * What becomes of a packet that no service has. VERDICT_FORWARDED: it is for a VIP, and answer_unserved() decides once
 * the packet is known to be sound.
 */
static __noinline enum verdict judge_unserved(const struct packet *packet)
{
	if (!is_vip(packet))
		return VERDICT_PASSED_NOT_OURS;
	return vip_policy.unserved == UNSERVED_PASS ? VERDICT_PASSED_UNSERVED : VERDICT_FORWARDED;
}

/* Odd packets pass until they are known to be for a VIP; then they drop with their reason. */
static __noinline enum verdict refuse(const struct packet *packet, enum verdict reason)
{
	return is_vip(packet) ? reason : VERDICT_PASSED_NOT_OURS;
}

#endif
