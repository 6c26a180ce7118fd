/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* The flow table: which backend a flow has, where its slot alone does not tell. */
#ifndef SLUICE_FLOW_ABI_H
#define SLUICE_FLOW_ABI_H

#include "abi_base.h"

/*
 * The key of a flow. IPv4 addresses are in IPv4-mapped form.
 *
 * A pool with HASH_SOURCE also records clients: which backend a client has. The key of a client has the pool's number,
 * in host order, in the last four octets of `vip`. All its fields behind `client` are zero otherwise.
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
#define FLOW_ONCE 8		/* an unknown flow that no second packet confirmed; removed first when space is short */

/* Beside FLOW_ONCE: the tick of the flow's first packet, modulo 2^16, in the high half of the flags. */
#define FLOW_FIRST_SHIFT 16
/* A packet confirms the flow if it comes so many ticks after the first: then at least one whole tick lies between. */
#define FLOW_CONFIRMED_AFTER 2

struct flow {
	__u32 backend;		/* its number */
	__u32 generation;	/* of that number when the entry was written: tells whether it has another owner now */
	__u32 last_seen;	/* tick of the flow's last packet */
	__u32 flags;		/* FLOW_... */
};

/* Ticks that an entry lives without a packet, other than the service's limits (a tick is about a second). */
#define FLOW_SYN_ONLY_IDLE 10
#define FLOW_CLOSING_IDLE 60
/* Ticks without a packet after which a closing flow is over: a drain does not count it, and a SYN may replace it. */
#define FLOW_OVER_IDLE 10

/* Ticks without a packet after which an entry of the flow table is dead. */
ABI_INLINE __u32 flow_idle_limit(__u32 flags, __u32 is_udp, __u32 udp_idle, __u32 tcp_idle)
{
	if (flags & FLOW_SYN_ONLY)
		return FLOW_SYN_ONLY_IDLE;
	if (flags & FLOW_CLOSING)
		return FLOW_CLOSING_IDLE;
	return is_udp ? udp_idle : tcp_idle;
}

/* Set in an element of `last_unknown` that was ever written; the tick is in the low half. */
#define LAST_UNKNOWN_SEEN (1ull << 32)

/* What a flow entry is added for. */
enum ABI_OPEN_ENUM insert : __u32 {
	INSERT_NEW = 0,		/* a first packet */
	INSERT_LEARNED,		/* another packet of an unknown flow */
	INSERT_COUNT
};

/* How much of a limit for each tick is used, on one CPU. */
struct budget {
	__u32 tick;
	__u32 used;
};

/* What happened to the flow table, counted beside the verdict. */
enum ABI_OPEN_ENUM flow_event : __u32 {
	FLOW_FOUND = 0,
	FLOW_STARTED,		/* an entry was written for a first packet */
	FLOW_LEARNED,		/* an entry was written for another packet of an unknown flow */
	FLOW_TO_PREVIOUS,	/* an unknown packet went to the slot's previous backend */
	FLOW_NOT_WRITTEN,	/* the table was full */
	FLOW_OVER_BUDGET,	/* not written: too many in this tick */
	FLOW_EVENT_COUNT
};

#endif
