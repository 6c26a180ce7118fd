/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Step choose: which backend a packet goes to. The flow's hash selects a slot of the pool's forwarding table.
 *
 *   stable slot    its current backend
 *   changed slot   the backend that the flow table has for the flow. An unknown flow may be older than the change: it
 *                  goes to the slot's previous backend for a while, then to the current one, and is recorded.
 *   settling slot  as changed, but unknown flows go to the current backend and are not recorded
 *
 * docs/affinity.md has all rules, and defines the terms.
 */
#ifndef SLUICE_FORWARDING_TABLE_H
#define SLUICE_FORWARDING_TABLE_H

#include "flow_table.h"
#include "maps.h"
#include "packet.h"

/* Instead of a backend number: the flow's backend is gone, and the client gets a RST. */
#define BACKEND_RESET 0xffffffff

static __always_inline int is_moved(const struct service *service)
{
	return service->affinity == AFFINITY_MOVED || service->affinity == AFFINITY_MOVED_ALL;
}

static __always_inline int tracks_all(const struct service *service)
{
	return service->affinity == AFFINITY_ALL || service->affinity == AFFINITY_MOVED_ALL;
}

/* Whether a changed slot is still that. After `settle` it counts as settling, even if no daemon is there to say so. */
static __always_inline int is_changed(__u64 slot, __u32 settle, __u32 now)
{
	struct backend *previous;

	if (slot_state(slot) != SLOT_CHANGED)
		return 0;
	if (slot_age(slot, now) <= settle)
		return 1;
	previous = element(backends, slot_previous(slot));
	return previous && is_draining(previous);
}

/* Whether it is assumed that an unknown flow of a changed slot is older than the change. */
static __always_inline int within_window(const struct packet *packet, const struct service *service, __u64 slot,
					 __u32 now)
{
	__u32 udp = READ_ONCE(service->udp_idle), tcp = READ_ONCE(service->learn);

	return slot_age(slot, now) <= (packet->protocol == IPPROTO_UDP ? udp : tcp);
}

/* The backend that an unknown flow is assumed to have. */
static __noinline __u32 presumed_owner(const struct packet *packet, const struct service *service, __u64 slot,
				       __u32 settle, __u32 now)
{
	if (is_changed(slot, settle, now) && within_window(packet, service, slot, now) &&
	    usable_backend(slot_previous(slot)))
		return slot_previous(slot);
	return slot_current(slot);
}

/* As presumed_owner(), and counts that the packet goes there. */
static __always_inline __u32 presume(const struct packet *packet, const struct service *service, __u64 slot,
				     __u32 settle, __u32 now)
{
	__u32 owner = presumed_owner(packet, service, slot, settle, now);

	if (owner != slot_current(slot))
		count_flow_event(FLOW_TO_PREVIOUS);
	return owner;
}

/* What is known of a flow whose entry does not determine its backend; else 0. */
#define FLOW_HAS_ENTRY 1	/* an entry exists, which can be rewritten without space or budget */
#define FLOW_OWNER_GONE 2	/* it has not expired, and its backend is gone: see owner_of() */

/* Whether all flows of a client go to one backend. */
static __always_inline int follows_client(const struct service *service)
{
	return table_hash(READ_ONCE(service->table)) == HASH_SOURCE;
}

static __always_inline __u32 pool_of(const struct service *service)
{
	return READ_ONCE(service->binding);
}

static __always_inline __u64 settle_of(const struct service *service)
{
	struct pool *pool = element(pools, pool_of(service));

	return pool ? READ_ONCE(pool->settle) : 0;
}

/* Whether a TCP flow that has no entry gets one. */
static __always_inline int may_add(const struct service *service, __u64 slot, __u32 settle, __u32 now)
{
	return tracks_all(service) || is_changed(slot, settle, now);
}

/*
 * The backend of a first packet whose flow has no entry that determines it. `service_and_known`: the service's id in
 * the low half, FLOW_HAS_ENTRY and FLOW_OWNER_GONE in the high half; BPF functions have five arguments at most.
 */
static __noinline __u32 begin_flow(const struct packet *packet, const struct service *service, __u64 slot,
				   __u64 service_and_known)
{
	__u64 number = BACKEND_NONE, settle = settle_of(service), now = now_tick();
	__u64 known = service_and_known >> 32;

	if (follows_client(service))
		number = backend_of_client(packet, READ_ONCE(service->tcp_idle), pool_of(service));
	if (!number)
		number = slot_current(slot);
	if (!usable_backend(number))
		return number;
	/* On a settling slot a flow is recorded only if its client keeps it off the slot's current backend. */
	if (!known && number == slot_current(slot) && !may_add(service, slot, settle, now))
		return number;
	if (!remember_flow(packet, number, FLOW_SYN_ONLY, service_and_known, known))
		return number;
	/* Not recorded, so its next packet will be that of an unknown flow. This one goes to the same backend. */
	number = presume(packet, service, slot, settle, now);
	if (number != slot_current(slot))
		note_unknown(number, now);
	return number;
}

