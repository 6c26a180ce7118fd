/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* Virtual services and pools: how a packet finds its service, and what the service's record says. */
#ifndef SLUICE_SERVICE_ABI_H
#define SLUICE_SERVICE_ABI_H

#include "abi_base.h"

/*
 * Keys of services4 and services6. Port 0: the service of all ports that have none of their own. The protocols ICMP (1)
 * and ICMPv6 (58) with port 0: the entry's value is SERVICE_NONE and marks the address as a VIP.
 */
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

/* No service's id: they begin at 1. */
#define SERVICE_NONE 0

/*
 * Service buckets are a cache of services4 and services6, because an array is looked up faster than a hash map. A hash
 * of the key selects a bucket, and the packet compares all its entries. If none matches, it looks into the hash map,
 * which holds every key. A key is in the hash map alone if its bucket is full, its id does not fit the entry, or its
 * port is 0.
 */
#define SERVICE_BUCKET_BITS 13
#define SERVICE_BUCKETS (1 << SERVICE_BUCKET_BITS)
#define SERVICE_BUCKET4_ENTRIES 4
#define SERVICE_BUCKET6_ENTRIES 2

/*
 * An IPv4 entry is one word. One store adds it, changes its id or removes it:
 *   bits  0-31  address, as in memory (network order)
 *   bits 32-47  port, as in memory
 *   bit  48     0: TCP, 1: UDP
 *   bits 49-63  id; 0: the entry is free, and the whole word is 0
 */
struct service_bucket4 {
	__u64 entries[SERVICE_BUCKET4_ENTRIES];
};

#define SERVICE_ENTRY4_ID_SHIFT 49
#define SERVICE_ENTRY4_ID_MAX 0x7fff

/* An entry's word without its id. The protocol is TCP (6) or UDP (17): they differ in bit 0. */
ABI_INLINE __u64 service_entry4(__u64 address, __u64 port, __u64 protocol)
{
	return address | port << 32 | (protocol & 1) << 48;
}

ABI_INLINE __u64 service_entry4_id(__u64 entry)
{
	return entry >> SERVICE_ENTRY4_ID_SHIFT;
}

/* Whether an entry has this key, as service_entry4() returns it. */
ABI_INLINE int service_entry4_matches(__u64 entry, __u64 key)
{
	return !((entry ^ key) << (64 - SERVICE_ENTRY4_ID_SHIFT));
}

ABI_INLINE __u32 service_bucket4_index(__u64 key)
{
	return key * 0x9e3779b97f4a7c15 >> (64 - SERVICE_BUCKET_BITS);
}

/*
 * An IPv6 entry is three words. To add it, store both words of the address, then `rest`. To change its id, store
 * `rest`. To remove it, store 0 to `rest`, and wait for a grace period before you add another one in its place.
 */
struct service_bucket6 {
	__u64 high[SERVICE_BUCKET6_ENTRIES];	/* octets 0-7 of the address, as in memory */
	__u64 low[SERVICE_BUCKET6_ENTRIES];	/* octets 8-15 */
	__u64 rest[SERVICE_BUCKET6_ENTRIES];	/* service_entry6() | id << 32; 0: free */
	__u64 zero[2];
};

/* The low half of `rest`. Port as in memory. */
ABI_INLINE __u64 service_entry6(__u64 port, __u64 protocol)
{
	return port | protocol << 16;
}

/* `rest`: as service_entry6() returns it. */
ABI_INLINE __u32 service_bucket6_index(__u64 high, __u64 low, __u64 rest)
{
	__u64 sum = high * 0x9e3779b97f4a7c15 + low * 0xbf58476d1ce4e5b9 + rest * 0x94d049bb133111eb;

	return sum >> (64 - SERVICE_BUCKET_BITS);
}

enum ABI_OPEN_ENUM affinity : __u32 {
	AFFINITY_CHANGES = 0,	/* flows are tracked on changed slots */
	AFFINITY_ALL,		/* every flow is tracked */
	AFFINITY_NONE,		/* no flow is tracked */
	AFFINITY_MOVED,		/* as CHANGES, but the service had another pool, in which it may still have flows */
	AFFINITY_MOVED_ALL,	/* as MOVED, but every flow is tracked */
};

/* Flags of struct service. */
#define SERVICE_RESETS 1	/* a known flow whose backend is gone gets a RST; else it goes to the current backend */

enum ABI_OPEN_ENUM hash_fields : __u32 {
	HASH_FLOW = 0,		/* addresses, ports, protocol */
	HASH_SOURCE,		/* the client's address */
};

/*
 * A word that names a forwarding table:
 *   bits  0-31  first slot
 *   bits 32-62  number of slots; 0: no table
 *   bit  63     enum hash_fields
 */
#define TABLE_HASH_SHIFT 63

ABI_INLINE __u64 table_word(__u32 first, __u32 size, enum hash_fields hash)
{
	return first | (__u64)size << 32 | (__u64)hash << TABLE_HASH_SHIFT;
}

ABI_INLINE __u32 table_first(__u64 table)
{
	return table;
}

ABI_INLINE __u32 table_size(__u64 table)
{
	return table << 1 >> 33;
}

ABI_INLINE enum hash_fields table_hash(__u64 table)
{
	return (enum hash_fields)(table >> TABLE_HASH_SHIFT);
}

/*
 * A service, in one cache line. `table` is a copy of the pool's, and changes by one store. All other fields are written
 * before a key leads to the id, and never change: with other terms or another pool, the service gets another id.
 *
 * Each service has a run of counters in `pair_counters`, one for each backend of its pool: the backend's `pair` is the
 * index in the run.
 */
struct service {
	__u64 table;
	__u64 binding;		/* low half: number of its pool; high half: its first pair counter */
	__u64 before;		/* the binding that it had until `moved`; equal to `binding` if it never moved */
	enum affinity affinity;
	__u32 flags;
	__u32 learn;		/* ticks after a slot's change in which an unknown TCP flow is older than it */
	__u32 udp_idle;		/* ticks without a packet after which a UDP flow is over */
	__u32 tcp_idle;		/* ticks without a packet after which a TCP flow is over */
	__u32 moved;		/* AFFINITY_MOVED and AFFINITY_MOVED_ALL: tick at which it got its pool */
	__u32 pair_count;	/* how many pair counters it has; for the daemon */
	__u32 pair_count_before; /* how many there are in the binding `before` */
	__u64 zero;
};

/* A pool. Each word changes by one store. The daemon stores a new `table` here first, then to the pool's services. */
struct pool {
	__u64 table;
	__u64 settle;		/* ticks after which a changed slot settles */
};

#endif
