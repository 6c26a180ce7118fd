/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* What became of a packet, counted once; and limits on answers. */
#ifndef SLUICE_VERDICT_H
#define SLUICE_VERDICT_H

#include "counter.h"
#include "maps.h"
#include "packet.h"

static __always_inline void count_verdict(enum verdict verdict, __u64 frame_length)
{
	struct counter *counter = element(verdicts, verdict);

	if (counter)
		add(counter, frame_length);
}

static __always_inline void count_pair(__u64 pair, __u64 frame_length)
{
	struct counter *counter = element(pair_counters, pair);

	if (counter)
		add(counter, frame_length);
}

/* The network of the packet's source: a /24 of IPv4 or a /48 of IPv6. */
static __always_inline __u64 source_network(const struct packet *packet)
{
	return packet->client[0] & (packet->family == 4 ? 0xffffff : 0xffffffffffff);
}

/*
 * Whether this CPU may still give an answer of a kind in this tick, and its share for packets from this network. A
 * sender cannot know which networks share a bucket with its own: the hash is keyed.
 */
static __noinline int within_limit(enum answer answer, __u64 network)
{
	__u32 hash = flow_hash4(constants.hash_keys, network, network >> 32, 0, 0);
	__u32 bucket = ANSWER_COUNT + answer * ANSWER_BUCKETS + hash_slot(hash, ANSWER_BUCKETS);
	struct budget *all = element(answer_budgets, answer), *own = element(answer_budgets, bucket);
	__u32 now = now_tick();

	if (!all || !own)
		return 0;
	begin_tick(all, now);
	begin_tick(own, now);
	if (all->used >= constants.answers_per_tick || own->used >= constants.answers_per_network)
		return 0;
	all->used++;
	own->used++;
	return 1;
}

#endif
