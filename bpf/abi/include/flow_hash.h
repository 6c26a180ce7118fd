/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * The flow hash: multilinear over 32-bit words with secret 64-bit keys, finished by a keyed multiplication.
 *
 *   s(w) = k0 + k1*w1 + ... + kn*wn                        mod 2^64
 *   h(w) = ((s ^ s >> 32) * k11 mod 2^64) >> 32
 *
 * For two different flows that were chosen without knowledge of the keys: over the choice of keys they share a slot of
 * a table of m slots with probability at most 2/m + 2^-30. (The high half of s is strongly universal: Lemire & Kaser,
 * "Strongly universal string hashing is fast", 2014, theorem 3.1. The fold is a bijection, so that the two products
 * differ by a random multiple of k11.)
 *
 * That bound does not hold for flows chosen after answers were seen. The sum alone is linear: a difference of
 * addresses that moves one flow by less than a slot does so for all flows, and an attacker who sees which backend
 * answers finds one in some 100,000 flows. The fold and the multiplication break that linearity: s ^ s >> 32 is not
 * linear in s. No stronger bound is proved; HashAttackTests has the attack and its result.
 *
 * Words are read as they are in memory (network order read by a little-endian CPU). All balancers of a fleet use the
 * same hash. A change of it moves almost every flow, and increases FORWARDING_ABI_VERSION.
 */
#ifndef SLUICE_FLOW_HASH_H
#define SLUICE_FLOW_HASH_H

#include "forwarding_abi.h"

ABI_INLINE __u32 finish_hash(const volatile __u64 *keys, __u64 sum)
{
	return ((sum ^ sum >> 32) * keys[HASH_KEY_FINISH]) >> 32;
}

/* Ports as one word: the client's in the low half, the service's in the high half, each in network order. */
ABI_INLINE __u32 flow_hash4(const volatile __u64 *keys, __u32 client, __u32 vip, __u32 ports, __u32 protocol)
{
	return finish_hash(keys, keys[0] + keys[1] * client + keys[2] * vip + keys[3] * ports + keys[4] * protocol);
}

/* Addresses as two words of eight octets, as they lie in memory. */
ABI_INLINE __u32 flow_hash6_words(const volatile __u64 *keys, __u64 client_high, __u64 client_low, __u64 vip_high,
			       __u64 vip_low, __u32 ports, __u32 protocol)
{
	__u64 sum = keys[0];

	sum += keys[1] * (__u32)client_high + keys[2] * (client_high >> 32);
	sum += keys[3] * (__u32)client_low + keys[4] * (client_low >> 32);
	sum += keys[5] * (__u32)vip_high + keys[6] * (vip_high >> 32);
	sum += keys[7] * (__u32)vip_low + keys[8] * (vip_low >> 32);
	sum += keys[9] * ports + keys[10] * protocol;
	return finish_hash(keys, sum);
}

/* As flow_hash6_words(), with addresses as four words of four octets. */
ABI_INLINE __u32 flow_hash6(const volatile __u64 *keys, const __u32 *client, const __u32 *vip, __u32 ports,
			    __u32 protocol)
{
	return flow_hash6_words(keys, client[0] | (__u64)client[1] << 32, client[2] | (__u64)client[3] << 32,
				vip[0] | (__u64)vip[1] << 32, vip[2] | (__u64)vip[3] << 32, ports, protocol);
}

/* Which slot of a table of `slots` a hash selects: the hash as a fraction of 2^32. */
ABI_INLINE __u32 hash_slot(__u32 hash, __u32 slots)
{
	return ((__u64)hash * slots) >> 32;
}

#endif
