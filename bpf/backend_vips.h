/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* The VIPs of a backend, shared by its programs. sluice-backend writes the map. */
#ifndef SLUICE_BACKEND_VIPS_H
#define SLUICE_BACKEND_VIPS_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "decapsulation_abi.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct host_address);
	__type(value, __u32);
	__uint(max_entries, 4096);
} vips SEC(".maps");

/* A struct host_address or source_prefix6. In words of eight octets: see struct packet. */
struct wide_key {
	__u64 head[2];
	__u32 tail;
};

/* `address` and `family`: as in struct packet. */
static __always_inline struct wide_key host_key(const __u64 *address, __u64 family)
{
	return (struct wide_key){ .head = { address[0], address[1] }, .tail = family };
}

static __always_inline int is_vip(const __u64 *address, __u64 family)
{
	struct wide_key key = host_key(address, family);

	return bpf_map_lookup_elem(&vips, &key) != NULL;
}

#endif
