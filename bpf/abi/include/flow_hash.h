/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * The flow hash: multilinear over 32-bit words with secret 64-bit keys, finished by a keyed multiplication.
 *
 *   s(w) = k0 + k1*w1 + ... + kn*wn                        mod 2^64
 *   h(w) = ((s ^ s >> 32) * k11 mod 2^64) >> 32
 *
 * For two different flows that were chosen without knowledge of the keys: over the choice of keys they share a slot of a
 * table of m slots with probability at most 2/m + 2^-30. (The high half of s is strongly universal: Lemire & Kaser,
 * "Strongly universal string hashing is fast", 2014, theorem 3.1. The fold is a bijection, so that the two products
 * differ by a random multiple of k11.)
 *
 * That bound does not hold for flows chosen after answers were seen. The sum alone is linear: a step between addresses
 * that moves one flow by less than a slot does so for all flows, and somebody who sees which backend answers finds one
 * in some 100,000 flows. The fold and the multiplication take that away: s ^ s >> 32 is not linear in s. There is no proof
 * that nothing else is left; HashAttackTests has the attack and what it finds now.
 *
 * Words are taken as they lie in memory (network order read by a little-endian CPU). The hash is the same on every
 * balancer of a fleet: to change it is to move almost every flow, and raises FORWARDING_ABI_VERSION.
 */
#ifndef SLUICE_FLOW_HASH_H
#define SLUICE_FLOW_HASH_H

#include "forwarding_abi.h"

static inline __u32 finish_hash(const volatile __u64 *keys, __u64 sum)
{
	return ((sum ^ sum >> 32) * keys[HASH_KEY_FINISH]) >> 32;
}

/* Ports as one word: the client's in the low half, the service's in the high half, each in network order. */
static inline __u32 flow_hash4(const volatile __u64 *keys, __u32 client, __u32 vip, __u32 ports, __u32 protocol)
{
	return finish_hash(keys, keys[0] + keys[1] * client + keys[2] * vip + keys[3] * ports + keys[4] * protocol);
}

static inline __u32 flow_hash6(const volatile __u64 *keys, const __u32 *client, const __u32 *vip, __u32 ports, __u32 protocol)
{
	__u64 sum = keys[0];

	sum += keys[1] * client[0] + keys[2] * client[1] + keys[3] * client[2] + keys[4] * client[3];
	sum += keys[5] * vip[0] + keys[6] * vip[1] + keys[7] * vip[2] + keys[8] * vip[3];
	sum += keys[9] * ports + keys[10] * protocol;
	return finish_hash(keys, sum);
}

/* Which slot of a table of `slots` a hash selects: the hash as a fraction of 2^32. */
static inline __u32 hash_slot(__u32 hash, __u32 slots)
{
	return ((__u64)hash * slots) >> 32;
}

#endif
