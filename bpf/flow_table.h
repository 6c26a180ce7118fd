/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* Looks up, renews and writes entries of the flow table. docs/affinity.md states how long an entry lives. */
#ifndef SLUICE_FLOW_TABLE_H
#define SLUICE_FLOW_TABLE_H

#include "flow.h"
#include "maps.h"
#include "outer_header.h"
#include "packet.h"

static __always_inline void count_flow_event(enum flow_event event)
{
	__u64 *count = element(flow_events, event);

	if (count)
		++*count;
}

static __always_inline int is_usable(const struct backend *backend)
{
	return !!(READ_ONCE(backend->next_hop) & BACKEND_USABLE);
}

static __always_inline int is_draining(const struct backend *backend)
{
	return !!(READ_ONCE(backend->next_hop) & BACKEND_DRAINING);
}

static __always_inline struct backend *usable_backend(__u32 number)
{
	struct backend *backend = number ? element(backends, number) : NULL;

	return backend && is_usable(backend) ? backend : NULL;
}

/* The backend of a flow entry, or BACKEND_NONE where it is gone: unusable, or its number has another owner now. */
static __always_inline __u32 owner_of(const struct flow *flow)
{
	struct backend *backend = usable_backend(flow->backend);

	return backend && backend->generation == flow->generation ? flow->backend : BACKEND_NONE;
}

/*
 * The entry of a flow, expired or not, or NULL. While the daemon migrates entries from an earlier map set, one that is
 * only there is copied first.
 */
static __always_inline struct flow *find_flow(const struct flow_key *key)
{
	struct flow *flow = bpf_map_lookup_elem(&flows, key);
	const __u64 *before;
	__u64 copy[2];

	if (flow || !carry_over.reads_before)
		return flow;
	before = bpf_map_lookup_elem(&flows_before, key);
	if (!before)
		return NULL;
	copy[0] = before[0];
	copy[1] = before[1];
	bpf_map_update_elem(&flows, key, copy, BPF_NOEXIST);
	return bpf_map_lookup_elem(&flows, key);
}

static __always_inline __u32 idle_limit(const struct packet *packet, const struct service *service, __u32 flags)
{
	return flow_idle_limit(flags, packet->protocol == IPPROTO_UDP, READ_ONCE(service->udp_idle),
			       READ_ONCE(service->tcp_idle));
}

/* Signed: another CPU may have renewed the entry in the tick that began since `now` was read. */
static __always_inline int has_expired(const struct flow *flow, __u32 limit, __u32 now)
{
	return (__s32)(now - flow->last_seen) > (__s32)limit;
}

/* The flags of a flow's entry after a packet other than a first one. */
static __always_inline __u32 marks_after(const struct packet *packet, __u32 marks)
{
	marks &= FLOW_FINISHED;
	if (packet->protocol != IPPROTO_TCP)
		return marks;
	if (packet->tcp_flags & TCP_FLAGS_FIN)
		marks = FLOW_FINISHED;
	else if (has_payload(packet))
		marks = 0;
	return packet->tcp_flags & TCP_FLAGS_RST ? marks | FLOW_RESET : marks;
}

/* Records that a backend has an unknown flow: its drain ends when there was none for a while. */
static __always_inline void note_unknown(__u32 number, __u32 now)
{
	__u64 *last = element(last_unknown, number);

	if (last && *last != (LAST_UNKNOWN_SEEN | now))
		*last = LAST_UNKNOWN_SEEN | now;
}

/* The flags of an unknown flow's entry after its first packet. */
static __always_inline __u32 marks_of_unknown(const struct packet *packet, __u32 now)
{
	return marks_after(packet, 0) | FLOW_ONCE | now << FLOW_FIRST_SHIFT;
}

/* Whether a packet confirms an unknown flow: it comes some ticks after the flow's first packet, and is no RST. */
static __always_inline int confirms(const struct packet *packet, __u32 flags, __u32 now)
{
	/* The age may be -1: another CPU may have begun the next tick. */
	return (__u16)(now - (flags >> FLOW_FIRST_SHIFT) + 1) > FLOW_CONFIRMED_AFTER &&
	       !(packet->tcp_flags & TCP_FLAGS_RST);
}

