/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * The interface between the probe programs and the daemon: keys and values of the maps that they do not share with the
 * forwarder.
 *
 * This host's stack sends a probe to a stand-in for the VIP: an address whose next hop is the backend's. The program at
 * the egress puts the VIP in its place, the one at the ingress puts the stand-in back into the answers. So neither the
 * host's routes to the VIP nor an address of its own that equals the VIP concern a probe.
 */
#ifndef SLUICE_PROBING_ABI_H
#define SLUICE_PROBING_ABI_H

#include "forwarding_abi.h"

/*
 * What became of a packet of a probe: sent, or dropped for a reason. A GSO packet counts as one. Names appear in
 * metrics and the CLI, lower case, without PROBE_: they are stable.
 */
#define PROBE_VERDICTS(X) \
	X(PROBE_SENT)         /* encapsulated, on its way to the backend */ \
	X(PROBE_NO_NEXT_HOP)  /* the backend's next hop has no known link-layer address */ \
	X(PROBE_TOO_BIG)      /* encapsulated, it would exceed the MTU of the way to the backend */ \
	X(PROBE_BACKEND_GONE) /* the number has another owner since the probe began */ \
	X(PROBE_NO_ROOM)      /* the kernel refused room for the outer header */ \
	X(PROBE_INVALID)      /* a map holds what no daemon writes: a bug, or a foreign writer */

enum ABI_OPEN_ENUM probe_verdict : __u32 {
	PROBE_VERDICTS(ABI_ENUMERATOR)
	PROBE_VERDICT_COUNT
};

/* An enumerator without PROBE_; NULL: the value has none. */
ABI_INLINE const char *probe_verdict_name(enum probe_verdict verdict)
{
#define PROBE_NAME(name) &#name[sizeof("PROBE_") - 1],
	static const char *const names[] = { PROBE_VERDICTS(PROBE_NAME) };

	return verdict < PROBE_VERDICT_COUNT ? names[verdict] : NULL;
}

/* Flags of struct probe_target. */
#define PROBE_FROM_OWN_ADDRESS 1	/* outer source: the inner one, where families agree; no entropy */

/*
 * This host's end of a probe, unique while the probe runs. Of ICMP echo requests the port is the identifier.
 * IPv4 addresses are mapped (::ffff:0:0/96), as in struct flow_key.
 */
struct probe_endpoint {
	__u8 address[16];
	__be16 port;
	__u8 protocol;
	__u8 reserved[5];
};

/* Where the packets of a probe go, and what was seen of them. Addresses: IPv4 in the first word, the others zero. */
struct probe_target {
	__u32 backend;
	__u32 generation;	/* of the backend when the probe began */
	__u32 flags;
	__u32 port;		/* the service's, network order; 0 for ICMP */
	__u32 vip[4];
	__u32 stand_in[4];	/* the destination that this host's stack knows; may be the VIP itself */
	__u32 sent;		/* packets that were encapsulated; the program at the egress writes */
	__u32 answers;		/* packets of the flow that came in; the program at the ingress writes */
};

#endif
