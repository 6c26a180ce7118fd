/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* What became of a packet: counted once, then turned into an XDP action. */
#ifndef SLUICE_VERDICT_H
#define SLUICE_VERDICT_H

#include "maps.h"
#include "packet.h"

static __always_inline int is_passed(enum verdict verdict)
{
	return verdict >= VERDICT_PASSED_NOT_IP && verdict <= VERDICT_PASSED_UNSERVED;
}

static __always_inline int is_sent(enum verdict verdict)
{
	return verdict == VERDICT_FORWARDED ||
	       (verdict >= VERDICT_ANSWERED_ECHO && verdict <= VERDICT_ANSWERED_UNSERVED);
}

static __always_inline void add(struct counter *counter, const struct packet *packet)
{
	counter->packets++;
	counter->bytes += packet->frame_length;
}

static __always_inline void count_verdict(enum verdict verdict, const struct packet *packet)
{
	struct counter *counter = element(verdicts, verdict);

	if (counter)
		add(counter, packet);
}

/* Beyond every pair counter. */
#define PAIR_NONE 0xffffffff

static __always_inline void count_pair(__u32 pair, const struct packet *packet)
{
	struct counter *counter = element(pair_counters, pair);

	if (counter)
		add(counter, packet);
}

/* The network of the packet's source: a /24 of IPv4 or a /48 of IPv6. */
static __always_inline __u64 source_network(const struct packet *packet)
{
	__u64 address = *(const __u64 *)packet->client;

	return address & (packet->family == 4 ? 0xffffff : 0xffffffffffff);
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
