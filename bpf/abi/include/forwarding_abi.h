/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * What crosses the border between the forwarder (BPF) and the daemon (Swift): the maps' keys and values.
 *
 * Integers are in host order unless their type or comment says otherwise. No struct has hidden padding; abi.c
 * asserts it. A field that changes while packets flow lives in an aligned 64-bit word, and is changed by one store.
 */
#ifndef SLUICE_FORWARDING_ABI_H
#define SLUICE_FORWARDING_ABI_H

#include <linux/types.h>

/*
 * Raised with every incompatible change of this file, and with every change of the flow hash: a daemon adopts pinned maps
 * of its own version only.
 */
#define FORWARDING_ABI_VERSION 3

/* Values read from the kernel may be newer than the reader: open enums. */
#define ABI_OPEN_ENUM __attribute__((enum_extensibility(open)))

/*
 * What became of a packet. Each packet gets exactly one:
 * received = forwarded + sum of passed + sum of answered + sum of dropped.
 * Names appear in metrics and the CLI, lower case, without VERDICT_: they are stable.
 */
enum ABI_OPEN_ENUM verdict : __u32 {
	VERDICT_FORWARDED = 0,		/* encapsulated and sent to a backend */
	VERDICT_PASSED_NOT_IP,		/* neither IPv4 nor IPv6: to the kernel's stack, untouched, as all passed */
	VERDICT_PASSED_OTHER_HOST,	/* the frame's destination is not this interface */
	VERDICT_PASSED_NOT_OURS,	/* the destination is no VIP */
	VERDICT_PASSED_UNSERVED,	/* for a VIP, but no service has it; `unserved: pass` */
	VERDICT_ANSWERED_ECHO,		/* ping of a VIP, answered by us */
	VERDICT_ANSWERED_TOO_BIG,	/* would not fit after encapsulation: the client was told the MTU */
	VERDICT_ANSWERED_RESET,		/* the flow's backend is gone: the client was told by a RST */
	VERDICT_ANSWERED_UNSERVED,	/* for a VIP, but no service has it: the client got a RST or an ICMP error */
	VERDICT_DROPPED_MALFORMED,	/* header fields that contradict each other */
	VERDICT_DROPPED_TRUNCATED,	/* a length field promises more than the frame holds */
	VERDICT_DROPPED_IP_OPTIONS,	/* IPv4 header with options */
	VERDICT_DROPPED_FRAGMENT,	/* a fragment: only the first has ports */
	VERDICT_DROPPED_EXTENSION_HEADERS, /* more IPv6 extension headers than we walk, or a source route of type 0 */
	VERDICT_DROPPED_TTL_EXPIRED,	/* TTL or hop limit 0 */
	VERDICT_DROPPED_MARTIAN_SOURCE,	/* a source that no client can have, or a VIP */
	VERDICT_DROPPED_TOO_BIG,	/* as ANSWERED_TOO_BIG, but the rate of answers was exceeded */
	VERDICT_DROPPED_RATE_LIMITED,	/* ping or ICMP error for a VIP beyond the rate */
	VERDICT_DROPPED_ICMP_UNRELATED,	/* ICMP error to a VIP about a flow that no service has */
	VERDICT_DROPPED_ICMP_MTU,	/* "too big" with an MTU that no path has, or below 552 (IPv4) beyond the rate */
	VERDICT_DROPPED_UNSERVED,	/* as ANSWERED_UNSERVED, without an answer: configured, over the limit, or none fits */
	VERDICT_DROPPED_NO_BACKEND,	/* the pool has no usable backend */
	VERDICT_DROPPED_NO_NEXT_HOP,	/* the backend's next hop has no known link-layer address */
	VERDICT_DROPPED_ENCAPSULATION,	/* no room in front of the frame */
	VERDICT_DROPPED_INVALID_STATE,	/* a map holds what no daemon writes: a bug, or a foreign writer */
	VERDICT_COUNT
};

struct counter {
	__u64 packets;
	__u64 bytes;		/* of received frames, Ethernet header included */
};

/* Address, port, protocol. Port 0: any port. Protocol ICMP (1, 58) with port 0: "this address is a VIP". */
struct service_key4 {
	__be32 address;
	__be16 port;
	__u8 protocol;
	__u8 zero;
};

struct service_key6 {
	__u8 address[16];
	__be16 port;
	__u8 protocol;
	__u8 zero;
};

/* Value of the VIP entries in the service maps; real services count from 1. */
#define SERVICE_NONE 0

