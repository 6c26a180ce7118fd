/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* Step match: which virtual service a packet is for, if any. */
#ifndef SLUICE_MATCH_H
#define SLUICE_MATCH_H

#include "maps.h"
#include "packet.h"

/* The id in the bucket of the packet's key, or SERVICE_NONE: the hash map decides. Key and id are loaded at once. */
static __always_inline __u64 service_in_bucket4(const struct packet *packet)
{
	__u64 key = service_entry4(packet->vip[0], ports_service(packet->ports), packet->protocol);
	const volatile struct service_bucket4 *bucket = element(buckets4, service_bucket4_index(key));
	__u64 entry;

	if (!bucket)
		return SERVICE_NONE;
#pragma unroll
	for (int i = 0; i < SERVICE_BUCKET4_ENTRIES; i++) {
		entry = bucket->entries[i];
		if (service_entry4_matches(entry, key))
			return service_entry4_id(entry);
	}
	return SERVICE_NONE;
}

static __always_inline __u64 service_in_bucket6(const struct packet *packet)
{
	__u64 high = packet->vip[0], low = packet->vip[1];
	__u64 key = service_entry6(ports_service(packet->ports), packet->protocol);
	const volatile struct service_bucket6 *bucket = element(buckets6, service_bucket6_index(high, low, key));
	__u64 rest;

	if (!bucket)
		return SERVICE_NONE;
#pragma unroll
	for (int i = 0; i < SERVICE_BUCKET6_ENTRIES; i++) {
		rest = bucket->rest[i];
		if ((__u32)rest == (__u32)key && bucket->high[i] == high && bucket->low[i] == low)
			return rest >> 32;
	}
	return SERVICE_NONE;
}

/* Looks up a key with `address`, the packet's source or destination. Keys are built in words: see struct packet. */
static __always_inline __u32 *lookup_service(const struct packet *packet, const __u64 *address, __u64 port,
					     __u64 protocol)
{
	if (packet->family == 4) {
		__u64 key = address[0] | port << 32 | protocol << 48;

		_Static_assert(sizeof(key) == sizeof(struct service_key4), "the key in words");
		return bpf_map_lookup_elem(&services4, &key);
	}
	__u64 key[3] = { address[0], address[1], port | protocol << 16 };

	_Static_assert(sizeof(key) >= sizeof(struct service_key6), "the key in words");
	return bpf_map_lookup_elem(&services6, key);
}

/*
 * The id of the service of the packet's destination address, protocol and port; else that of the service of any port;
 * else SERVICE_NONE. The callers pass the id on and no pointer, because the verifier of Linux 6.12 does not cope with a
 * pointer that is NULL on one path only.
 */
static __noinline __u64 find_service(const struct packet *packet)
{
	__u64 inlined = packet->family == 4 ? service_in_bucket4(packet) : service_in_bucket6(packet);
	__u32 *id;

	if (inlined)
		return inlined;
	id = lookup_service(packet, packet->vip, ports_service(packet->ports), packet->protocol);
	if (id)
		return *id;
	id = lookup_service(packet, packet->vip, 0, packet->protocol);
	return id ? *id : SERVICE_NONE;
}

/* Whether an address may be a VIP, by its first eight octets. False for almost every address that is none. */
static __always_inline int may_be_vip(__u64 first_word)
{
	__u64 bit = vip_filter_bit(first_word);
	__u64 *word = element(vip_filter, bit >> 6);

	return word && *word >> (bit & 63) & 1;
}

/* Whether `address`, of the packet's family, is a VIP. */
static __always_inline int has_service(const struct packet *packet, const __u64 *address)
{
	return lookup_service(packet, address, 0, packet->family == 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6) != NULL;
}

/* Whether the packet's destination is a VIP. */
static __noinline int is_vip(const struct packet *packet)
{
	return may_be_vip(packet->vip[0]) && has_service(packet, packet->vip);
}

/* Whether the packet's source is a VIP, and VIPs may not be sources. */
static __noinline int is_refused_vip_source(const struct packet *packet)
{
	return !vip_policy.accepts_sources && has_service(packet, packet->client);
}

/* A packet with a flaw passes, unless it is for a VIP: then it is dropped for that reason. */
static __always_inline decision drop_if_for_vip(const struct packet *packet, decision flaw)
{
	return is_vip(packet) ? flaw : VERDICT_PASSED_NOT_OURS;
}

/* UNDECIDED: the packet is for a VIP, and answer_unserved() decides once admit() has checked it. */
static __always_inline decision match_unserved(const struct packet *packet)
{
	if (!is_vip(packet))
		return VERDICT_PASSED_NOT_OURS;
	if (vip_policy.unserved == UNSERVED_PASS)
		return VERDICT_PASSED_UNSERVED;
	return packet->kind == PACKET_ICMP_OTHER ? VERDICT_DROPPED_UNSERVED : UNDECIDED;
}

/* UNDECIDED: the packet is for `service`, or for a VIP if that is SERVICE_NONE. */
static __always_inline decision match(const struct packet *packet, __u64 *service)
{
	switch (packet->kind) {
	case PACKET_FLOW:
		*service = find_service(packet);
		return *service ? UNDECIDED : match_unserved(packet);
	case PACKET_ICMP_ECHO:
	case PACKET_ICMP_ERROR:
		return is_vip(packet) ? UNDECIDED : VERDICT_PASSED_NOT_OURS;
	default:
		return match_unserved(packet);
	}
}

#endif
