/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* What became of a packet: counted once, then turned into an XDP action. */
#ifndef SLUICE_VERDICT_H
#define SLUICE_VERDICT_H

#include "maps.h"
#include "packet.h"

static __always_inline int is_passed(enum verdict verdict)
{
	return verdict >= VERDICT_PASSED_NOT_IP && verdict <= VERDICT_PASSED_NOT_OURS;
}

static __always_inline int is_sent(enum verdict verdict)
{
	return verdict == VERDICT_FORWARDED ||
	       (verdict >= VERDICT_ANSWERED_ECHO && verdict <= VERDICT_ANSWERED_RESET);
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

/* Whether this CPU may still give an answer of a kind in this tick. */
static __always_inline int within_limit(enum answer answer)
{
	struct budget *budget = element(answer_budgets, answer);
	__u32 now = now_tick();

	if (!budget)
		return 0;
	begin_tick(budget, now);
	if (budget->used >= constants.answers_per_tick)
		return 0;
	budget->used++;
	return 1;
}

#endif
