/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* Verdicts and counters. */
#ifndef SLUICE_VERDICT_ABI_H
#define SLUICE_VERDICT_ABI_H

#include "abi_base.h"

/*
 * What became of a packet. Each packet gets exactly one:
 * received = forwarded + sum of passed + sum of answered + sum of dropped.
 * Names appear in metrics and the CLI, lower case, without VERDICT_: they are stable.
 */
#define VERDICTS(X) \
	X(VERDICT_FORWARDED)                 /* encapsulated and sent to a backend */ \
	X(VERDICT_PASSED_NOT_IP)             /* neither IPv4 nor IPv6: to the kernel, untouched, as all passed */ \
	X(VERDICT_PASSED_OTHER_HOST)         /* the frame's destination is not this interface */ \
	X(VERDICT_PASSED_NOT_OURS)           /* the destination is no VIP */ \
	X(VERDICT_PASSED_UNSERVED)           /* for a VIP, but no service has it; `unserved: pass` */ \
	X(VERDICT_ANSWERED_ECHO)             /* ping of a VIP, answered by us */ \
	X(VERDICT_ANSWERED_TOO_BIG)          /* would not fit after encapsulation: the client was told the MTU */ \
	X(VERDICT_ANSWERED_RESET)            /* the flow's backend is gone: the client was told by a RST */ \
	X(VERDICT_ANSWERED_UNSERVED)         /* for a VIP, but no service has it: answered by RST or ICMP error */ \
	X(VERDICT_DROPPED_MALFORMED)         /* header fields that contradict each other */ \
	X(VERDICT_DROPPED_TRUNCATED)         /* a length field promises more than the frame holds */ \
	X(VERDICT_DROPPED_IP_OPTIONS)        /* IPv4 header with options */ \
	X(VERDICT_DROPPED_FRAGMENT)          /* a fragment, also the first */ \
	X(VERDICT_DROPPED_EXTENSION_HEADERS) /* more extension headers than we walk, or a source route of type 0 */ \
	X(VERDICT_DROPPED_TTL_EXPIRED)       /* TTL or hop limit 0 */ \
	X(VERDICT_DROPPED_MARTIAN_SOURCE)    /* a source that no client can have, or a VIP */ \
	X(VERDICT_DROPPED_TOO_BIG)           /* as ANSWERED_TOO_BIG, but over the rate, or an ICMP error itself */ \
	X(VERDICT_DROPPED_RATE_LIMITED)      /* a ping, an ICMP error or a RST beyond its rate */ \
	X(VERDICT_DROPPED_ICMP_UNRELATED)    /* ICMP error to a VIP about a flow that no service has */ \
	X(VERDICT_DROPPED_ICMP_MTU)          /* "too big" with an MTU that no path has, or below 552 at a high rate */ \
	X(VERDICT_DROPPED_UNSERVED)          /* as ANSWERED_UNSERVED, but over the limit, or no answer is due */ \
	X(VERDICT_DROPPED_NO_BACKEND)        /* the packet's slot or flow has no usable backend */ \
	X(VERDICT_DROPPED_NO_NEXT_HOP)       /* the backend's next hop has no known link-layer address */ \
	X(VERDICT_DROPPED_ENCAPSULATION)     /* no room in front of the frame */ \
	X(VERDICT_DROPPED_INVALID_STATE)     /* a map holds what no daemon writes: a bug, or a foreign writer */

enum ABI_OPEN_ENUM verdict : __u32 {
	VERDICTS(ABI_ENUMERATOR)
	VERDICT_COUNT
};

/* An enumerator without VERDICT_; NULL: the value has none. */
ABI_INLINE const char *verdict_name(enum verdict verdict)
{
#define VERDICT_NAME(name) &#name[sizeof("VERDICT_") - 1],
	static const char *const names[] = { VERDICTS(VERDICT_NAME) };

	return verdict < VERDICT_COUNT ? names[verdict] : NULL;
}

enum ABI_OPEN_ENUM verdict_class : __u32 {
	VERDICT_CLASS_FORWARDED = 0,
	VERDICT_CLASS_PASSED,		/* XDP_PASS */
	VERDICT_CLASS_ANSWERED,		/* XDP_TX, as FORWARDED */
	VERDICT_CLASS_DROPPED,		/* XDP_DROP; also any value that is no verdict */
};

/* The classes are ranges: a verdict that is added at an end of one must move these bounds. */
_Static_assert(VERDICT_FORWARDED + 1 == VERDICT_PASSED_NOT_IP, "the first of the passed");
_Static_assert(VERDICT_PASSED_UNSERVED + 1 == VERDICT_ANSWERED_ECHO, "the first of the answered");
_Static_assert(VERDICT_ANSWERED_UNSERVED + 1 == VERDICT_DROPPED_MALFORMED, "the first of the dropped");

ABI_INLINE enum verdict_class verdict_class(enum verdict verdict)
{
	if (verdict == VERDICT_FORWARDED)
		return VERDICT_CLASS_FORWARDED;
	if (verdict >= VERDICT_PASSED_NOT_IP && verdict <= VERDICT_PASSED_UNSERVED)
		return VERDICT_CLASS_PASSED;
	if (verdict >= VERDICT_ANSWERED_ECHO && verdict <= VERDICT_ANSWERED_UNSERVED)
		return VERDICT_CLASS_ANSWERED;
	return VERDICT_CLASS_DROPPED;
}

struct counter {
	__u64 packets;
	__u64 bytes;		/* of received frames, Ethernet header included */
};

#endif
