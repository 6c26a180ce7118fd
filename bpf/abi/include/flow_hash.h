/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * The flow hash: multilinear over 32-bit words with secret 64-bit keys.
 *
 *   h(w) = (k0 + k1*w1 + ... + kn*wn mod 2^64) >> 32
 *
 * Strongly universal for words of 32 bits (Lemire & Kaser, "Strongly universal string hashing is fast", 2014,
 * theorem 3.1): over the choice of keys, two different flows share a hash with probability 2^-32, and
 * a slot of a table of m slots with probability at most 1/m + 2^-32. Who does not know the seed cannot do better.
 *
 * Words are taken as they lie in memory (network order read by a little-endian CPU).
 */
#ifndef SLUICE_FLOW_HASH_H
#define SLUICE_FLOW_HASH_H

#include "forwarding_abi.h"

/* Ports as one word: the client's in the low half, the service's in the high half, each in network order. */
static inline __u32 flow_hash4(const volatile __u64 *keys, __u32 client, __u32 vip, __u32 ports, __u32 protocol)
{
	return (keys[0] + keys[1] * client + keys[2] * vip + keys[3] * ports + keys[4] * protocol) >> 32;
}

static inline __u32 flow_hash6(const volatile __u64 *keys, const __u32 *client, const __u32 *vip, __u32 ports, __u32 protocol)
{
	__u64 sum = keys[0];

	sum += keys[1] * client[0] + keys[2] * client[1] + keys[3] * client[2] + keys[4] * client[3];
	sum += keys[5] * vip[0] + keys[6] * vip[1] + keys[7] * vip[2] + keys[8] * vip[3];
	sum += keys[9] * ports + keys[10] * protocol;
	return sum >> 32;
}

/* Which slot of a table of `slots` a hash selects: the hash as a fraction of 2^32. */
static inline __u32 hash_slot(__u32 hash, __u32 slots)
{
	return ((__u64)hash * slots) >> 32;
}

#endif