enum ABI_OPEN_ENUM affinity : __u32 {
	AFFINITY_CHANGES = 0,	/* flows are tracked on changed slots */
	AFFINITY_ALL,		/* every flow is tracked */
	AFFINITY_NONE,
	AFFINITY_MOVED,		/* as CHANGES; its flows may still be those of the pool in `before` */
	AFFINITY_MOVED_ALL,	/* as ALL, the same */
};

/* Flags of struct service. */
#define SERVICE_RESETS 1	/* a flow whose backend is gone gets a RST; otherwise it goes to the slot's current */

/* In one cache line. */
struct service {
	__u64 binding;		/* pool id in the low half, first pair counter in the high half */
	__u64 before;		/* the binding until `moved`; equal to binding where it never moved */
	enum affinity affinity;
	__u32 flags;
	__u32 learn;		/* ticks after a slot's change in which an unknown TCP flow is older than it */
	__u32 udp_idle;		/* ticks without a packet after which a UDP flow is over */
	__u32 tcp_idle;		/* ticks without a packet after which a TCP flow is over */
	__u32 moved;		/* AFFINITY_MOVED…: tick at which it got its pool */
	__u32 pair_count;	/* pair counters it has; for the daemon */
	__u32 pair_count_before;
	__u64 zero[2];
};

enum ABI_OPEN_ENUM hash_fields : __u32 {
	HASH_FLOW = 0,		/* addresses, ports, protocol */
	HASH_SOURCE,		/* the client's address */
};

struct pool {
	__u64 table;		/* first slot in the low half, number of slots in the high half */
	enum hash_fields hash;
	__u32 settle;		/* ticks after which a changed slot settles */
};

enum ABI_OPEN_ENUM encapsulation : __u8 {
	ENCAPSULATION_IPIP = 0,
};

/* Flags in the high half of struct backend's state. */
#define BACKEND_USABLE 1	/* packets may go to it, of new flows or old ones */
#define BACKEND_LEAVING 2	/* gone from the configuration, kept for its flows; for the daemon */
#define BACKEND_DRAINING 4	/* draining or leaving: slots whose previous it is do not settle */

/* Bit 48 of struct backend's next_hop. */
#define NEXT_HOP_RESOLVED (1ull << 48)

/*
 * A machine that answers, in one cache line. All but next_hop and state is written before any table names the
 * backend, and never again: what changes otherwise gets a new number.
 */
struct backend {
	__u64 next_hop;		/* low 48 bits: the six octets of its next hop's address, first octet lowest */
	__u64 state;		/* generation in the low half, flags in the high half */
	__u8 destination[16];	/* outer destination; IPv4 in the last four octets */
	__u8 source[16];	/* outer source, the flow's entropy still to be put in; IPv4 in the last four */
	__be32 source_mask;	/* which of the source's last 32 bits carry entropy */
	__u16 header_sum;	/* IPv4: folded sum of the outer header's constant words, in memory order */
	__u8 family;		/* of the outer header: 4 or 6 */
	enum encapsulation encapsulation;
	__u16 mtu;		/* of the way to the backend: largest outer packet */
	__u16 pair;		/* its place among the pool's backends: pair counter = service's first + pair */
	__u8 source_length;	/* of the configured source prefix, SOURCE_OF_INTERFACE: none; for the daemon */
	__u8 zero;
	__u16 pool;		/* id of the pool it belongs to */
};

#define SOURCE_OF_INTERFACE 255

#define BACKEND_NONE 0

/*
 * One slot of a forwarding table:
 *   bits  0-17  current backend
 *   bits 18-35  previous backend: the last stable owner
 *   bits 36-37  state
 *   bits 38-63  tick of its first change, modulo 2^26
 */
enum ABI_OPEN_ENUM slot_state : __u32 {
	SLOT_STABLE = 0,
	SLOT_CHANGED,
	SLOT_SETTLING,
};

#define BACKEND_BITS 18
#define BACKEND_MASK ((1u << BACKEND_BITS) - 1)
#define SLOT_TICK_BITS 26
#define SLOT_TICK_MASK ((1u << SLOT_TICK_BITS) - 1)

static inline __u32 slot_current(__u64 slot)
{
	return slot & BACKEND_MASK;
}

static inline __u32 slot_previous(__u64 slot)
{
	return (slot >> BACKEND_BITS) & BACKEND_MASK;
}

