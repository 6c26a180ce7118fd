/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * The forwarder's maps, who writes them and who reads them; those it shares are in backends.h. Sizes are set by the
 * daemon before loading; these are minima.
 */
#ifndef SLUICE_MAPS_H
#define SLUICE_MAPS_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "backends.h"
#include "flow.h"
#include "forwarding_abi.h"
#include "packet.h"

/* Daemon writes, program reads. One per loaded program, not carried over. */
volatile struct uplink uplink SEC(".data.uplink") = {};
volatile struct vip_policy vip_policy SEC(".data.vip_policy") = {};
volatile struct carry_over carry_over SEC(".data.carry_over") = {};

/* Daemon writes through a mapping. One per loaded program, not carried over. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, VIP_FILTER_WORDS);
} vip_filter SEC(".maps");

/* Address, protocol, port -> service id. Daemon writes. They hold all keys; the buckets below hold most of them too. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct service_key4);
	__type(value, __u32);
	__uint(max_entries, 1024);
} services4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct service_key6);
	__type(value, __u32);
	__uint(max_entries, 1024);
} services6 SEC(".maps");

/* Service buckets: see service_abi.h. Daemon writes through a mapping. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct service_bucket4);
	__uint(max_entries, SERVICE_BUCKETS);
} buckets4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct service_bucket6);
	__uint(max_entries, SERVICE_BUCKETS);
} buckets6 SEC(".maps");

/* By service id. Daemon writes through a mapping; id 0 is unused. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct service);
	__uint(max_entries, 1024);
} services SEC(".maps");

/* By pool number. Daemon writes through a mapping. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct pool);
	__uint(max_entries, 256);
} pools SEC(".maps");

/*
 * The forwarding tables of all pools, each a run of slots. Daemon writes through a mapping: whole runs only while no pool
 * names them; slots of a table in force by single stores, when they settle or are repaired.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, 131072);
} slots SEC(".maps");

/* Two hot slots to a word, by slot index / 2. Daemon writes through a mapping: see slot_abi.h. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, 65536);
} hot_slots SEC(".maps");

/*
 * Flows of slots that changed or settle, or of all slots where the affinity says so; and clients of pools that hash
 * sources. Program writes; daemon sweeps, and writes where it carries flows over. Never evicts: full means "cannot be
 * written".
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct flow_key);
	__type(value, struct flow);
	__uint(max_entries, 65536);
} flows SEC(".maps");

/* Flows in the table of an earlier layout, while they are carried over. Else empty. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct flow_key);
	__type(value, struct flow);
	__uint(max_entries, 1);
} flows_before SEC(".maps");

/* By service id and enum insert; those of service 0 are the whole CPU's. Program only. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct budget);
	__uint(max_entries, 2048);
} insert_budgets SEC(".maps");

/*
 * By backend number: LAST_UNKNOWN_SEEN and the tick of the last event that keeps the backend's drain open. An unknown
 * flow was confirmed, or a packet of one went to the backend and could not be recorded. Program writes, daemon reads.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, 4096);
} last_unknown SEC(".maps");

/* Forwarded packets by (service, backend). Program writes. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct counter);
	__uint(max_entries, 65536);
} pair_counters SEC(".maps");

/* Offsets of pair counters: the total of a counter's present owner is counter + offset. Daemon only. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct counter);
	__uint(max_entries, 65536);
} pair_offsets SEC(".maps");

/* The packet of the general path. On the stack, with those of the functions called, it would exceed 512 octets. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct packet);
	__uint(max_entries, 1);
} packets SEC(".maps");

/* By enum verdict. Program writes. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct counter);
	__uint(max_entries, VERDICT_COUNT);
} verdicts SEC(".maps");

/* By enum flow_event. Program writes. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, FLOW_EVENT_COUNT);
} flow_events SEC(".maps");

/* By enum answer; then, for each of them, by bucket of source networks. Program only. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct budget);
	__uint(max_entries, ANSWER_COUNT * (1 + ANSWER_BUCKETS));
} answer_budgets SEC(".maps");

/* Names of services, pools and backends by number, for a daemon that restarts. Daemon only. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct identity);
	__uint(max_entries, 1024);
} service_names SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct identity);
	__uint(max_entries, 256);
} pool_names SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct identity);
	__uint(max_entries, 4096);
} backend_names SEC(".maps");

/* Daemon only: what it may adopt. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct layout);
	__uint(max_entries, 1);
} layout SEC(".maps");

/* The packet path's clock: a tick is about a second. Wraps; compare differences only. */
static __always_inline __u32 now_tick(void)
{
	return bpf_jiffies64() >> constants.tick_shift;
}

static __always_inline void begin_tick(struct budget *budget, __u32 now)
{
	if (budget->tick == now)
		return;
	budget->tick = now;
	budget->used = 0;
}

#endif
