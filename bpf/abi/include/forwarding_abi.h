/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * The interface between the forwarder (BPF) and the daemon (Swift): keys and values of the maps.
 *
 * Integers are in host order unless their type or comment says otherwise. No struct has hidden padding; abi.c asserts
 * it. While packets read a record, the daemon changes it only by storing one aligned 64-bit word. A change that needs
 * two words gets a new record: the daemon writes it in full, then stores the word that names it. It reuses the old
 * record after a grace period.
 */
#ifndef SLUICE_FORWARDING_ABI_H
#define SLUICE_FORWARDING_ABI_H

#include "abi_base.h"
#include "backend_abi.h"
#include "flow_abi.h"
#include "service_abi.h"
#include "slot_abi.h"
#include "verdict_abi.h"

/*
 * Increases with every incompatible change of these headers, and with every change of the flow hash. A daemon adopts
 * pinned maps of its own version only.
 */
#define FORWARDING_ABI_VERSION 4

/* Keys of the flow hash: up to 11 for the sum over its words, and one that finishes it. */
#define HASH_KEY_FINISH 11
#define HASH_KEYS 12

/* Fixed when the program is loaded. */
struct forwarder_constants {
	__u64 hash_keys[HASH_KEYS];	/* secret, expanded from the configured seed */
	__u32 tick_shift;		/* tick = jiffies >> tick_shift */
	__u32 answers_per_tick;		/* answers and ICMP errors a CPU handles in a tick, of each kind */
	__u32 answers_per_network;	/* the same, for packets from one network (ANSWER_BUCKETS) */
	/* Flow entries a CPU may add in a tick, INSERT_NEW and INSERT_LEARNED; half of it for one service. */
	__u32 new_per_tick;
	__u32 learned_per_tick;
	__u32 general_only;		/* not 0: no packet takes the fast path; for tests */
};

/* An interface that the program receives and sends on; the daemon changes it by one store. */
struct uplink {
	__u64 mac;		/* six octets, first octet lowest; 0, which no station has, until it is known */
};

/* What becomes of a packet for a VIP that no service has. */
enum ABI_OPEN_ENUM unserved : __u32 {
	UNSERVED_REJECT = 0,	/* answered: RST, ICMP port or protocol unreachable */
	UNSERVED_DROP,
	UNSERVED_PASS,		/* to the kernel's stack */
};

/* What holds for all VIPs; written by the daemon while packets flow. */
struct vip_policy {
	__u64 unserved;		/* enum unserved */
	__u64 accepts_sources;	/* not 0: a VIP may be the source of packets for another VIP */
};

/*
 * Which addresses may be VIPs: a bit for each hash of an address's first eight octets. Those that an IPv4 address lacks
 * are zero. An address whose bit is not set is no VIP; one whose bit is set may be one.
 */
#define VIP_FILTER_BITS 14
#define VIP_FILTER_WORDS (1 << (VIP_FILTER_BITS - 6))

/* The bit of an address, whose first eight octets are read as they lie in memory. */
ABI_INLINE __u32 vip_filter_bit(__u64 address)
{
	return address * 0x9e3779b97f4a7c15 >> (64 - VIP_FILTER_BITS);
}

/* While flow entries are carried over from the maps of an earlier layout; written by the daemon while packets flow. */
struct carry_over {
	__u64 reads_before;	/* not 0: a flow that `flows` does not have is looked for in `flows_before` */
};

/* Work other than forwarding, with a limit each. */
enum ABI_OPEN_ENUM answer : __u32 {
	ANSWER_ECHO = 0,
	ANSWER_TOO_BIG,
	ANSWER_ICMP_ERROR,
	ANSWER_NARROW_MTU,	/* "fragmentation needed" with an MTU below 552, or 0 */
	ANSWER_RESET,
	ANSWER_UNSERVED,
	ANSWER_COUNT
};

/*
 * Beside its limit for all packets, each answer has a limit for each bucket of source networks (/24 of IPv4, /48 of
 * IPv6). Which networks share a bucket depends on the hash keys.
 */
#define ANSWER_BUCKETS 512

/* Whose number it is, so that a restarted daemon knows it: "SERVICE", "POOL" or "POOL/BACKEND", NUL-padded. */
#define IDENTITY_LENGTH 136
struct identity {
	char name[IDENTITY_LENGTH];
};

/*
 * Which layout a set of pinned maps has, under which seed its tables were filled, and who uses it. One element, of the
 * same size and with the version first in every layout. The set in force is the one that names the attached program.
 */
struct layout {
	__u32 version;		/* FORWARDING_ABI_VERSION; 0: still being filled */
	__u32 before;		/* number of the set whose flows and counts have still to be carried over; 0: none */
	__u64 seed_digest;
	__u64 programs[2];	/* ids: the program that uses the set, and the one about to take its place; 0: none */
	__u64 tables;		/* over the number, size and hash of every table in force; 0: not said */
	__u64 check;		/* over all words before it; 0: not said */
	__u64 zero[2];
};

#endif