/* As begin_flow(), of a packet other than a first one. */
static __noinline __u32 continue_flow(const struct packet *packet, const struct service *service, __u64 slot,
				      __u64 service_and_known)
{
	__u64 number, client, flags, settle = settle_of(service), now = now_tick();
	__u64 known = service_and_known >> 32;

	/* Nothing is recorded: neither of such packets, nor of a RST, which ends the flow. */
	if (!carries_evidence(packet) || packet->tcp_flags & TCP_FLAGS_RST)
		return presume(packet, service, slot, settle, now);
	if (known & FLOW_OWNER_GONE && service->flags & SERVICE_RESETS && packet->protocol == IPPROTO_TCP)
		return BACKEND_RESET;
	number = presume(packet, service, slot, settle, now);
	if (packet->protocol == IPPROTO_UDP && follows_client(service) && number == slot_current(slot)) {
		client = backend_of_client(packet, READ_ONCE(service->tcp_idle), pool_of(service));
		if (client)
			number = client;
	}
	if (!usable_backend(number))
		return number;
	/* Each unknown flow of UDP is recorded, because UDP has no first packets. */
	if (!known && packet->protocol == IPPROTO_TCP && !may_add(service, slot, settle, now))
		return number;
	flags = marks_of_unknown(packet, now);
	if (remember_flow(packet, number, flags, service_and_known, known)) {
		if (number != slot_current(slot))
			note_unknown(number, now);
	} else if (follows_client(service) && !(flags & FLOW_CLOSING)) {
		remember_client(packet, number, service_and_known, pool_of(service));
	}
	return number;
}

/* Counts and renews, for a packet that goes to the backend that its flow's entry names. */
static __always_inline void follow(const struct packet *packet, const struct service *service, __u32 service_id,
				   struct flow *flow, __u32 number, __u32 now)
{
	count_flow_event(FLOW_FOUND);
	if (!carries_evidence(packet))
		return;
	renew(packet, flow, now);
	if (follows_client(service) && !is_first_packet(packet) && !(flow->flags & FLOW_CLOSING))
		remember_client(packet, number, service_id, pool_of(service));
}

/* The backend of a packet if the flow table has a say: its slot is not stable, or the service tracks every flow. */
static __noinline __u32 choose_with_memory(const struct packet *packet, const struct service *service, __u64 slot,
					    __u32 service_id)
{
	__u64 number, known = 0, now = now_tick();
	int is_first = packet->protocol == IPPROTO_TCP && is_first_packet(packet);
	struct flow_key key;
	struct flow *flow;

	fill_flow_key(packet, &key);
	flow = find_flow(&key);
	if (flow) {
		known = FLOW_HAS_ENTRY;
		if (!has_expired(flow, idle_limit(packet, service, flow->flags), now)) {
			number = owner_of(flow);
			if (number && !(is_first && begins_anew(flow, number, now))) {
				follow(packet, service, service_id, flow, number, now);
				return number;
			}
			if (!number)
				known |= FLOW_OWNER_GONE;
		}
	}
	return is_first ? begin_flow(packet, service, slot, service_id | known << 32)
			: continue_flow(packet, service, slot, service_id | known << 32);
}

/*
 * The slot of a packet whose service moved to another pool. The move counts as a change of every slot: the slot's
 * previous backend is the one that the old pool has for an unknown flow. After `settle` the slot is what the new pool's
 * table says, but a stable one counts as settling, because flows of the old pool are still in the flow table.
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
		table = READ_ONCE(before->table);
		index = table_first(table) + hash_slot(hash_packet(packet, table_hash(table)), table_size(table));
		old = element(slots, index);
		if (old && table_size(table))
			previous = presumed_owner(packet, service, *old, before->settle, now);
	}
	return slot_word(slot_current(slot), previous, SLOT_CHANGED, service->moved);
}

/* Returns the number of the packet's backend, BACKEND_NONE or BACKEND_RESET. `flow_hash`: with HASH_FLOW. */
static __always_inline __u32 choose_backend(const struct packet *packet, const struct service *service,
					    __u32 service_id, __u32 flow_hash)
{
	__u64 table = READ_ONCE(service->table), word;
	__u32 hash = table_hash(table) == HASH_FLOW ? flow_hash : hash_packet(packet, HASH_SOURCE);
	__u64 *slot;

	slot = element(slots, table_first(table) + hash_slot(hash, table_size(table)));
	if (!slot || !table_size(table))
		return BACKEND_NONE;
	word = *slot;
	if (service->affinity == AFFINITY_CHANGES ? slot_state(word) == SLOT_STABLE
						  : service->affinity == AFFINITY_NONE)
		return slot_current(word);
	if (is_moved(service))
		word = moved_slot(packet, service, word, settle_of(service));
	return choose_with_memory(packet, service, word, service_id);
}

#endif