static inline enum slot_state slot_state(__u64 slot)
{
	return (enum slot_state)((slot >> (2 * BACKEND_BITS)) & 3);
}

static inline __u32 slot_since(__u64 slot)
{
	return slot >> (2 * BACKEND_BITS + 2);
}

static inline __u64 slot_word(__u32 current, __u32 previous, enum slot_state state, __u32 since)
{
	return (__u64)(current & BACKEND_MASK) | (__u64)(previous & BACKEND_MASK) << BACKEND_BITS |
	       (__u64)state << (2 * BACKEND_BITS) | (__u64)(since & SLOT_TICK_MASK) << (2 * BACKEND_BITS + 2);
}

/* Ticks since a slot changed. */
static inline __u32 slot_age(__u64 slot, __u32 now)
{
	return (now - slot_since(slot)) & SLOT_TICK_MASK;
}

/* Slots that the program sum_slots is to add up, in the first octets of its frame; the sum takes their place. */
struct slot_run {
	__u32 first;
	__u32 count;
};

/* The sum over a run of slots goes on with the next one: of two runs that differ, order included, so do the sums. */
static inline __u64 slot_sum(__u64 sum, __u64 slot)
{
	return (sum ^ slot) * 0x9e3779b97f4a7c15;
}

/*
 * IPv4 addresses in IPv4-mapped form. The entry of a client, which a pool with HASH_SOURCE keeps beside those of its
 * flows, has the pool's id in host order in the last four octets of `vip`, and no ports and no protocol.
 */
struct flow_key {
	__u8 client[16];
	__u8 vip[16];
	__be16 client_port;
	__be16 service_port;
	__u8 protocol;
	__u8 zero[3];
};

#define FLOW_SYN_ONLY 1		/* nothing but first packets (SYN) was seen yet */
#define FLOW_FINISHED 2		/* a FIN was seen, and no payload after it */
#define FLOW_RESET 4		/* a RST was seen, and nothing without one after it */
#define FLOW_CLOSING (FLOW_FINISHED | FLOW_RESET)
#define FLOW_ONCE 8		/* an unknown flow, not confirmed by a second packet: the first to be swept in need */

/* The tick of an unconfirmed flow's first packet, modulo 2^16, in the high half of the flags beside FLOW_ONCE. */
#define FLOW_FIRST_SHIFT 16
/* Ticks after the first packet from which on another one confirms the flow: at least a whole tick. */
#define FLOW_CONFIRMED_AFTER 2

struct flow {
	__u32 backend;
	__u32 generation;	/* of the backend when the flow was given to it */
	__u32 last_seen;	/* tick */
	__u32 flags;
};

/* Ticks that an entry lives without a packet, in special cases (a tick is about a second). */
#define FLOW_SYN_ONLY_IDLE 10
#define FLOW_CLOSING_IDLE 60
/* Ticks without a packet after which a closing flow is over: a drain does not count it, and a SYN may replace it. */
#define FLOW_OVER_IDLE 10

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
	__u32 zero;
};

/* What the program knows of its interface; written by the daemon while packets flow. */
struct interface_state {
	__u64 mac;		/* six octets, first octet lowest; 0: no frame is ours */
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
static inline __u32 vip_filter_bit(__u64 address)
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

/* Set in an element of `last_unknown` that was ever written; the tick is in the low half. */
#define LAST_UNKNOWN_SEEN (1ull << 32)

/* What a flow entry is added for. */
enum ABI_OPEN_ENUM insert : __u32 {
	INSERT_NEW = 0,		/* a first packet */
	INSERT_LEARNED,		/* another packet of an unknown flow */
	INSERT_COUNT
};

/* What was used of a limit in a tick, on one CPU. */
struct budget {
	__u32 tick;
	__u32 used;
};

/* What happened beside the verdict, about the flow table. */
enum ABI_OPEN_ENUM flow_event : __u32 {
	FLOW_FOUND = 0,
	FLOW_STARTED,		/* an entry was written for a first packet */
	FLOW_LEARNED,		/* an unknown packet of a changed slot: entry written */
	FLOW_TO_PREVIOUS,	/* an unknown packet went to the slot's previous backend */
	FLOW_NOT_WRITTEN,	/* the table was full */
	FLOW_OVER_BUDGET,	/* not written: too many in this tick */
	FLOW_EVENT_COUNT
};

/* Who an id belongs to, so that a restarted daemon knows it: "SERVICE", "POOL" or "POOL/BACKEND", NUL-padded. */
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
