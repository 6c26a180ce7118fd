/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * VLAN tags. The general path removes them before it parses a packet, and restores them on whatever leaves. So all
 * other code finds headers at constant offsets; packet pointers with a variable offset would need CAP_PERFMON.
 */
#ifndef SLUICE_VLAN_H
#define SLUICE_VLAN_H

#include "packet.h"

static __always_inline int is_vlan(__be16 type)
{
	return type == bpf_htons(ETH_P_8021Q) || type == bpf_htons(ETH_P_8021AD);
}

struct tagged_header {
	__u8 addresses[2 * ETH_ALEN];
	__u16 tpid;
	__u16 tci;
	__be16 type;
};

/* Removes the outermost tag. Returns 0, or -1 if the frame is too short for it; then it is unchanged. */
static __always_inline int pop_tag(struct xdp_md *ctx, struct packet *packet)
{
	struct tagged_header *tagged = frame_at(ctx, 0);
	__u8 addresses[2 * ETH_ALEN];

	if (ends_before(ctx, tagged + 1) || packet->tag_count >= VLAN_TAGS_MAX)
		return -1;
	__builtin_memcpy(addresses, tagged->addresses, sizeof(addresses));
	if (packet->tag_count == 0)
		packet->tags[0] = tagged->tpid | (__u64)tagged->tci << 16;
	else
		packet->tags[1] = tagged->tpid | (__u64)tagged->tci << 16;
	if (bpf_xdp_adjust_head(ctx, VLAN_TAG_LENGTH))
		return -1;

	struct ethernet *ethernet = frame_at(ctx, 0);

	if (ends_before(ctx, ethernet + 1))
		return -1;
	packet->tag_count++;
	/* The frame now begins with the last octets of the addresses; its type field is in place already. */
	__builtin_memcpy(ethernet, addresses, sizeof(addresses));
	return 0;
}

static __always_inline int push_tag(struct xdp_md *ctx, __u64 tag)
{
	__u8 addresses[2 * ETH_ALEN];
	struct ethernet *ethernet = frame_at(ctx, 0);

	if (ends_before(ctx, ethernet + 1))
		return -1;
	__builtin_memcpy(addresses, ethernet, sizeof(addresses));
	if (bpf_xdp_adjust_head(ctx, -VLAN_TAG_LENGTH))
		return -1;

	struct tagged_header *tagged = frame_at(ctx, 0);

	if (ends_before(ctx, tagged + 1))
		return -1;
	__builtin_memcpy(tagged->addresses, addresses, sizeof(addresses));
	tagged->tpid = tag;
	tagged->tci = tag >> 16;
	return 0;
}

/* Removes up to two tags. A third stays, and with it the frame is not IP to us. */
static __noinline void remove_tags(struct xdp_md *ctx, struct packet *packet)
{
	for (int i = 0; i < VLAN_TAGS_MAX; i++) {
		struct ethernet *ethernet = frame_at(ctx, 0);

		if (ends_before(ctx, ethernet + 1) || !is_vlan(ethernet->type) || pop_tag(ctx, packet))
			return;
	}
}

/* Restores the tags. Returns 0, or -1 if there is no room in front of the frame. */
static __noinline int restore_tags(struct xdp_md *ctx, const struct packet *packet)
{
	if (packet->tag_count > 1 && push_tag(ctx, packet->tags[1]))
		return -1;
	if (packet->tag_count > 0 && push_tag(ctx, packet->tags[0]))
		return -1;
	return 0;
}

#endif
