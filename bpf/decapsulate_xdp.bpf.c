/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* The decapsulator for XDP. */
#include "decapsulate.h"

static __always_inline enum decapsulation_verdict remove_outer(struct xdp_md *ctx, const struct tunnelled *frame)
{
	struct ethernet *ethernet = frame_at(ctx, 0);
	struct ethernet kept;

	if (ends_before(ctx, ethernet + 1))
		return DECAPSULATION_DROPPED_NO_ROOM;
	kept = *ethernet;
	kept.type = frame->inner_type;
	if (bpf_xdp_adjust_head(ctx, frame->outer_length))
		return DECAPSULATION_DROPPED_NO_ROOM;
	ethernet = frame_at(ctx, 0);
	if (ends_before(ctx, ethernet + 1))
		return DECAPSULATION_DROPPED_NO_ROOM;
	*ethernet = kept;
	return DECAPSULATION_DECAPSULATED;
}

SEC("xdp")
int decapsulate_xdp(struct xdp_md *ctx)
{
	struct tunnelled frame = { .frame_length = bpf_xdp_get_buff_len(ctx) };
	enum decapsulation_verdict verdict = examine(ctx, &frame);

	if (verdict == DECAPSULATION_DECAPSULATED)
		verdict = remove_outer(ctx, &frame);
	return count(verdict, frame.frame_length) ? XDP_PASS : XDP_DROP;
}

/* Passes all. On veth, a peer transmits from XDP only towards an interface that has a native program. */
SEC("xdp")
int pass(struct xdp_md *ctx)
{
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
