/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * The forwarder: sends each packet for a virtual service, encapsulated, to the backend of its flow.
 *
 *   parse -> match -> admit -> choose -> send
 *
 * Each step either decides the packet's verdict, which ends the pipeline, or leaves the packet to the next step.
 * docs/packet-path.md describes the steps. The fast path (fast_path.h) takes them in registers for common packets.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "admit.h"
#include "extension_headers.h"
#include "fast_path.h"
#include "forwarding_table.h"
#include "icmp.h"
#include "icmp_error.h"
#include "maps.h"
#include "match.h"
#include "parse.h"
#include "parse_extended.h"
#include "reset.h"
#include "send.h"
#include "unserved.h"
#include "verdict.h"
#include "vlan.h"

/* Parses the headers of a frame without VLAN tags. */
static __always_inline decision parse_ip(struct xdp_md *ctx, struct packet *packet)
{
	struct frame frame = read_frame(ctx);
	const struct ethernet *ethernet = frame.data;
	decision flaw;

	if (is_beyond(&frame, ethernet + 1))
		return VERDICT_PASSED_NOT_IP;
	if (ethernet->type == bpf_htons(ETH_P_IP)) {
		flaw = parse_ipv4(&frame, AT_IP, packet);
		if (flaw != UNDECIDED)
			return flaw;
		if (has_ports(packet->protocol))
			return parse_transport(&frame, AT_TRANSPORT4, packet);
		return packet->protocol == IPPROTO_ICMP ? parse_icmp4(&frame, AT_TRANSPORT4, packet) : UNDECIDED;
	}
	if (ethernet->type == bpf_htons(ETH_P_IPV6)) {
		flaw = parse_ipv6(&frame, AT_IP, packet);
		if (flaw != UNDECIDED)
			return flaw;
		if (has_ports(packet->protocol))
			return parse_transport(&frame, AT_TRANSPORT6, packet);
		if (packet->protocol == IPPROTO_ICMPV6)
			return parse_icmp6(&frame, AT_TRANSPORT6, packet);
		return is_extension_header(packet->protocol) ? parse_extended_ipv6(ctx, packet) : UNDECIDED;
	}
	return VERDICT_PASSED_NOT_IP;
}

static __always_inline decision parse(struct xdp_md *ctx, struct packet *packet)
{
	struct ethernet *ethernet = frame_at(ctx, 0);

	if (ends_before(ctx, ethernet + 1))
		return VERDICT_PASSED_NOT_IP;
	if ((*(__u64 *)ethernet & NEXT_HOP_MAC) != uplink.mac)
		return VERDICT_PASSED_OTHER_HOST;
	if (is_vlan(ethernet->type))
		remove_tags(ctx, packet);
	return parse_ip(ctx, packet);
}

static __noinline enum verdict answer_too_big(struct xdp_md *ctx, const struct packet *packet, __u32 mtu)
{
	if (packet->icmp_error)
		return VERDICT_DROPPED_TOO_BIG;
	return packet->family == 4 ? answer_too_big4(ctx, packet, mtu) : answer_too_big6(ctx, packet, mtu);
}

/*
 * The index of the counter of (service, backend). A service that moved to another pool has counters for the backends of
 * both pools, because older flows stay with their backends. PAIR_NONE: the backend is of neither.
 */
static __always_inline __u64 pair_of(const struct service *service, const struct backend *backend)
{
	__u64 binding = service->binding, before = service->before;

	if (!is_moved(service) || backend->pool == (__u16)binding)
		return (binding >> 32) + backend->pair;
	if (backend->pool != (__u16)before || backend->pair >= service->pair_count_before)
		return PAIR_NONE;
	return (before >> 32) + backend->pair;
}

/* Steps choose and send, for an admitted packet of a service. */
static __always_inline enum verdict forward(struct xdp_md *ctx, struct packet *packet, __u64 service_id)
{
	struct service *service = element(services, service_id);
	__u64 number, hash, next_hop, path, overhead;
	struct backend *backend;

	/* A service may have no table: choose_backend() finds no backend then. But its pool must exist. */
	if (!service || (!table_size(service->table) && !element(pools, pool_of(service))))
		return VERDICT_DROPPED_INVALID_STATE;
	hash = hash_packet(packet, HASH_FLOW);
	number = choose_backend(packet, service, service_id, hash);
	if (number == BACKEND_RESET)
		return answer_reset(ctx, packet);
	backend = number ? element(backends, number) : NULL;
	if (!backend)
		return VERDICT_DROPPED_NO_BACKEND;
	next_hop = READ_ONCE(backend->next_hop);
	if (!(next_hop & BACKEND_USABLE))
		return VERDICT_DROPPED_NO_BACKEND;
	if (!(next_hop & NEXT_HOP_RESOLVED))
		return VERDICT_DROPPED_NO_NEXT_HOP;
	path = READ_ONCE(backend->path);
	overhead = outer_length(next_hop);
	if (path_mtu(path) <= overhead)
		return VERDICT_DROPPED_INVALID_STATE;
	if (packet->length + overhead > path_mtu(path))
		return answer_too_big(ctx, packet, path_mtu(path) - overhead);

	packet->pair = pair_of(service, backend);
	packet->flow_hash = hash;
	return encapsulate(ctx, packet, backend, next_hop, path);
}

