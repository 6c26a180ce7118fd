/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * The fast path: the steps of the pipeline for common packets, with a struct packet that the compiler keeps in
 * registers.
 *
 * A common packet is TCP or UDP, without VLAN tags, IPv4 options or IPv6 extension headers. Its service is in a bucket,
 * has AFFINITY_CHANGES and hashes whole flows, and its hot slot names a backend. All other packets take the general
 * path: from the step choose on if they are matched and admitted, else from the start. The fast path changes and counts
 * nothing until a packet is certain to be sent.
 *
 * Both paths call the same functions, except that here the hot slot takes the place of choose_backend(). FastPathTests
 * compares what both do with each packet.
 */
#ifndef SLUICE_FAST_PATH_H
#define SLUICE_FAST_PATH_H

#include "admit.h"
#include "flow.h"
#include "parse.h"
#include "send.h"
#include "verdict.h"

/* Instead of an XDP action: the general path decides. */
#define TAKE_GENERAL_PATH -1

/* Whether the backend is usable and its next hop resolved. */
static __always_inline int is_sendable(__u64 next_hop)
{
	const __u64 flags = (NEXT_HOP_RESOLVED | BACKEND_USABLE) >> 48;

	return (next_hop >> 48 & flags) == flags;
}

/* Whether the table has slots, and whole flows are hashed: the size is not 0, and bit 63 is HASH_FLOW. */
static __always_inline int is_common_table(__u64 table)
{
	return (__s64)table >> 32 > 0;
}

/* Out of line: inlined, it made the compiler spill a 32-bit value, which struct packet tells about. */
static __noinline int drop_unsent(__u64 verdict, __u64 frame_length)
{
	count_verdict(verdict, frame_length);
	return XDP_DROP;
}

static __always_inline int end_fast(__u64 verdict, __u64 pair, __u64 frame_length)
{
	if (verdict != VERDICT_FORWARDED)
		return drop_unsent(verdict, frame_length);
	count_verdict(VERDICT_FORWARDED, frame_length);
	count_pair(pair, frame_length);
	return XDP_TX;
}

/*
 * The end of the fast path for encapsulations other than IPIP. Out of line, with a packet of its own, so that the fast
 * path of IPIP keeps its packet in registers. Returns an XDP action, or TAKE_GENERAL_PATH.
 */
static __noinline int forward_otherwise(struct xdp_md *ctx, const struct backend *backend, __u64 flow_hash, __u64 pair,
					__u64 frame_length)
{
	struct packet packet = { .frame_length = frame_length, .flow_hash = flow_hash };
	__u64 next_hop = READ_ONCE(backend->next_hop), path = READ_ONCE(backend->path);
	__u64 overhead = outer_length(next_hop);
	struct frame frame = read_frame(ctx);
	const struct ethernet *ethernet = frame.data;

	if (is_beyond(&frame, ethernet + 1) || !is_sendable(next_hop))
		return TAKE_GENERAL_PATH;
	if ((ethernet->type == bpf_htons(ETH_P_IP) ? parse_ipv4(&frame, AT_IP, &packet)
						   : parse_ipv6(&frame, AT_IP, &packet)) != UNDECIDED)
		return TAKE_GENERAL_PATH;
	if (packet.length + overhead > path_mtu(path))
		return TAKE_GENERAL_PATH;
	return end_fast(encapsulate_otherwise(ctx, &packet, backend, next_hop, path), pair, frame_length);
}

/* The general path from its step choose on. The packet is matched and admitted. Returns an XDP action. */
static int forward_admitted(struct xdp_md *ctx, __u64 service_id);

/* Returns an XDP action, or TAKE_GENERAL_PATH. `family` is a constant, so that the compiler makes a copy for each. */
static __always_inline int forward_fast(struct xdp_md *ctx, const struct frame *frame, const int family,
					__u64 frame_length)
{
	const int at_transport = family == 4 ? AT_TRANSPORT4 : AT_TRANSPORT6;
	struct packet packet = { .frame_length = frame_length };
	__u64 id, table, index, hot, next_hop, path, pair;
	struct service *service;
	struct backend *backend;
	__u64 *word, hash;

	if ((family == 4 ? parse_ipv4(frame, AT_IP, &packet) : parse_ipv6(frame, AT_IP, &packet)) != UNDECIDED)
		return TAKE_GENERAL_PATH;
	if (!has_ports(packet.protocol) || parse_ports(frame, at_transport, &packet) != UNDECIDED)
		return TAKE_GENERAL_PATH;
	if (admit_header(&packet) != UNDECIDED || check_transport(frame, at_transport, &packet) != UNDECIDED)
		return TAKE_GENERAL_PATH;
	id = family == 4 ? service_in_bucket4(&packet) : service_in_bucket6(&packet);
	if (!id || may_be_vip(packet.client[0]))
		return TAKE_GENERAL_PATH;

	service = element(services, id);
	if (!service)
		return TAKE_GENERAL_PATH;
	table = READ_ONCE(service->table);
	if (service->affinity != AFFINITY_CHANGES || !is_common_table(table))
		return forward_admitted(ctx, id);
	hash = hash_packet(&packet, HASH_FLOW);
	index = (__u32)(table_first(table) + hash_slot(hash, table >> 32));
	word = element(hot_slots, index >> 1);
	if (!word)
		return TAKE_GENERAL_PATH;
	hot = hot_slot_in(*word, index);
	if (hot == HOT_SLOT_NONE)
		return forward_admitted(ctx, id);
	backend = element(backends, hot_backend(hot));
	if (!backend)
		return TAKE_GENERAL_PATH;
	pair = (service->binding >> 32) + hot_pair(hot);
	next_hop = READ_ONCE(backend->next_hop);
	path = READ_ONCE(backend->path);
	if (!is_sendable(next_hop))
		return TAKE_GENERAL_PATH;
	if (encapsulation_of(next_hop) != ENCAPSULATION_IPIP)
		return forward_otherwise(ctx, backend, hash, pair, frame_length);
	if (packet.length + outer_length(next_hop & BACKEND_OUTER_IPV6) > path_mtu(path))
		return TAKE_GENERAL_PATH;
	return end_fast(encapsulate_ipip(ctx, &packet, backend, next_hop, path, hash), pair, frame_length);
}

/* Returns an XDP action, or TAKE_GENERAL_PATH. `subtracts`, a constant: whether packet pointers may be subtracted. */
static __always_inline int take_fast_path(struct xdp_md *ctx, const int subtracts)
{
	struct frame frame = read_frame(ctx);
	const struct ethernet *ethernet = frame.data;
	__u64 length;

	if (is_beyond(&frame, frame.data + AT_TRANSPORT4))
		return TAKE_GENERAL_PATH;
	if ((*(const __u64 *)ethernet & NEXT_HOP_MAC) != uplink.mac)
		return TAKE_GENERAL_PATH;
	length = subtracts ? (__u64)(frame.end - frame.data) : bpf_xdp_get_buff_len(ctx);
	if (ethernet->type == bpf_htons(ETH_P_IP))
		return forward_fast(ctx, &frame, 4, length);
	if (ethernet->type == bpf_htons(ETH_P_IPV6))
		return forward_fast(ctx, &frame, 6, length);
	return TAKE_GENERAL_PATH;
}

#endif
