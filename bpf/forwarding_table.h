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
static __always_inline __u32 presumed_owner(const struct packet *packet, const struct service *service, __u64 slot,
					    __u32 settle, __u32 now)
{
	if (is_changed(slot, settle, now) && within_window(packet, service, slot, now) &&
	    usable_backend(slot_previous(slot)))
		return slot_previous(slot);
	return slot_current(slot);
}

/* As presumed_owner(), for a packet that goes there: a drain ends when this has not happened for a while. */
static __always_inline __u32 presume(const struct packet *packet, const struct service *service, __u64 slot,
				     __u32 settle, __u32 now)
{
	__u32 owner = presumed_owner(packet, service, slot, settle, now);
	__u64 *last;

	if (owner == slot_current(slot))
		return owner;
	count_flow_event(FLOW_TO_PREVIOUS);
	last = element(last_unknown, owner);
	if (last && *last != (LAST_UNKNOWN_SEEN | now))
		*last = LAST_UNKNOWN_SEEN | now;
	return owner;
}

/*
 * A slot that changed, or a service that tracks every flow. Numbers, not pointers: a pointer that is NULL on one way
 * and known to be NULL there is more than the verifier of 6.12 can follow without CAP_PERFMON.
 */
static __noinline __u32 choose_with_memory(const struct packet *packet, const struct service *service, __u64 slot,
					    __u32 settle, __u32 service_id)
{
	/* 64 bits: Linux 6.1 refuses, without CAP_PERFMON, to spill 32 bits to half of a word of the stack. */
	__u64 number, flags, now = now_tick();
	int is_first = packet->protocol == IPPROTO_TCP && is_first_packet(packet);
	int is_known = 0, is_gone = 0;
	enum insert kind;
	struct flow_key key;
	struct flow *flow;

	fill_flow_key(packet, &key);
	flow = find_flow(&key);
	if (flow) {
		is_known = 1;
		number = owner_of(packet, service, flow, now);
		is_gone = number && !usable_backend(number);
		if (number && !is_gone && !(is_first && flow->flags & FLOW_CLOSING)) {
			if (!is_no_evidence(packet))
				renew(packet, flow, now);
			count_flow_event(FLOW_FOUND);
			return number;
		}
	}
	if (is_no_evidence(packet))
		return presume(packet, service, slot, settle, now);

	if (is_first) {
		number = slot_current(slot);
		flags = FLOW_SYN_ONLY;
		kind = INSERT_NEW;
	} else {
		if (!is_gone && slot_previous(slot) && is_changed(slot, settle, now))
			is_gone = within_window(packet, service, slot, now) && !usable_backend(slot_previous(slot));
		if (is_gone && service->flags & SERVICE_RESETS && packet->protocol == IPPROTO_TCP &&
		    !(packet->tcp_flags & TCP_FLAGS_RST))
			return BACKEND_RESET;
		number = presume(packet, service, slot, settle, now);
		flags = marks_after(packet, 0) | FLOW_ONCE;
		kind = INSERT_LEARNED;
	}

	/* A slot that settles gets no new entries; UDP says of no packet that it is a flow's first. */
	if (!is_known && packet->protocol == IPPROTO_TCP && !tracks_all(service) &&
	    !is_changed(slot, settle, now))
		return number;
	if (!usable_backend(number))
		return number;
	if (!is_known && !within_insert_budget(service_id, kind, now)) {
		count_flow_event(FLOW_OVER_BUDGET);
	} else if (write_flow(&key, number, now, flags)) {
		count_flow_event(FLOW_NOT_WRITTEN);
	} else {
		count_flow_event(is_first ? FLOW_STARTED : FLOW_LEARNED);
		return number;
	}
	/* What is not written goes where its flow's next packet will. */
	return is_first ? presume(packet, service, slot, settle, now) : number;
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
					    __u32 service_id, const struct pool *pool, __u32 *hash)
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
	return choose_with_memory(packet, service, word, pool->settle, service_id);
}

#endif
