/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* Counts of frames and their octets. */
#ifndef SLUICE_COUNTER_H
#define SLUICE_COUNTER_H

#include "forwarding_abi.h"

static __always_inline void add(struct counter *counter, __u64 frame_length)
{
	counter->packets++;
	counter->bytes += frame_length;
}

#endif
