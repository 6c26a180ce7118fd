/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Slots of the forwarding tables. The flow hash selects a packet's slot, and the slot names the backend. A slot keeps
 * the backend that it had before its last change, so that older flows stay there. docs/affinity.md states the rules.
 */
#ifndef SLUICE_SLOT_ABI_H
#define SLUICE_SLOT_ABI_H

#include "abi_base.h"
#include "backend_abi.h"

/*
 * A slot is one word:
 *   bits  0-17  number of the current backend: it gets new flows
 *   bits 18-35  number of the previous backend: it was current when the slot was last stable
 *   bits 36-37  enum slot_state
 *   bits 38-63  tick, modulo 2^26, in which the slot left the stable state; further changes keep it
 */
enum ABI_OPEN_ENUM slot_state : __u32 {
	SLOT_STABLE = 0,	/* all flows go to the current backend */
	SLOT_CHANGED,		/* flows are looked up in the flow table; unknown ones may be older than the change */
	SLOT_SETTLING,		/* flows are looked up; unknown ones are new */
};

#define BACKEND_BITS 18
#define BACKEND_MASK ((1u << BACKEND_BITS) - 1)
#define SLOT_TICK_BITS 26
#define SLOT_TICK_MASK ((1u << SLOT_TICK_BITS) - 1)

ABI_INLINE __u32 slot_current(__u64 slot)
{
	return slot & BACKEND_MASK;
}

ABI_INLINE __u32 slot_previous(__u64 slot)
{
	return (slot >> BACKEND_BITS) & BACKEND_MASK;
}

ABI_INLINE enum slot_state slot_state(__u64 slot)
{
	return (enum slot_state)((slot >> (2 * BACKEND_BITS)) & 3);
}

ABI_INLINE __u32 slot_since(__u64 slot)
{
	return slot >> (2 * BACKEND_BITS + 2);
}

ABI_INLINE __u64 slot_word(__u32 current, __u32 previous, enum slot_state state, __u32 since)
{
	return (__u64)(current & BACKEND_MASK) | (__u64)(previous & BACKEND_MASK) << BACKEND_BITS |
	       (__u64)state << (2 * BACKEND_BITS) | (__u64)(since & SLOT_TICK_MASK) << (2 * BACKEND_BITS + 2);
}

/* Ticks since a slot changed. */
ABI_INLINE __u32 slot_age(__u64 slot, __u32 now)
{
	return (now - slot_since(slot)) & SLOT_TICK_MASK;
}

/*
 * Hot slots are a cache of the slots for the fast path. Each has 32 bits; a word of `hot_slots` has two, the one with
 * the even index in its low half.
 *   bits  0-17  number of the backend; 0: see the 64-bit slot
 *   bits 18-31  the backend's pair (struct backend)
 *
 * The 64-bit slot is the original. A hot slot names a backend only while its slot is stable and names the same one. So
 * the daemon clears a hot slot before its slot leaves the stable state, and sets it after its slot became stable. In a
 * run of slots that no table names, the order does not matter. A hot slot of 0 is never wrong, only slower.
 */
#define HOT_SLOT_NONE 0
#define HOT_SLOT_PAIR_MAX ((1u << (32 - BACKEND_BITS)) - 1)

/* The hot slot of a slot. `pair`: of the slot's current backend. */
ABI_INLINE __u32 hot_slot(__u64 slot, __u32 pair)
{
	if (slot_state(slot) != SLOT_STABLE || slot_current(slot) == BACKEND_NONE || pair > HOT_SLOT_PAIR_MAX)
		return HOT_SLOT_NONE;
	return slot_current(slot) | pair << BACKEND_BITS;
}

ABI_INLINE __u32 hot_backend(__u32 hot)
{
	return hot & BACKEND_MASK;
}

ABI_INLINE __u32 hot_pair(__u32 hot)
{
	return hot >> BACKEND_BITS;
}

/* The hot slot of an index in its word of `hot_slots`. */
ABI_INLINE __u64 hot_slot_in(__u64 word, __u64 index)
{
	return word >> (index & 1) * 32 & 0xffffffff;
}

/* The frame of a test run of the program sum_slots: which slots it adds up. Their sum replaces it. */
struct slot_run {
	__u32 first;
	__u32 count;
};

/* Adds a slot and its hot slot to a sum, which depends on their order. */
ABI_INLINE __u64 slot_sum(__u64 sum, __u64 slot, __u32 hot)
{
	return ((sum ^ slot) * 0x9e3779b97f4a7c15 ^ hot) * 0x9e3779b97f4a7c15;
}

#endif
