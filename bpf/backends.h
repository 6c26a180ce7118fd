/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* Where a packet can go: maps that forwarder and probe program share. Sizes are set by the daemon before loading. */
#ifndef SLUICE_BACKENDS_H
#define SLUICE_BACKENDS_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "forwarding_abi.h"

/* By pool id. Daemon writes through a mapping. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct pool);
	__uint(max_entries, 256);
} pools SEC(".maps");

/* By backend number. Daemon writes through a mapping; number 0 is "no backend". */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct backend);
	__uint(max_entries, 4096);
} backends SEC(".maps");

/*
 * An array's element, or NULL. The key is stored in eight octets, of which a little-endian kernel reads the low four:
 * Linux 6.1 refuses, without CAP_PERFMON, to store four octets twice to one word of the stack.
 */
#define element(array, index)                                   \
	({                                                      \
		__u64 key_ = (__u32)(index);                    \
		bpf_map_lookup_elem(&(array), &key_);           \
	})

#endif
