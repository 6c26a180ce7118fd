/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Which backend a packet goes to. A stable slot answers alone; a changed one asks the flow table first and
 * remembers. docs/affinity.md states the whole machine.
 */
#ifndef SLUICE_FORWARDING_TABLE_H
#define SLUICE_FORWARDING_TABLE_H

#include "flow_table.h"
#include "maps.h"
#include "packet.h"

/* In place of a backend's number: the flow's backend is gone, and its client is to be told. */
#define BACKEND_RESET 0xffffffff

static __always_inline int is_moved(const struct service *service)
{
	return service->affinity == AFFINITY_MOVED || service->affinity == AFFINITY_MOVED_ALL;
}

static __always_inline int tracks_all(const struct service *service)
{
	return service->affinity == AFFINITY_ALL || service->affinity == AFFINITY_MOVED_ALL;
}

/* Whether a slot still asks for its previous backend; afterwards it settles, dead daemon or not. */
static __always_inline int is_changed(__u64 slot, __u32 settle, __u32 now)
{
	struct backend *previous;

	if (slot_state(slot) != SLOT_CHANGED)
		return 0;
	if (slot_age(slot, now) <= settle)
		return 1;
	previous = element(backends, slot_previous(slot));
	return previous && previous->state >> 32 & BACKEND_DRAINING;
}

/* Whether an unknown flow of a changed slot may be older than the change. */
static __always_inline int within_window(const struct packet *packet, const struct service *service, __u64 slot,
					 __u32 now)
{
	__u32 udp = READ_ONCE(service->udp_idle), tcp = READ_ONCE(service->learn);

	return slot_age(slot, now) <= (packet->protocol == IPPROTO_UDP ? udp : tcp);
}

/* Who an unknown flow of a slot belongs to: the last stable owner while the flow may be older than the change. */
static __noinline __u32 presumed_owner(const struct packet *packet, const struct service *service, __u64 slot,
				       __u32 settle, __u32 now)
{
	if (is_changed(slot, settle, now) && within_window(packet, service, slot, now) &&
	    usable_backend(slot_previous(slot)))
		return slot_previous(slot);
	return slot_current(slot);
}

/* As presumed_owner(), for a packet that goes there. */
static __always_inline __u32 presume(const struct packet *packet, const struct service *service, __u64 slot,
				     __u32 settle, __u32 now)
{
	__u32 owner = presumed_owner(packet, service, slot, settle, now);

	if (owner != slot_current(slot))
		count_flow_event(FLOW_TO_PREVIOUS);
	return owner;
}

/* What is known of a flow that no entry binds. */
#define FLOW_HAS_ENTRY 1	/* dead, or not followed: it can be written without room or budget */
#define FLOW_OWNER_GONE 2	/* the entry lives, and its backend is not usable */

/* The pool whose memory a packet asks: its id in the low half, its enum hash_fields in the high half. */
static __always_inline int remembers_clients(__u64 memory)
{
	return memory >> 32 == HASH_SOURCE;
}

static __always_inline __u64 settle_of(__u64 memory)
{
	struct pool *pool = element(pools, memory);

	return pool ? READ_ONCE(pool->settle) : 0;
}

/* Whether a TCP flow that has no entry gets one. */
static __always_inline int may_add(const struct service *service, __u64 slot, __u32 settle, __u32 now)
{
	return tracks_all(service) || is_changed(slot, settle, now);
}

/*
 * A first packet that no entry binds. The functions that choose take 64 bits and numbers: Linux 6.1 refuses, without
 * CAP_PERFMON, to spill 32 bits to half of a word of the stack, and a pointer that is NULL on one way and known to be
 * NULL there is more than the verifier of 6.12 can follow.
 */
static __noinline __u32 begin_flow(const struct packet *packet, const struct service *service, __u64 slot,
				   __u64 memory, __u64 service_and_known)
{
	__u64 number = BACKEND_NONE, settle = settle_of(memory), now = now_tick();
	__u64 known = service_and_known >> 32;

	if (remembers_clients(memory))
		number = backend_of_client(packet, READ_ONCE(service->tcp_idle), memory);
	if (!number)
		number = slot_current(slot);
	if (!usable_backend(number))
		return number;
	/* A slot that settles gets no new entries but of flows that follow their client. */
	if (!known && number == slot_current(slot) && !may_add(service, slot, settle, now))
		return number;
	if (!remember_flow(packet, number, FLOW_SYN_ONLY, service_and_known, known))
		return number;
	/* What is not written goes where its flow's next packet will. */
	number = presume(packet, service, slot, settle, now);
	if (number != slot_current(slot))
		note_unknown(number, now);
	return number;
}