static __always_inline enum verdict process(struct xdp_md *ctx, struct packet *packet)
{
	__u64 service = SERVICE_NONE;
	decision verdict = parse(ctx, packet);

	if (verdict != UNDECIDED)
		return verdict_class(verdict) == VERDICT_CLASS_PASSED ? verdict : drop_if_for_vip(packet, verdict);
	verdict = match(packet, &service);
	if (verdict != UNDECIDED)
		return verdict;
	verdict = admit(packet);
	if (verdict != UNDECIDED)
		return verdict;
	if (packet->kind == PACKET_ICMP_ECHO)
		return packet->family == 4 ? answer_echo4(ctx, packet) : answer_echo6(ctx, packet);
	if (packet->kind == PACKET_ICMP_ERROR) {
		verdict = admit_icmp_error(ctx, packet, &service);
		if (verdict != UNDECIDED)
			return verdict;
	}
	return service ? forward(ctx, packet, service) : answer_unserved(ctx, packet);
}

static __always_inline struct packet *begin_packet(struct xdp_md *ctx)
{
	struct packet *packet = element(packets, 0);

	if (packet)
		*packet = (struct packet){ .frame_length = bpf_xdp_get_buff_len(ctx), .transport_flaw = UNDECIDED };
	return packet;
}

/* Counts a packet under its verdict. Returns the XDP action. */
static __always_inline int end_packet(const struct packet *packet, enum verdict verdict)
{
	enum verdict_class class = verdict_class(verdict);

	count_verdict(verdict, packet->frame_length);
	if (class == VERDICT_CLASS_FORWARDED)
		count_pair(packet->pair, packet->frame_length);
	if (class == VERDICT_CLASS_DROPPED)
		return XDP_DROP;
	return class == VERDICT_CLASS_PASSED ? XDP_PASS : XDP_TX;
}

/* Parses the packet anew: were its fields kept, the fast path would have to spill them for packets that do not need it. */
static __noinline int forward_admitted(struct xdp_md *ctx, __u64 service_id)
{
	struct packet *packet = begin_packet(ctx);
	decision verdict;

	if (!packet)
		return XDP_ABORTED;
	verdict = parse_ip(ctx, packet);
	return end_packet(packet, verdict == UNDECIDED ? forward(ctx, packet, service_id) : verdict);
}

/* The general path: takes any packet, and counts its verdict. Returns an XDP action. */
static __noinline int take_general_path(struct xdp_md *ctx)
{
	struct packet *packet = begin_packet(ctx);
	enum verdict verdict;

	if (!packet)
		return XDP_ABORTED;
	verdict = process(ctx, packet);
	if (verdict_class(verdict) != VERDICT_CLASS_DROPPED && packet->tag_count && restore_tags(ctx, packet))
		verdict = VERDICT_DROPPED_ENCAPSULATION;
	return end_packet(packet, verdict);
}

static __always_inline int take_path(struct xdp_md *ctx, const int subtracts)
{
	int action = constants.general_only ? TAKE_GENERAL_PATH : take_fast_path(ctx, subtracts);

	return action == TAKE_GENERAL_PATH ? take_general_path(ctx) : action;
}

SEC("xdp")
int forwarder(struct xdp_md *ctx)
{
	return take_path(ctx, 1);
}

/* The program that is loaded without CAP_PERFMON. The verifier then refuses to subtract packet pointers. */
SEC("?xdp")
int forwarder_restricted(struct xdp_md *ctx)
{
	return take_path(ctx, 0);
}

/* Returns the packet path's time. The daemon reads it by a test run. */
SEC("xdp")
int read_clock(struct xdp_md *ctx)
{
	return now_tick();
}

struct slot_walk {
	__u64 first;
	__u64 sum;
};

static long add_slot(__u32 index, struct slot_walk *walk)
{
	__u64 at = walk->first + index;
	__u64 *slot = element(slots, at), *hot = element(hot_slots, at >> 1);

	if (!slot || !hot)
		return 1;
	walk->sum = slot_sum(walk->sum, *slot, hot_slot_in(*hot, at));
	return 0;
}

/*
 * Adds up a run of slots and their hot slots. By this the daemon verifies what it wrote: it makes a test run with a
 * struct slot_run as the frame, which is faster than a system call for each slot.
 */
SEC("xdp")
int sum_slots(struct xdp_md *ctx)
{
	struct slot_walk walk = {};
	struct slot_run run;

	if (bpf_xdp_load_bytes(ctx, 0, &run, sizeof(run)))
		return XDP_ABORTED;
	walk.first = run.first;
	if (bpf_loop(run.count, add_slot, &walk, 0) != run.count)
		return XDP_ABORTED;
	return bpf_xdp_store_bytes(ctx, 0, &walk.sum, sizeof(walk.sum)) ? XDP_ABORTED : XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
