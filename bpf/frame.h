/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Access to the octets of a frame, for XDP and tc programs alike. A tc program defines SLUICE_TC before it includes
 * anything. Only this file compares pointers with the end of the frame.
 */
#ifndef SLUICE_FRAME_H
#define SLUICE_FRAME_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#ifdef SLUICE_TC
typedef struct __sk_buff frame_context;
#define load_frame_bytes bpf_skb_load_bytes
#else
typedef struct xdp_md frame_context;
#define load_frame_bytes bpf_xdp_load_bytes
#endif

/* Valid until a helper changes the frame. */
struct frame {
	const void *data;
	const void *end;
};

/*
 * An address in the frame. Read no further than ends_before() allows. Loads are in assembly: the compiler would move
 * the 32-bit fields of the context in 32-bit registers, where the verifier loses the pointer.
 */
static __always_inline void *frame_at(const frame_context *ctx, int offset)
{
	void *data;

	asm volatile("%0 = *(u32 *)(%1 + %2)"
		     : "=r"(data)
		     : "r"(ctx), "i"(__builtin_offsetof(frame_context, data)));
	return data + offset;
}

static __always_inline void *frame_end(const frame_context *ctx)
{
	void *end;

	asm volatile("%0 = *(u32 *)(%1 + %2)"
		     : "=r"(end)
		     : "r"(ctx), "i"(__builtin_offsetof(frame_context, data_end)));
	return end;
}

static __always_inline struct frame read_frame(const frame_context *ctx)
{
	return (struct frame){ frame_at(ctx, 0), frame_end(ctx) };
}

/* Whether the frame ends before `end`. */
static __always_inline int ends_before(const frame_context *ctx, const void *end)
{
	return end > (const void *)frame_end(ctx);
}

static __always_inline int is_beyond(const struct frame *frame, const void *end)
{
	return end > frame->end;
}

#endif