/* Another packet that no entry binds. */
static __noinline __u32 continue_flow(const struct packet *packet, const struct service *service, __u64 slot,
				      __u64 memory, __u64 service_and_known)
{
	__u64 number, client, flags, settle = settle_of(memory), now = now_tick();
	__u64 known = service_and_known >> 32;

	/* Nor is a RST worth an entry: its flow ends, if there was one. */
	if (is_no_evidence(packet) || packet->tcp_flags & TCP_FLAGS_RST)
		return presume(packet, service, slot, settle, now);
	if (known & FLOW_OWNER_GONE && service->flags & SERVICE_RESETS && packet->protocol == IPPROTO_TCP)
		return BACKEND_RESET;
	number = presume(packet, service, slot, settle, now);
	if (packet->protocol == IPPROTO_UDP && remembers_clients(memory) && number == slot_current(slot)) {
		client = backend_of_client(packet, READ_ONCE(service->tcp_idle), memory);
		if (client)
			number = client;
	}
	if (!usable_backend(number))
		return number;
	/* UDP says of no packet that it is a flow's first. */
	if (!known && packet->protocol == IPPROTO_TCP && !may_add(service, slot, settle, now))
		return number;
	flags = marks_of_unknown(packet, now);
	if (remember_flow(packet, number, flags, service_and_known, known)) {
		if (number != slot_current(slot))
			note_unknown(number, now);
	} else if (remembers_clients(memory) && !(flags & FLOW_CLOSING)) {
		remember_client(packet, number, service_and_known, memory);
	}
	return number;
}

/* A slot that changed, or a service that tracks every flow. */
static __noinline __u32 choose_with_memory(const struct packet *packet, const struct service *service, __u64 slot,
					    __u64 memory, __u32 service_id)
{
	__u64 number, known = 0, now = now_tick();
	int is_first = packet->protocol == IPPROTO_TCP && is_first_packet(packet);
	struct flow_key key;
	struct flow *flow;

	fill_flow_key(packet, &key);
	flow = find_flow(&key);
	if (flow) {
		number = owner_of(packet, service, flow, now);
		known = FLOW_HAS_ENTRY;
		if (number && !usable_backend(number)) {
			known |= FLOW_OWNER_GONE;
		} else if (number && !(is_first && begins_anew(flow, number, now))) {
			if (!is_no_evidence(packet)) {
				renew(packet, flow, now);
				if (remembers_clients(memory) && !is_first && !(flow->flags & FLOW_CLOSING))
					remember_client(packet, number, service_id, memory);
			}
			count_flow_event(FLOW_FOUND);
			return number;
		}
	}
	return is_first ? begin_flow(packet, service, slot, memory, service_id | known << 32)
			: continue_flow(packet, service, slot, memory, service_id | known << 32);
}

/*
 * The slot of a service that got another pool: changed since then, and its previous is whom the old pool would send
 * the packet to, were its flow unknown. Once that has settled, flows that begin are not written any more, and the
 * slot's own memory is theirs; a stable one settles, for flows of the old pool are in the flow table.
 */
static __noinline __u64 moved_slot(const struct packet *packet, const struct service *service, __u64 slot,
				   __u32 settle)
{
	__u32 index, previous = BACKEND_NONE, now = now_tick();
	struct pool *before;
	__u64 table, *old;

	if (slot_age(slot_word(0, 0, SLOT_CHANGED, service->moved), now) > settle)
		return slot_state(slot) == SLOT_STABLE ? slot_word(slot_current(slot), BACKEND_NONE, SLOT_SETTLING, 0)
						       : slot;
	before = element(pools, service->before);
	if (before) {
		table = before->table;
		index = (__u32)table + hash_slot(hash_packet(packet, before->hash), table >> 32);
		old = element(slots, index);
		if (old && table >> 32)
			previous = presumed_owner(packet, service, *old, before->settle, now);
	}
	return slot_word(slot_current(slot), previous, SLOT_CHANGED, service->moved);
}

/*
 * The number of the backend that a packet for a service goes to, BACKEND_NONE or BACKEND_RESET; also its flow's hash.
 */
static __always_inline __u32 choose_backend(const struct packet *packet, const struct service *service,
					    __u32 service_id, __u32 pool_id, const struct pool *pool, __u32 *hash)
{
	__u64 table = pool->table, word;
	__u32 index;
	__u64 *slot;

	*hash = hash_packet(packet, pool->hash);
	index = (__u32)table + hash_slot(*hash, table >> 32);
	slot = element(slots, index);
	if (!slot || !(table >> 32))
		return BACKEND_NONE;
	word = *slot;
	if (service->affinity == AFFINITY_CHANGES ? slot_state(word) == SLOT_STABLE
						  : service->affinity == AFFINITY_NONE)
		return slot_current(word);
	if (is_moved(service))
		word = moved_slot(packet, service, word, pool->settle);
	return choose_with_memory(packet, service, word, pool_id | (__u64)pool->hash << 32, service_id);
}

#endif
