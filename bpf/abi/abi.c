/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* Compiles the ABI once, natively, with its layout asserted. Swift imports the headers through this target. */
#include <linux/types.h>

#pragma clang diagnostic error "-Wpadded"
#include "forwarding_abi.h"
#include "flow_hash.h"
#include "decapsulation_abi.h"
#include "probing_abi.h"

_Static_assert(sizeof(struct counter) == 16, "counter");
_Static_assert(sizeof(struct service_key4) == 8, "service_key4");
_Static_assert(sizeof(struct service_key6) == 20, "service_key6");
_Static_assert(sizeof(struct service_bucket4) == 32, "two buckets fill a cache line");
_Static_assert(sizeof(struct service_bucket6) == 64, "a bucket fills a cache line");
_Static_assert(sizeof(struct service) == 64, "service fills a cache line");
_Static_assert(sizeof(struct pool) == 16, "pool");
_Static_assert(sizeof(struct backend) == 64, "backend fills a cache line");
_Static_assert(offsetof(struct backend, port6) == offsetof(struct backend, port4) + 2, "the ports are read as one word");
_Static_assert(offsetof(struct backend, port4) % 4 == 0, "an aligned one");
_Static_assert(sizeof(struct outer_source) == 16, "outer_source");
_Static_assert(sizeof(struct slot_run) == 8, "slot_run");
_Static_assert(sizeof(struct flow_key) == 40, "flow_key");
_Static_assert(sizeof(struct flow) == 16, "flow");
_Static_assert(sizeof(struct forwarder_constants) == 120, "forwarder_constants");
_Static_assert(sizeof(struct vip_policy) == 16, "vip_policy");
_Static_assert(sizeof(struct identity) == 136, "identity");
_Static_assert(sizeof(struct layout) == 64, "layout");
_Static_assert(sizeof(struct host_address) == 20, "host_address");
_Static_assert(sizeof(struct source_prefix4) == 8, "source_prefix4");
_Static_assert(sizeof(struct source_prefix6) == 20, "source_prefix6");
_Static_assert(sizeof(struct tunnel_formats) == 8, "tunnel_formats");
_Static_assert(sizeof(struct probe_endpoint) == 24, "probe_endpoint");
_Static_assert(sizeof(struct probe_target) == 56, "probe_target");
