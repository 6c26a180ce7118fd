/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* Maps of backends, shared by the forwarder and the probe program. The daemon sets their sizes before loading. */
#ifndef SLUICE_BACKENDS_H
#define SLUICE_BACKENDS_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "forwarding_abi.h"

/*
 * Loads a field that the daemon may store meanwhile, once and at its own address. Otherwise the compiler may turn a
 * choice between two fields into a pointer with a variable offset, which the verifier refuses without CAP_PERFMON.
 */
#define READ_ONCE(field) (*(const volatile typeof(field) *)&(field))

/* By backend number. Daemon writes through a mapping; number 0 is "no backend". */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct backend);
	__uint(max_entries, 4096);
} backends SEC(".maps");

/* Outer sources of IPv6, by the index in a backend's `path`. Daemon writes through a mapping; element 0 is unused. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct outer_source);
	__uint(max_entries, 8192);
} outer_sources SEC(".maps");

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
