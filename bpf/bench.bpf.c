/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * The bench: run by BPF_PROG_TEST_RUN with a repeat count. Each run puts the template's frame back in the place of what
 * the run before left, makes it the next flow's, and tail-calls the program under test. Beside it the bounce: room for
 * an outer header, and out. What a program costs is its time less the bounce's.
 *
 * The live bench: run on live frames, `generate` sends the same flows out of one end of a veth, the program under test
 * sits on the other, and `sink` counts what comes back.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define TEMPLATE_WORDS 11
#define IPV4_SOURCE (ETH_HLEN + 12)
#define IPV4_SOURCE_PORT (ETH_HLEN + 20)
#define IPV6_SOURCE_TAIL (ETH_HLEN + 8 + 12)
#define IPV6_SOURCE_PORT (ETH_HLEN + 40)
#define IPV4_PROTOCOL 9
#define IPV6_NEXT_HEADER 6

struct bench_setting {
	__u64 template[TEMPLATE_WORDS];	/* the frame's first octets */
	__u32 length;			/* of the frame */
	__u32 zero;
	__u64 flows;			/* how many different ones */
};

struct bench_setting setting SEC(".data.setting");
__u64 runs SEC(".data.runs");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} target SEC(".maps");

/* As large as a pool's table, for the time that it takes to write one. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 65537);
	__type(key, __u32);
	__type(value, __u64);
} table SEC(".maps");

/* What came back to the live bench. */
struct arrivals {
	__u64 frames;
	__u64 encapsulated;	/* of them, with an outer header for IP in IP */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct arrivals);
} arrivals SEC(".maps");

/* Makes the frame the next flow's. Returns 0, or -1 where there is no room for it. */
static __always_inline int write_next_flow(struct xdp_md *ctx, int source, int port)
{
	int surplus = bpf_xdp_get_buff_len(ctx) - setting.length;
	__u64 *word, flow;
	void *frame;

	if (surplus && bpf_xdp_adjust_head(ctx, surplus))
		return -1;
	frame = (void *)(long)ctx->data;
	if (frame + sizeof(setting.template) > (void *)(long)ctx->data_end)
		return -1;
	word = frame;
#pragma unroll
	for (int i = 0; i < TEMPLATE_WORDS; i++)
		word[i] = setting.template[i];

	/* A multiplicative permutation of the flows: neighbours in time are none in any table. */
	flow = runs++ * 2654435761ull % setting.flows;
	*(__u32 *)(frame + source) = bpf_htonl(0x0b000000 + (__u32)(flow >> 10));
	*(__u16 *)(frame + port) = bpf_htons(1024 + (flow & 1023));
	return 0;
}

static __always_inline int run(struct xdp_md *ctx, int source, int port)
{
	if (!write_next_flow(ctx, source, port))
		bpf_tail_call(ctx, &target, 0);
	return XDP_ABORTED;
}

SEC("xdp")
int bench4(struct xdp_md *ctx)
{
	return run(ctx, IPV4_SOURCE, IPV4_SOURCE_PORT);
}

SEC("xdp")
int bench6(struct xdp_md *ctx)
{
	return run(ctx, IPV6_SOURCE_TAIL, IPV6_SOURCE_PORT);
}

SEC("xdp")
int bounce20(struct xdp_md *ctx)
{
	return bpf_xdp_adjust_head(ctx, -20) ? XDP_DROP : XDP_TX;
}

SEC("xdp")
int bounce40(struct xdp_md *ctx)
{
	return bpf_xdp_adjust_head(ctx, -40) ? XDP_DROP : XDP_TX;
}

SEC("xdp")
int generate4(struct xdp_md *ctx)
{
	return write_next_flow(ctx, IPV4_SOURCE, IPV4_SOURCE_PORT) ? XDP_ABORTED : XDP_TX;
}

SEC("xdp")
int generate6(struct xdp_md *ctx)
{
	return write_next_flow(ctx, IPV6_SOURCE_TAIL, IPV6_SOURCE_PORT) ? XDP_ABORTED : XDP_TX;
}

SEC("xdp")
int sink(struct xdp_md *ctx)
{
	__u8 *frame = (void *)(long)ctx->data;
	struct arrivals *count;
	__u32 key = 0;

	if ((void *)(frame + ETH_HLEN + IPV4_PROTOCOL + 1) > (void *)(long)ctx->data_end)
		return XDP_DROP;
	count = bpf_map_lookup_elem(&arrivals, &key);
	if (!count)
		return XDP_DROP;
	count->frames++;
	if (frame[ETH_HLEN + IPV4_PROTOCOL] == IPPROTO_IPIP || frame[ETH_HLEN + IPV6_NEXT_HEADER] == IPPROTO_IPV6)
		count->encapsulated++;
	return XDP_DROP;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