/* Stores only what differs: flows of many CPUs may share the cache line. */
static __always_inline void renew(const struct packet *packet, struct flow *flow, __u32 now)
{
	__u32 flags = flow->flags, marks;

	if (flow->last_seen != now)
		flow->last_seen = now;
	if (is_first_packet(packet)) {
		/* The SYN may be forged. If it is not, the next packet restores the full idle limit. */
		marks = flags & FLOW_FINISHED ? (flags & ~FLOW_FINISHED) | FLOW_RESET : flags;
	} else {
		marks = marks_after(packet, flags);
		if (flags & FLOW_ONCE && !confirms(packet, flags, now))
			marks |= flags & (FLOW_ONCE | ~0u << FLOW_FIRST_SHIFT);
	}
	if (flags != marks)
		flow->flags = marks;
	if (flags & ~marks & FLOW_ONCE)
		note_unknown(flow->backend, now);
}

/* Whether a first packet begins a new flow in place of the entry's: that has ended, and its backend drains. */
static __always_inline int begins_anew(const struct flow *flow, __u32 number, __u32 now)
{
	struct backend *backend = element(backends, number);

	return flow->flags & FLOW_CLOSING && (__s32)(now - flow->last_seen) > FLOW_OVER_IDLE && backend &&
	       is_draining(backend);
}

/* Whether a new entry is within this CPU's limit for the tick, and the service's on this CPU, which is half of it. */
static __always_inline int within_insert_budget(__u32 service, enum insert kind, __u32 now)
{
	__u64 fresh = constants.new_per_tick, learned = constants.learned_per_tick;
	__u64 limit = kind == INSERT_NEW ? fresh : learned;
	struct budget *cpu, *own;

	cpu = element(insert_budgets, kind);
	own = element(insert_budgets, service * INSERT_COUNT + kind);
	if (!cpu || !own)
		return 0;
	begin_tick(cpu, now);
	begin_tick(own, now);
	if (cpu->used >= limit || own->used >= (limit + 1) / 2)
		return 0;
	cpu->used++;
	own->used++;
	return 1;
}

/* Writes an entry, a struct flow, as two words. Returns 0 if it was written. */
static __always_inline int write_flow(const struct flow_key *key, __u32 number, __u32 now, __u32 flags)
{
	struct backend *backend = element(backends, number);
	__u64 flow[2];

	if (!backend)
		return -1;
	flow[0] = number | (__u64)backend->generation << 32;
	flow[1] = now | (__u64)flags << 32;
	return bpf_map_update_elem(&flows, key, flow, BPF_ANY);
}

/*
 * Records the backend of a flow. Returns 0, or -1 if the table is full or the insert budget is used up. `is_known`: the
 * flow has an entry, expired or not, which is rewritten. That takes no budget.
 */
static __noinline int remember_flow(const struct packet *packet, __u32 number, __u32 flags, __u32 service, int is_known)
{
	enum insert kind = flags & FLOW_SYN_ONLY ? INSERT_NEW : INSERT_LEARNED;
	__u64 now = now_tick();
	struct flow_key key;

	if (!is_known && !within_insert_budget(service, kind, now)) {
		count_flow_event(FLOW_OVER_BUDGET);
		return -1;
	}
	fill_flow_key(packet, &key);
	if (write_flow(&key, number, now, flags)) {
		count_flow_event(FLOW_NOT_WRITTEN);
		return -1;
	}
	count_flow_event(kind == INSERT_NEW ? FLOW_STARTED : FLOW_LEARNED);
	return 0;
}

/* The usable backend that a pool has recorded for the packet's client, or BACKEND_NONE. */
static __noinline __u32 backend_of_client(const struct packet *packet, __u32 tcp_idle, __u32 pool)
{
	struct flow_key key;
	struct flow *flow;

	fill_client_key(packet, pool, &key);
	flow = find_flow(&key);
	return flow && !has_expired(flow, tcp_idle, now_tick()) ? owner_of(flow) : BACKEND_NONE;
}

/* Records the backend of the packet's client, for a pool. Without budget or space it does nothing. */
static __noinline int remember_client(const struct packet *packet, __u32 number, __u32 service, __u32 pool)
{
	struct backend *backend = element(backends, number);
	__u64 owner, now = now_tick();
	struct flow_key key;
	struct flow *flow;

	if (!backend || backend->pool != (__u16)pool)
		return 0;
	owner = number | (__u64)backend->generation << 32;
	fill_client_key(packet, pool, &key);
	flow = find_flow(&key);
	if (flow) {
		if (*(__u64 *)flow != owner)
			*(__u64 *)flow = owner;
		if (flow->last_seen != (__u32)now)
			flow->last_seen = now;
	} else if (!within_insert_budget(service, INSERT_LEARNED, now)) {
		count_flow_event(FLOW_OVER_BUDGET);
	} else if (write_flow(&key, number, now, 0)) {
		count_flow_event(FLOW_NOT_WRITTEN);
	}
	return 0;
}

#endif
