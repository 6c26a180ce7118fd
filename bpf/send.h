/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* Step send: writes the Ethernet header and the outer header in front of a packet. */
#ifndef SLUICE_SEND_H
#define SLUICE_SEND_H

#include "maps.h"
#include "outer_header.h"
#include "packet.h"

static __always_inline void write_ethernet(void *header, __u64 next_hop, __u64 from, __be16 type)
{
	*(__u64 *)header = (next_hop & NEXT_HOP_MAC) | from << 48;
	*(__u32 *)(header + 8) = from >> 16;
	((struct ethernet *)header)->type = type;
}

/*
 * `form`: encapsulation and outer family as in `next_hop`, but constant, because offsets in a packet must be. Verdicts
 * have 64 bits here: see struct packet. A frame that is not forwarded is dropped, so that it may have changed.
 */
static __always_inline __u64 push_outer(struct xdp_md *ctx, const __u64 form, const struct packet *packet,
					const struct backend *backend, __u64 next_hop, __u64 path, __u64 flow_hash)
{
	const int length = outer_length(form);
	struct outer outer;
	void *header;

	if (read_outer(&outer, form, path, entropy_of(flow_hash)))
		return VERDICT_DROPPED_INVALID_STATE;
	if (bpf_xdp_adjust_head(ctx, -length))
		return VERDICT_DROPPED_ENCAPSULATION;
	header = frame_at(ctx, 0);
	if (ends_before(ctx, header + AT_IP + length))
		return VERDICT_DROPPED_ENCAPSULATION;
	write_ethernet(header, next_hop, uplink.mac, outer_type(form));
	write_outer(header + AT_IP, form, packet, backend, &outer);
	return VERDICT_FORWARDED;
}

/* ENCAPSULATION_L2: a packet leaves as it came, but for the link-layer addresses. */
static __always_inline __u64 replace_ethernet(struct xdp_md *ctx, __u64 next_hop)
{
	struct ethernet *header = frame_at(ctx, 0);

	if (ends_before(ctx, header + 1))
		return VERDICT_DROPPED_ENCAPSULATION;
	write_ethernet(header, next_hop, uplink.mac, header->type);
	return VERDICT_FORWARDED;
}

#define FORM(encapsulation) ((__u64)(encapsulation) << BACKEND_ENCAPSULATION_SHIFT)

/* IPIP to a backend, in a copy for each outer family. See encapsulate(). */
static __always_inline __u64 encapsulate_ipip(struct xdp_md *ctx, const struct packet *packet,
					      const struct backend *backend, __u64 next_hop, __u64 path,
					      __u64 flow_hash)
{
	if (next_hop & BACKEND_OUTER_IPV6)
		return push_outer(ctx, FORM(ENCAPSULATION_IPIP) | BACKEND_OUTER_IPV6, packet, backend, next_hop, path,
				  flow_hash);
	return push_outer(ctx, FORM(ENCAPSULATION_IPIP), packet, backend, next_hop, path, flow_hash);
}

#define PUSH(form) push_outer(ctx, form, packet, backend, next_hop, path, packet->flow_hash)
#define PUSH_IN_FAMILY(encapsulation)                                                      \
	(next_hop & BACKEND_OUTER_IPV6 ? PUSH(FORM(encapsulation) | BACKEND_OUTER_IPV6) \
				       : PUSH(FORM(encapsulation)))

/* All encapsulations but IPIP. Out of line, so that IPIP does not pay for them. The packet's `flow_hash` is set. */
static __noinline __u64 encapsulate_otherwise(struct xdp_md *ctx, const struct packet *packet,
					      const struct backend *backend, __u64 next_hop, __u64 path)
{
	switch (encapsulation_of(next_hop)) {
	case ENCAPSULATION_IPIP:
		break;
	case ENCAPSULATION_GUE:
	case ENCAPSULATION_FOU:
		return PUSH_IN_FAMILY(ENCAPSULATION_GUE);
	case ENCAPSULATION_GUE_HEADER:
		return PUSH_IN_FAMILY(ENCAPSULATION_GUE_HEADER);
	case ENCAPSULATION_GRE:
		return PUSH_IN_FAMILY(ENCAPSULATION_GRE);
	case ENCAPSULATION_L2:
		return replace_ethernet(ctx, next_hop);
	}
	return VERDICT_DROPPED_INVALID_STATE;
}

/*
 * Encapsulates a packet that fits its path. `next_hop` and `path`: of the backend, which is resolved. The packet's
 * `flow_hash` is set: see entropy_of().
 */
static __always_inline __u64 encapsulate(struct xdp_md *ctx, const struct packet *packet,
					 const struct backend *backend, __u64 next_hop, __u64 path)
{
	if (encapsulation_of(next_hop) == ENCAPSULATION_IPIP)
		return encapsulate_ipip(ctx, packet, backend, next_hop, path, packet->flow_hash);
	return encapsulate_otherwise(ctx, packet, backend, next_hop, path);
}

#endif
