/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* The decapsulator's maps. sluice-backend writes all but the counters. */
#ifndef SLUICE_DECAPSULATION_MAPS_H
#define SLUICE_DECAPSULATION_MAPS_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "backend_vips.h"
#include "counter.h"
#include "decapsulation_abi.h"

/*
 * This host's addresses without the VIPs, each ADDRESS_ENDS_TUNNELS or ADDRESS_OF_HOST. sluice-backend sets the size
 * before loading, by how many addresses the host has.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct host_address);
	__type(value, __u32);
	__uint(max_entries, 1024);
} tunnel_addresses SEC(".maps");

/* Outer sources. */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct source_prefix4);
	__type(value, __u32);
	__uint(max_entries, 1024);
} sources4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct source_prefix6);
	__type(value, __u32);
	__uint(max_entries, 1024);
} sources6 SEC(".maps");

/* One element. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct tunnel_formats);
	__uint(max_entries, 1);
} tunnel_formats SEC(".maps");

/* UDP destination ports that carry packets: PORT_CARRIES_... . */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, __u32);
	__type(value, __u32);
	__uint(max_entries, TUNNEL_PORTS_MAX);
} tunnel_ports SEC(".maps");

/* Frames by enum decapsulation_verdict. Programs write. In tc, a packet that GRO put together counts as one. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct counter);
	__uint(max_entries, DECAPSULATION_VERDICT_COUNT);
} verdicts SEC(".maps");

static __always_inline int ends_tunnels(const __u64 *address, __u64 family)
{
	struct wide_key key = host_key(address, family);
	const __u32 *flags = bpf_map_lookup_elem(&tunnel_addresses, &key);

	return flags && *flags & ADDRESS_ENDS_TUNNELS;
}

/* Whether packets of the IP protocol may carry others. */
static __always_inline int may_carry(__u64 protocol)
{
	__u64 key = 0;
	const struct tunnel_formats *formats = bpf_map_lookup_elem(&tunnel_formats, &key);

	return formats && protocol < 64 && formats->protocols >> protocol & 1;
}

/* PORT_CARRIES_..., or 0. `port`: in network order. */
static __always_inline __u64 carried_by(__u64 port)
{
	const __u32 *carried = bpf_map_lookup_elem(&tunnel_ports, &port);

	return carried ? *carried : 0;
}

/* Whether the host would treat the address as its own. */
static __always_inline int is_own(const __u64 *address, __u64 family)
{
	struct wide_key key = host_key(address, family);

	return bpf_map_lookup_elem(&vips, &key) || bpf_map_lookup_elem(&tunnel_addresses, &key);
}

/* Whether a balancer may send from the address. */
static __always_inline int is_balancer4(const __u64 *address)
{
	__u64 key = 32 | address[0] << 32;

	return bpf_map_lookup_elem(&sources4, &key) != NULL;
}

static __always_inline int is_balancer6(const __u64 *address)
{
	struct wide_key key = {
		.head = { 128 | address[0] << 32, address[0] >> 32 | address[1] << 32 }, .tail = address[1] >> 32,
	};

	return bpf_map_lookup_elem(&sources6, &key) != NULL;
}

/* Counts the frame. Returns whether it goes on to the stack. */
static __always_inline int count(enum decapsulation_verdict verdict, __u64 frame_length)
{
	__u32 key = verdict;
	struct counter *counter = bpf_map_lookup_elem(&verdicts, &key);

	if (counter)
		add(counter, frame_length);
	return verdict <= DECAPSULATION_PASSED_OTHER_DESTINATION;
}

#endif
