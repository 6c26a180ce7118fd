// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/* What the tests of the BPF target load: one map of each kind that the target wraps, and programs that
 * touch them in ways a test can see.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

struct probe_value {
	__u32 first;
	__u32 second;
};

struct probe_constants {
	__u32 verdict;
	__u32 pad;
	__u64 increment;
};

const volatile struct probe_constants constants SEC(".rodata.config") = {
	.verdict = XDP_PASS,
	.increment = 1,
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, struct probe_value);
} probe_hash SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, __u64);
} probe_counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, __u32);
} probe_tallies SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, __u64);
} probe_words SEC(".maps");

/* A value whose size is not a multiple of eight: the kernel's stride is 16. */
struct probe_odd {
	__u32 parts[3];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, struct probe_odd);
} probe_odds SEC(".maps");

/* Counts in slot 0 and returns the verdict that the constants name, unless word 7 says 42: then it drops. */
SEC("xdp")
int probe(struct xdp_md *ctx)
{
	__u32 zero = 0, seven = 7;
	__u64 *counter = bpf_map_lookup_elem(&probe_counters, &zero);
	__u64 *word = bpf_map_lookup_elem(&probe_words, &seven);

	if (counter)
		*counter += constants.increment;
	if (word && *word == 42)
		return XDP_DROP;
	return constants.verdict;
}

/* Another program to replace the first with; turns the first byte around. */
SEC("xdp")
int probe_other(struct xdp_md *ctx)
{
	__u8 *data = (void *)(long)ctx->data;

	if (data + 1 > (__u8 *)(long)ctx->data_end)
		return XDP_ABORTED;
	data[0] = ~data[0];
	return XDP_TX;
}

/* Keeps odds and tallies in the object. */
SEC("tc")
int probe_tc(struct __sk_buff *skb)
{
	__u32 zero = 0, one = 1;
	struct probe_odd *odd = bpf_map_lookup_elem(&probe_odds, &zero);
	struct probe_value *value = bpf_map_lookup_elem(&probe_hash, &zero);

	bpf_map_update_elem(&probe_tallies, &zero, &one, BPF_ANY);
	return odd && value && odd->parts[0] == value->first ? TC_ACT_SHOT : TC_ACT_OK;
}

/* What a verifier refuses: reads packet bytes without a bounds check. Not loaded unless asked for. */
SEC("?xdp")
int probe_refused(struct xdp_md *ctx)
{
	return *(__u8 *)(long)ctx->data;
}

char _license[] SEC("license") = "Dual BSD/GPL";
