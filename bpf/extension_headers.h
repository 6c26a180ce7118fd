/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* Walks the extension headers of an IPv6 packet (RFC 8200 §4), up to its transport header. */
#ifndef SLUICE_EXTENSION_HEADERS_H
#define SLUICE_EXTENSION_HEADERS_H

#include "parse.h"

#define EXTENSION_HEADERS_MAX 6

/*
 * The extension headers that are walked, as a set of bits by their number, which are all below 64. Of a chain of
 * comparisons the verifier follows each branch.
 */
#define EXTENSION_HEADERS                                                                        \
	(1ull << IPPROTO_HOPOPTS | 1ull << IPPROTO_ROUTING | 1ull << IPPROTO_FRAGMENT |          \
	 1ull << IPPROTO_AH | 1ull << IPPROTO_DSTOPTS)

static __always_inline int is_extension_header(__u32 next)
{
	return next < 64 && EXTENSION_HEADERS >> next & 1;
}

/* The fields have eight octets for the reason that struct packet states. */
struct header_walk {
	frame_context *ctx;
	__u64 offset;		/* of the next header, from the start of the frame */
	__u64 next;		/* its kind */
	__u64 is_quoted;	/* not 0: an ICMPv6 error quotes the packet; a first fragment will do */
	decision flaw;
};

/* The first octets of an extension header. What follows its length depends on its kind. */
struct extension_header {
	__u8 next;
	__u8 length;		/* in 8 octets beyond the first 8; of an authentication header, in 4 */
	union {
		struct {
			__u8 type;
			__u8 segments_left;
		} routing;
		__be16 fragment; /* offset, two reserved bits, "more fragments" */
	};
};

#define IPV6_FRAGMENT_OFFSET_MASK 0xfff8
#define IPV6_MORE_FRAGMENTS 1

/* A fragment without an offset and without more of them is a whole packet: RFC 8200 §4.5, RFC 6946. */
static __always_inline int is_refused_fragment(const struct header_walk *walk, const struct extension_header *header)
{
	__u16 refused = walk->is_quoted ? IPV6_FRAGMENT_OFFSET_MASK : IPV6_FRAGMENT_OFFSET_MASK | IPV6_MORE_FRAGMENTS;

	return walk->next == IPPROTO_FRAGMENT && header->fragment & bpf_htons(refused);
}

/* RFC 5095. A routing header without segments left is ignored, whatever its type: RFC 8200 §4.4. */
static __always_inline int is_source_route(const struct header_walk *walk, const struct extension_header *header)
{
	return walk->next == IPPROTO_ROUTING && header->routing.type == 0 && header->routing.segments_left;
}

static __always_inline void step_over(struct header_walk *walk, const struct extension_header *header)
{
	if (walk->next == IPPROTO_FRAGMENT)
		walk->offset += 8;
	else if (walk->next == IPPROTO_AH)
		walk->offset += (header->length + 2) * 4;
	else
		walk->offset += (header->length + 1) * 8;
	walk->next = header->next;
}

/* Checks an extension header and steps over it; 1 ends the walk. */
static long step_over_header(__u32 index, struct header_walk *walk)
{
	struct extension_header header;

	if (!is_extension_header(walk->next))
		return 1;
	if (load_frame_bytes(walk->ctx, walk->offset, &header, sizeof(header)))
		walk->flaw = VERDICT_DROPPED_TRUNCATED;
	else if (is_refused_fragment(walk, &header))
		walk->flaw = VERDICT_DROPPED_FRAGMENT;
	else if (is_source_route(walk, &header))
		walk->flaw = VERDICT_DROPPED_EXTENSION_HEADERS;
	else
		step_over(walk, &header);
	return walk->flaw != UNDECIDED;
}

/*
 * Walks up to EXTENSION_HEADERS_MAX extension headers. UNDECIDED: `next` and `offset` are those of what follows them.
 *
 * The walk reads by load_frame_bytes(), because a packet pointer with a variable offset needs CAP_PERFMON. It loops by
 * bpf_loop(), whose body is verified once. Without CAP_PERFMON the verifier follows mispredicted branches, too, and
 * that of Linux 6.12 gives up on an unrolled loop.
 */
static __always_inline decision walk_headers(struct header_walk *walk)
{
	walk->flaw = UNDECIDED;
	bpf_loop(EXTENSION_HEADERS_MAX, step_over_header, walk, 0);
	if (walk->flaw == UNDECIDED && is_extension_header(walk->next))
		return walk->next == IPPROTO_FRAGMENT ? VERDICT_DROPPED_FRAGMENT : VERDICT_DROPPED_EXTENSION_HEADERS;
	return walk->flaw;
}

#endif
