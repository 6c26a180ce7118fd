/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * The bench harness, run by BPF_PROG_TEST_RUN with a repeat count. Each run undoes the encapsulation of the run before,
 * restores the head of the template frame, writes the addresses and ports of the next flow, and tail-calls the program
 * under test. The bounce only makes room for an outer header and transmits: a program costs its time less the bounce's.
 *
 * The live bench uses the same flows. generate, run on live frames, sends them out of one end of a veth. The program
 * under test is attached to the other end, and sink counts what comes back.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define TEMPLATE_WORDS 11
#define IPV4_PROTOCOL 9
#define IPV6_NEXT_HEADER 6

struct bench_setting {
	__u64 template[TEMPLATE_WORDS];	/* the frame's first octets */
	__u32 length;			/* of the frame */
	__u32 flows;			/* how many different ones */
	__u32 services;			/* how many the flows are spread over */
	__u32 vip;			/* the last four octets of the first service's address; those after it follow */
	/* Offsets of the fields that differ between flows. */
	__u32 source_at;		/* last four octets of the client's address */
	__u32 port_at;			/* the client's port */
	__u32 vip_at;			/* last four octets of the service's address */
	__u32 zero;
};

struct bench_setting setting SEC(".data.setting");
__u64 runs SEC(".data.runs");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} target SEC(".maps");

/* As large as a pool's table: the bench times writing it. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 65537);
	__type(key, __u32);
	__type(value, __u64);
} table SEC(".maps");

/* Frames that came back to the live bench. */
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

/* Writes four octets at an offset of the setting. Returns 0, or -1 where the frame is too short. */
static __always_inline int write_word(struct xdp_md *ctx, __u32 offset, __u32 word)
{
	void *field = (void *)(long)ctx->data + (offset & 0x7f);

	if (field + sizeof(word) > (void *)(long)ctx->data_end)
		return -1;
	*(__u32 *)field = word;
	return 0;
}

static __always_inline int write_half(struct xdp_md *ctx, __u32 offset, __u16 half)
{
	void *field = (void *)(long)ctx->data + (offset & 0x7f);

	if (field + sizeof(half) > (void *)(long)ctx->data_end)
		return -1;
	*(__u16 *)field = half;
	return 0;
}

/* Turns the frame into one of the next flow. Returns 0, or nonzero where it does not fit. */
static __always_inline int write_next_flow(struct xdp_md *ctx)
{
	int surplus = bpf_xdp_get_buff_len(ctx) - setting.length;
	__u32 flow, service;
	__u64 *word;

	if (surplus && bpf_xdp_adjust_head(ctx, surplus))
		return -1;
	word = (void *)(long)ctx->data;
	if ((void *)word + sizeof(setting.template) > (void *)(long)ctx->data_end)
		return -1;
#pragma unroll
	for (int i = 0; i < TEMPLATE_WORDS; i++)
		word[i] = setting.template[i];

	/* A multiplicative permutation: flows that follow each other are not neighbours in any table. */
	flow = runs++ * 2654435761ull % setting.flows;
	service = (__u64)(flow * 2654435761u) * setting.services >> 32;
	return write_word(ctx, setting.source_at, bpf_htonl(0x0b000000 + (flow >> 10))) ||
	       write_half(ctx, setting.port_at, bpf_htons(1024 + (flow & 1023))) ||
	       write_word(ctx, setting.vip_at, bpf_htonl(setting.vip + service));
}

SEC("xdp")
int bench(struct xdp_md *ctx)
{
	if (!write_next_flow(ctx))
		bpf_tail_call(ctx, &target, 0);
	return XDP_ABORTED;
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

/*
 * Reads what a forwarder has to read of a frame, and writes what it has to write: Ethernet header and outer header. No
 * map, no checks, no checksum. What it costs over the bounce is the frame's cache lines, and any forwarder pays it.
 */
static __always_inline int rewrite_headers(struct xdp_md *ctx, const int outer, const int at_address)
{
	__u8 *frame = (void *)(long)ctx->data;
	__u64 mix, *word;

	if (frame + ETH_HLEN + outer + sizeof(__u32) > (__u8 *)(long)ctx->data_end)
		return XDP_DROP;
	mix = *(__u32 *)(frame + at_address) ^ *(__u32 *)(frame + ETH_HLEN + outer);
	if (bpf_xdp_adjust_head(ctx, -outer))
		return XDP_DROP;
	word = (void *)(long)ctx->data;
	if ((void *)word + ETH_HLEN + 40 > (void *)(long)ctx->data_end)
		return XDP_DROP;
	word[0] = mix;
	word[1] = mix << 8;
	word[2] = mix << 16;
	word[3] = mix << 24;
	if (outer > 20) {
		word[4] = mix << 32;
		word[5] = mix << 40;
	}
	*(__u32 *)((void *)word + ETH_HLEN + outer - sizeof(__u32)) = mix;
	return XDP_TX;
}

SEC("xdp")
int headers20(struct xdp_md *ctx)
{
	return rewrite_headers(ctx, 20, ETH_HLEN + 12);
}

SEC("xdp")
int headers40(struct xdp_md *ctx)
{
	return rewrite_headers(ctx, 40, ETH_HLEN + 8);
}

SEC("xdp")
int generate(struct xdp_md *ctx)
{
	return write_next_flow(ctx) ? XDP_ABORTED : XDP_TX;
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
