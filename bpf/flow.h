/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* The flow that a packet belongs to: its hash, and its key in the flow table. */
#ifndef SLUICE_FLOW_H
#define SLUICE_FLOW_H

#include "flow_hash.h"
#include "packet.h"

/* Fixed at load time. The defaults let the object be verified as it is. */
const volatile struct forwarder_constants constants SEC(".rodata.constants") = {
	.tick_shift = 8,
	.answers_per_tick = 1000,
	.answers_per_network = 125,
	.new_per_tick = 1000,
	.learned_per_tick = 1000,
};

/* The hash over the fields that a pool's table names. Fields that do not count are zero. */
static __always_inline __u32 hash_packet(const struct packet *packet, enum hash_fields fields)
{
	const volatile __u64 *keys = constants.hash_keys;
	__u64 whole = fields == HASH_FLOW ? ~0ull : 0;

	if (packet->family == 4)
		return flow_hash4(keys, packet->client[0], packet->vip[0] & whole, packet->ports & whole,
				  packet->protocol & whole);
	return flow_hash6_words(keys, packet->client[0], packet->client[1], packet->vip[0] & whole,
				packet->vip[1] & whole, packet->ports & whole, packet->protocol & whole);
}

/* Writes words of eight octets, for the reason that struct packet states. */
static __always_inline void fill_flow_key(const struct packet *packet, struct flow_key *key)
{
	__u64 *words = (__u64 *)key;

	if (packet->family == 4) {
		words[0] = words[2] = 0;
		words[1] = bpf_htonl(0xffff) | packet->client[0] << 32;
		words[3] = bpf_htonl(0xffff) | packet->vip[0] << 32;
	} else {
		copy_address(&words[0], packet->client);
		copy_address(&words[2], packet->vip);
	}
	words[4] = packet->ports | packet->protocol << 32;
}

/* The key under which a pool records the packet's client. */
static __always_inline void fill_client_key(const struct packet *packet, __u32 pool, struct flow_key *key)
{
	__u64 *words = (__u64 *)key;

	fill_flow_key(packet, key);
	words[2] = 0;
	words[3] = (__u64)pool << 32;
	words[4] = 0;
}

#endif
