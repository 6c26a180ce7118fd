/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Which backend a packet goes to. A stable slot answers alone; a changed one asks the flow table first and
 * remembers. docs/affinity.md states the whole machine.
 */
#ifndef SLUICE_FORWARDING_TABLE_H
#define SLUICE_FORWARDING_TABLE_H

#include "flow_hash.h"
#include "maps.h"
#include "packet.h"

static __always_inline void count_flow_event(enum flow_event event)
{
	__u64 *count = element(flow_events, event);

	if (count)
		++*count;
}

static __always_inline int is_usable(const struct backend *backend)
{
	return backend->state >> 32 & BACKEND_USABLE;
}

static __always_inline struct backend *usable_backend(__u32 number)
{
	struct backend *backend = number ? element(backends, number) : NULL;

	return backend && is_usable(backend) ? backend : NULL;
}

/*
 * Loads a field where it stands. Without it the compiler turns a choice between two fields into a pointer with a
 * variable offset, which is refused without CAP_PERFMON.
 */
#define READ_ONCE(field) (*(const volatile typeof(field) *)&(field))

static __always_inline __u32 idle_limit(const struct packet *packet, const struct service *service, __u32 flags)
{
	if (flags & FLOW_SYN_ONLY)
		return FLOW_SYN_ONLY_IDLE;
	if (flags & FLOW_CLOSING)
		return FLOW_CLOSING_IDLE;
	if (packet->protocol == IPPROTO_UDP)
		return READ_ONCE(service->udp_idle);
	return READ_ONCE(service->tcp_idle);
}

/* Who a flow entry names, if it lives and its backend is still the one it was given to, and usable. */
static __always_inline __u32 remembered(const struct packet *packet, const struct service *service,
					const struct flow *flow, __u32 now)
{
	struct backend *backend;

	if (now - flow->last_seen > idle_limit(packet, service, flow->flags))
		return BACKEND_NONE;
	backend = usable_backend(flow->backend);
	return backend && (__u32)backend->state == flow->generation ? flow->backend : BACKEND_NONE;
}

static __always_inline void refresh(const struct packet *packet, struct flow *flow, __u32 now)
{
	if (is_no_evidence(packet))
		return;
	flow->last_seen = now;
	if (packet->protocol != IPPROTO_TCP || is_first_packet(packet))
		return;
	flow->flags = is_closing(packet) ? FLOW_CLOSING : 0;
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

/* Who a packet without an entry belongs to: the slot's last stable owner while the flow may be older than the change. */
static __always_inline __u32 presumed(const struct packet *packet, const struct service *service, __u64 slot,
				      __u32 now)
{
	__u32 udp = READ_ONCE(service->udp_idle), tcp = READ_ONCE(service->learn);
	__u32 window = packet->protocol == IPPROTO_UDP ? udp : tcp;

	if (slot_state(slot) == SLOT_CHANGED && slot_age(slot, now) <= window &&
	    usable_backend(slot_previous(slot))) {
		count_flow_event(FLOW_TO_PREVIOUS);
		return slot_previous(slot);
	}
	return slot_current(slot);
}

/* Returns 0 where the flow was written. The entry is a struct flow in two words: see fill_flow_key(). */
static __always_inline int remember(const struct flow_key *key, __u32 number, __u32 now, __u32 flags)
{
	struct backend *backend = usable_backend(number);
	__u64 flow[2];

	if (!backend)
		return -1;
	flow[0] = number | backend->state << 32;
	flow[1] = now | (__u64)flags << 32;
	return bpf_map_update_elem(&flows, key, flow, BPF_ANY);
}

/*
 * A slot that changed, or a service that tracks every flow. Numbers, not pointers: a pointer that is NULL on one way
 * and known to be NULL there is more than the verifier of 6.12 can follow without CAP_PERFMON.
 */
static __noinline __u32 choose_with_memory(const struct packet *packet, const struct service *service, __u64 slot)
{
	struct flow_key key;
	struct flow *flow;
	__u32 number, now = now_tick();

	fill_flow_key(packet, &key);
	flow = bpf_map_lookup_elem(&flows, &key);
	if (flow) {
		number = remembered(packet, service, flow, now);
		if (number && !(is_first_packet(packet) && flow->flags & FLOW_CLOSING)) {
			refresh(packet, flow, now);
			count_flow_event(FLOW_FOUND);
			return number;
		}
	}
	if (is_no_evidence(packet))
		return presumed(packet, service, slot, now);

	if (packet->protocol == IPPROTO_TCP && is_first_packet(packet)) {
		/* A new flow belongs to the current backend, if its next packet will find that written. */
		number = slot_current(slot);
		if (slot_state(slot) == SLOT_SETTLING || !usable_backend(number))
			return number;
		if (remember(&key, number, now, FLOW_SYN_ONLY) == 0) {
			count_flow_event(FLOW_STARTED);
			return number;
		}
		count_flow_event(FLOW_NOT_WRITTEN);
		return presumed(packet, service, slot, now);
	}
	number = presumed(packet, service, slot, now);
	if (slot_state(slot) != SLOT_SETTLING && usable_backend(number))
		count_flow_event(remember(&key, number, now, is_closing(packet) ? FLOW_CLOSING : 0) ? FLOW_NOT_WRITTEN
												     : FLOW_LEARNED);
	return number;
}

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

/* The number of the backend that a packet for `service` goes to; also its flow's hash. */
static __always_inline __u32 choose_backend(const struct packet *packet, const struct service *service,
					    const struct pool *pool, __u32 *hash)
{
	__u64 table = pool->table;
	__u32 index;
	__u64 *slot;

	*hash = hash_packet(packet, pool->hash);
	index = (__u32)table + hash_slot(*hash, table >> 32);
	slot = element(slots, index);
	if (!slot || !(table >> 32))
		return BACKEND_NONE;
	if (service->affinity == AFFINITY_CHANGES ? slot_state(*slot) != SLOT_STABLE : service->affinity == AFFINITY_ALL)
		return choose_with_memory(packet, service, *slot);
	return slot_current(*slot);
}

#endif
