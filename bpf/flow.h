/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* The flow that a packet belongs to: its hash, and the key under which maps know it. */
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

static __always_inline __u32 hash_packet(const struct packet *packet, enum hash_fields fields)
{
	const volatile __u64 *keys = constants.hash_keys;
	int whole = fields == HASH_FLOW;

	if (packet->family == 4)
		return flow_hash4(keys, packet->client[0], whole ? packet->vip[0] : 0, whole ? packet->ports : 0,
				  whole ? packet->protocol : 0);

	static const __u32 none[4];

	return flow_hash6(keys, packet->client, whole ? packet->vip : none, whole ? packet->ports : 0,
			  whole ? packet->protocol : 0);
}

/* In words of eight octets: Linux 6.1 refuses, without CAP_PERFMON, a store to half of a word on the stack. */
static __always_inline void fill_flow_key(const struct packet *packet, struct flow_key *key)
{
	const volatile __u32 *client = packet->client, *vip = packet->vip;
	__u64 *words = (__u64 *)key;

	if (packet->family == 4) {
		words[0] = words[2] = 0;
		words[1] = bpf_htonl(0xffff) | (__u64)client[0] << 32;
		words[3] = bpf_htonl(0xffff) | (__u64)vip[0] << 32;
	} else {
		words[0] = client[0] | (__u64)client[1] << 32;
		words[1] = client[2] | (__u64)client[3] << 32;
		words[2] = vip[0] | (__u64)vip[1] << 32;
		words[3] = vip[2] | (__u64)vip[3] << 32;
	}
	words[4] = packet->ports | (__u64)packet->protocol << 32;
}

/* The key of the packet's client in the memory of a pool. */
static __always_inline void fill_client_key(const struct packet *packet, __u32 pool, struct flow_key *key)
{
	__u64 *words = (__u64 *)key;

	fill_flow_key(packet, key);
	words[2] = 0;
	words[3] = (__u64)pool << 32;
	words[4] = 0;
}

#endif
