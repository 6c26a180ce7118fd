/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * The forwarder: a packet for a virtual service leaves encapsulated towards the backend that its flow has.
 * docs/packet-path.md tells the story; this file is it.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "encapsulate.h"
#include "forwarding_table.h"
#include "icmp.h"
#include "ipv4.h"
#include "ipv6.h"
#include "maps.h"
#include "packet.h"
#include "reset.h"
#include "service.h"
#include "unserved.h"
#include "verdict.h"
#include "vlan.h"

static __noinline enum verdict answer_too_big(struct xdp_md *ctx, const struct packet *packet, __u32 mtu)
{
	if (packet->icmp_error)
		return VERDICT_DROPPED_TOO_BIG;
	return packet->family == 4 ? answer_too_big4(ctx, packet, mtu) : answer_too_big6(ctx, packet, mtu);
}

/* A flow of the pool that the service had before is counted there; one of any other pool nowhere. */
static __always_inline __u64 pair_before(const struct service *service, const struct backend *backend)
{
	__u64 before = service->before;

	if (backend->pool != (__u16)before || backend->pair >= service->pair_count_before)
		return PAIR_NONE;
	return (before >> 32) + backend->pair;
}

/* A sound packet of a service goes to its backend. */
static __always_inline enum verdict deliver(struct xdp_md *ctx, const struct packet *packet, __u32 service_id)
{
	struct service *service = element(services, service_id);
	__u32 number, hash, overhead;
	struct backend *backend;
	enum verdict verdict;
	__u64 binding, pair, next_hop;
	struct pool *pool;

	if (!service)
		return VERDICT_DROPPED_INVALID_STATE;
	binding = service->binding;
	pool = element(pools, binding);
	if (!pool)
		return VERDICT_DROPPED_INVALID_STATE;
	number = choose_backend(packet, service, service_id, binding, pool, &hash);
	if (!number)
		return VERDICT_DROPPED_NO_BACKEND;
	backend = element(backends, number);
	if (!backend || !is_usable(backend))
		return number == BACKEND_RESET ? answer_reset(ctx, packet) : VERDICT_DROPPED_NO_BACKEND;
	pair = (binding >> 32) + backend->pair;
	if (is_moved(service) && backend->pool != (__u16)binding)
		pair = pair_before(service, backend);
	next_hop = backend->next_hop;
	if (!(next_hop & NEXT_HOP_RESOLVED))
		return VERDICT_DROPPED_NO_NEXT_HOP;

	overhead = backend->family == 4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr);
	if (packet->length + overhead > backend->mtu)
		return backend->mtu < overhead ? VERDICT_DROPPED_INVALID_STATE
					       : answer_too_big(ctx, packet, backend->mtu - overhead);

	if (backend->family == 4)
		verdict = encapsulate_in_ipv4(ctx, packet, backend, next_hop, hash);
	else if (backend->family == 6)
		verdict = encapsulate_in_ipv6(ctx, packet, backend, next_hop, hash);
	else
		verdict = VERDICT_DROPPED_INVALID_STATE;
	if (verdict == VERDICT_FORWARDED)
		count_pair(pair, packet);
	return verdict;
}

static __always_inline enum verdict process(struct xdp_md *ctx, struct packet *packet)
{
	struct ethernet *ethernet = frame_at(ctx, 0);
	__u64 service = SERVICE_NONE;
	enum verdict verdict;

	if (ends_before(ctx, ethernet + 1))
		return VERDICT_PASSED_NOT_IP;
	if ((*(__u64 *)ethernet & 0xffffffffffff) != interface.mac)
		return VERDICT_PASSED_OTHER_HOST;
	if (is_vlan(ethernet->type)) {
		take_tags(ctx, packet);
		ethernet = frame_at(ctx, 0);
		if (ends_before(ctx, ethernet + 1))
			return VERDICT_PASSED_NOT_IP;
	}

	if (ethernet->type == bpf_htons(ETH_P_IP))
		verdict = process_ipv4(ctx, packet, &service);
	else if (ethernet->type == bpf_htons(ETH_P_IPV6))
		verdict = process_ipv6(ctx, packet, &service);
	else
		return VERDICT_PASSED_NOT_IP;

	if (verdict != VERDICT_FORWARDED)
		return verdict;
	return service ? deliver(ctx, packet, service) : answer_unserved(ctx, packet);
}

SEC("xdp")
int forwarder(struct xdp_md *ctx)
{
	struct packet packet = { .frame_length = bpf_xdp_get_buff_len(ctx) };
	enum verdict verdict = process(ctx, &packet);
	int leaves = is_passed(verdict) || is_sent(verdict);

	if (leaves && packet.tag_count && put_tags_back(ctx, &packet)) {
		verdict = VERDICT_DROPPED_ENCAPSULATION;
		leaves = 0;
	}
	count_verdict(verdict, &packet);
	if (!leaves)
		return XDP_DROP;
	return is_sent(verdict) ? XDP_TX : XDP_PASS;
}

/* Tells the daemon the packet path's time, by a test run. */
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
	__u64 *slot = element(slots, walk->first + index);

	if (!slot)
		return 1;
	walk->sum = slot_sum(walk->sum, *slot);
	return 0;
}

/* Tells the daemon, by a test run, what slots hold where packets read them: reading each by a system call takes longer. */
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
