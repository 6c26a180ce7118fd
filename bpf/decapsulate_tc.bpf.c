/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* The decapsulator for tc: for interfaces whose driver has no XDP, and for VLAN devices. */
#define SLUICE_TC
#include <linux/pkt_cls.h>
#include "decapsulate.h"

/* Kernel 6.3; the build machine's headers may be older. */
#define ADJUST_ROOM_DECAP_L3_IPV4 (1ull << 7)
#define ADJUST_ROOM_DECAP_L3_IPV6 (1ull << 8)

/* Removes `length` octets after the Ethernet header where the packet inside is of the other family. */
static __always_inline long shrink_across_families(struct __sk_buff *skb, __s32 length, __be16 inner_type)
{
	const __s32 headers_differ_by = sizeof(struct ipv6hdr) - sizeof(struct iphdr);
	int to_ipv6 = inner_type == bpf_htons(ETH_P_IPV6);
	__u64 flag = to_ipv6 ? ADJUST_ROOM_DECAP_L3_IPV6 : ADJUST_ROOM_DECAP_L3_IPV4;

	if (!bpf_skb_adjust_room(skb, -length, BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_FIXED_GSO | flag))
		return 0;
	/*
	 * Linux before 6.3 refuses that flag, and without it takes the packet for one of the outer family. Only a
	 * translation changes the family; it adds or removes the difference of the headers.
	 */
	if (bpf_skb_change_proto(skb, inner_type, 0))
		return -1;
	length += to_ipv6 ? headers_differ_by : -headers_differ_by;
	return bpf_skb_adjust_room(skb, -length, BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_FIXED_GSO);
}

static __always_inline enum decapsulation_verdict remove_outer(struct __sk_buff *skb, const struct tunnelled *frame)
{
	__s32 length = frame->outer_length;
	struct ethernet *ethernet;

	/* If the NIC summed up the whole frame: the inner IPv6 header has no checksum to make up for the change. */
	if (frame->sum_change)
		bpf_csum_update(skb, (__u32)frame->sum_change + (__u32)(frame->sum_change >> 32));
	if (frame->inner_type == frame->outer_type)
		return bpf_skb_adjust_room(skb, -length, BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_FIXED_GSO)
			       ? DECAPSULATION_DROPPED_NO_ROOM
			       : DECAPSULATION_DECAPSULATED;

	if (shrink_across_families(skb, length, frame->inner_type))
		return DECAPSULATION_DROPPED_NO_ROOM;
	ethernet = frame_at(skb, 0);
	if (ends_before(skb, ethernet + 1))
		return DECAPSULATION_DROPPED_NO_ROOM;
	ethernet->type = frame->inner_type;
	return DECAPSULATION_DECAPSULATED;
}

SEC("tc")
int decapsulate_tc(struct __sk_buff *skb)
{
	struct tunnelled frame = { .frame_length = skb->len };
	enum decapsulation_verdict verdict = DECAPSULATION_PASSED_NOT_IP;

	/* If this fails, the bounds stay short, and the frame is judged by what is there. */
	bpf_skb_pull_data(skb, frame.frame_length < TUNNEL_HEADERS_LENGTH ? frame.frame_length : TUNNEL_HEADERS_LENGTH);
	/* A tag that the NIC has removed belongs to a VLAN device above: the same verdict as by XDP, which sees it. */
	if (!skb->vlan_present)
		verdict = examine(skb, &frame);
	if (verdict == DECAPSULATION_DECAPSULATED)
		verdict = remove_outer(skb, &frame);
	return count(verdict, frame.frame_length) ? TC_ACT_UNSPEC : TC_ACT_SHOT;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
