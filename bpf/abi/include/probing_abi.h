/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * What crosses the border between the probes' program and the daemon, beside the maps that it shares with the
 * forwarder. A probe's flow is a struct flow_key, with this host as the client; of ICMP echo requests, the identifier
 * is the client's port and 0 the service's.
 */
#ifndef SLUICE_PROBING_ABI_H
#define SLUICE_PROBING_ABI_H

#include "forwarding_abi.h"

/*
 * What became of a packet of a probe: sent, or dropped for a reason. A train of TCP segments that the NIC is to cut
 * counts as one. Names appear in metrics and the CLI, lower case, without PROBE_: they are stable.
 */
enum ABI_OPEN_ENUM probe_verdict : __u32 {
	PROBE_SENT = 0,			/* encapsulated, on its way to the backend */
	PROBE_NO_NEXT_HOP,		/* the backend's next hop has no known link-layer address */
	PROBE_TOO_BIG,			/* encapsulated, it would exceed the MTU of the way to the backend */
	PROBE_BACKEND_GONE,		/* the number has another owner since the probe began */
	PROBE_NO_ROOM,			/* the kernel refused room for the outer header */
	PROBE_INVALID,			/* a map holds what no daemon writes: a bug, or a foreign writer */
	PROBE_VERDICT_COUNT
};

/* Flags of struct probe_target. */
#define PROBE_FROM_OWN_ADDRESS 1	/* outer source: the inner one, where families agree; no entropy */

/* Where the packets of a probe go. */
struct probe_target {
	__u32 backend;
	__u32 generation;	/* of the backend when the probe began */
	__u32 flags;
};

#endif
