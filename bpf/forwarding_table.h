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
	__u32 key = event;
	__u64 *count = bpf_map_lookup_elem(&flow_events, &key);

	if (count)
		++*count;
}

static __always_inline int is_usable(const struct backend *backend)
{
	return backend->state >> 32 & BACKEND_USABLE;
}

static __always_inline struct backend *usable_backend(__u32 number)
{
	struct backend *backend = number ? bpf_map_lookup_elem(&backends, &number) : NULL;

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
static __always_inline struct backend *remembered(const struct packet *packet, const struct service *service,
						   const struct flow *flow, __u32 now)
{
	struct backend *backend;

	if (now - flow->last_seen > idle_limit(packet, service, flow->flags))
		return NULL;
	backend = usable_backend(flow->backend);
	return backend && (__u32)backend->state == flow->generation ? backend : NULL;
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

static __always_inline void fill_flow_key(const struct packet *packet, struct flow_key *key)
{
	if (packet->family == 4) {
		__u32 *client = (__u32 *)key->client, *vip = (__u32 *)key->vip;

		client[2] = vip[2] = bpf_htonl(0xffff);
		client[3] = packet->client[0];
		vip[3] = packet->vip[0];
	} else {
		__builtin_memcpy(key->client, packet->client, sizeof(key->client));
		__builtin_memcpy(key->vip, packet->vip, sizeof(key->vip));
	}
	key->client_port = packet->ports;
	key->service_port = packet->ports >> 16;
	key->protocol = packet->protocol;
}

/* Who a packet without an entry belongs to: the slot's last stable owner while the flow may be older than the change. */
static __always_inline struct backend *presumed(const struct packet *packet, const struct service *service,
						 __u64 slot, __u32 now, __u32 *number)
{
	__u32 udp = READ_ONCE(service->udp_idle), tcp = READ_ONCE(service->learn);
	__u32 window = packet->protocol == IPPROTO_UDP ? udp : tcp;
	struct backend *backend = NULL;

	*number = slot_previous(slot);
	if (slot_state(slot) == SLOT_CHANGED && slot_age(slot, now) <= window)
		backend = usable_backend(*number);
	if (backend) {
		count_flow_event(FLOW_TO_PREVIOUS);
		return backend;
	}
	*number = slot_current(slot);
	return usable_backend(*number);
}

static __always_inline int remember(const struct flow_key *key, __u32 number, const struct backend *backend,
				    __u32 now, __u32 flags)
{
	struct flow flow = {
		.backend = number,
		.generation = (__u32)backend->state,
		.last_seen = now,
		.flags = flags,
	};

	return bpf_map_update_elem(&flows, key, &flow, BPF_ANY);
}

/* A slot that changed, or a service that tracks every flow. NULL: no usable backend. */
static __noinline struct backend *choose_with_memory(const struct packet *packet, const struct service *service,
						      __u64 slot)
{
	struct flow_key key = {};
	struct backend *backend;
	struct flow *flow;
	__u32 number, now = now_tick();

	fill_flow_key(packet, &key);
	flow = bpf_map_lookup_elem(&flows, &key);
	backend = flow ? remembered(packet, service, flow, now) : NULL;
	if (backend && !(is_first_packet(packet) && flow->flags & FLOW_CLOSING)) {
		refresh(packet, flow, now);
		count_flow_event(FLOW_FOUND);
		return backend;
	}
	if (is_no_evidence(packet))
		return presumed(packet, service, slot, now, &number);

	if (packet->protocol == IPPROTO_TCP && is_first_packet(packet)) {
		/* A new flow belongs to the current backend, if its next packet will find that written. */
		number = slot_current(slot);
		backend = usable_backend(number);
		if (!backend)
			return NULL;
		if (slot_state(slot) == SLOT_SETTLING)
			return backend;
		if (remember(&key, number, backend, now, FLOW_SYN_ONLY) == 0) {
			count_flow_event(FLOW_STARTED);
			return backend;
		}
		count_flow_event(FLOW_NOT_WRITTEN);
		return presumed(packet, service, slot, now, &number);
	}
	backend = presumed(packet, service, slot, now, &number);
	if (backend && slot_state(slot) != SLOT_SETTLING)
		count_flow_event(remember(&key, number, backend, now, is_closing(packet) ? FLOW_CLOSING : 0)
					 ? FLOW_NOT_WRITTEN
					 : FLOW_LEARNED);
	return backend;
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

/* The backend of a packet for `service`; also its flow's hash. NULL: the pool has none that is usable. */
static __always_inline struct backend *choose_backend(const struct packet *packet, const struct service *service,
						       const struct pool *pool, __u32 *hash)
{
	__u64 table = pool->table;
	__u32 index;
	__u64 *slot;

	*hash = hash_packet(packet, pool->hash);
	index = (__u32)table + hash_slot(*hash, table >> 32);
	slot = bpf_map_lookup_elem(&slots, &index);
	if (!slot || !(table >> 32))
		return NULL;
	if (service->affinity == AFFINITY_CHANGES ? slot_state(*slot) != SLOT_STABLE : service->affinity == AFFINITY_ALL)
		return choose_with_memory(packet, service, *slot);
	return usable_backend(slot_current(*slot));
}

#endif
