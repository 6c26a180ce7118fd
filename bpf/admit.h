/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* Step admit: what every packet for a VIP must satisfy, of either family. */
#ifndef SLUICE_ADMIT_H
#define SLUICE_ADMIT_H

#include "match.h"
#include "packet.h"
#include "sources.h"

/* A source that no client has, or the VIP itself. */
static __always_inline int is_martian4(const struct packet *packet)
{
	return is_no_client4(packet->client) || packet->client[0] == packet->vip[0];
}

static __always_inline int is_martian6(const struct packet *packet)
{
	/* Said to be unlikely, or else the compiler makes a value of each comparison. */
	if (__builtin_expect(packet->client[0] == packet->vip[0], 0) && packet->client[1] == packet->vip[1])
		return 1;
	return is_no_client6(packet->client);
}

/* Checks length, TTL and source. Whether the source is a VIP is left to the caller, because it takes a map. */
static __always_inline decision admit_header(const struct packet *packet)
{
	if (packet->length + AT_IP + packet->tag_count * VLAN_TAG_LENGTH > packet->frame_length)
		return VERDICT_DROPPED_TRUNCATED;
	/* A VIP is the packet's destination, not a hop on its path: RFC 1122, 3.2.1.7. */
	if (!packet->ttl)
		return VERDICT_DROPPED_TTL_EXPIRED;
	if (packet->family == 4 ? is_martian4(packet) : is_martian6(packet))
		return VERDICT_DROPPED_MARTIAN_SOURCE;
	return UNDECIDED;
}

static __always_inline decision admit(const struct packet *packet)
{
	decision flaw = admit_header(packet);

	if (flaw != UNDECIDED)
		return flaw;
	if (may_be_vip(packet->client[0]) && is_refused_vip_source(packet))
		return VERDICT_DROPPED_MARTIAN_SOURCE;
	return packet->transport_flaw;
}

#endif
