/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Lowers the MSS that a backend announces for its VIPs, at the egress of the interface that tunnels end at. A client's
 * segments are as large as the SYN-ACK allows, and the balancer adds the outer header to them. The balancer never sees
 * the SYN-ACK, because backends answer clients directly.
 *
 * Other packets pass unread but for their headers. The program writes by helper functions only: see probe.bpf.c.
 */
#define SLUICE_TC
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

#include "backend_vips.h"
#include "parse.h"

#define AT_TCP_DATA_OFFSET 12
#define AT_TCP_CHECKSUM 16
#define TCP_OPTIONS_MAX 40
#define TCP_OPTION_END 0
#define TCP_OPTION_NOP 1
#define TCP_OPTION_MSS 2
#define TCP_OPTION_MSS_LENGTH 4

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct mss_limits);
	__uint(max_entries, 1);
} mss_limits SEC(".maps");

/* Segments whose MSS was lowered. Program writes. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, 1);
} mss_lowered SEC(".maps");

/* The fields have eight octets for the reason that struct packet states. */
struct option_walk {
	struct __sk_buff *skb;
	__u64 at;		/* of the next option, from the start of the frame */
	__u64 end;		/* of the TCP header */
	__u64 mss;		/* where the MSS is; 0: not found */
};

/*
 * Steps over an option; 1 ends the walk. Options that contradict their lengths end it, too: the client ignores what
 * follows.
 */
static long step_over_option(__u32 index, struct option_walk *walk)
{
	__u64 option = 0, kind, length;

	if (walk->at + 1 >= walk->end || bpf_skb_load_bytes(walk->skb, walk->at, &option, 2))
		return 1;
	kind = option & 0xff;
	length = option >> 8;
	if (kind == TCP_OPTION_MSS && length == TCP_OPTION_MSS_LENGTH && walk->at + length <= walk->end)
		walk->mss = walk->at + 2;
	if (kind == TCP_OPTION_NOP)
		length = 1;
	walk->at += length;
	return kind == TCP_OPTION_END || kind == TCP_OPTION_MSS || (kind != TCP_OPTION_NOP && length < 2);
}

/* Where the MSS is among the options from `at` to `end`, or 0. By bpf_loop(), whose body is verified once. */
static __always_inline __u64 find_mss(struct __sk_buff *skb, __u64 at, __u64 end)
{
	struct option_walk walk = { .skb = skb, .at = at, .end = end };

	bpf_loop(TCP_OPTIONS_MAX, step_over_option, &walk, 0);
	return walk.mss;
}

/*
 * Replaces the MSS at `at`. Where it is at an odd offset of the TCP header, its octets are in two words of the
 * checksum, each in the other half.
 */
static __always_inline long replace_mss(struct __sk_buff *skb, __u64 transport, __u64 at, __u64 from, __u64 to)
{
	__u64 checksum = transport + AT_TCP_CHECKSUM, is_odd = (at - transport) & 1;
	__u64 value = bpf_htons(to);

	from = bpf_htons(from);
	to = value;
	if (is_odd) {
		from = from >> 8 | (from & 0xff) << 8;
		to = to >> 8 | (to & 0xff) << 8;
	}
	return bpf_l4_csum_replace(skb, checksum, from, to, 2) ?: bpf_skb_store_bytes(skb, at, &value, 2, 0);
}

static __noinline int lower_mss(struct __sk_buff *skb, __u64 transport, __u64 end, __u64 limit)
{
	__u64 at = find_mss(skb, transport + TCP_HEADER_LENGTH, end), value = 0, key = 0, *count;

	if (!at || bpf_skb_load_bytes(skb, at, &value, 2))
		return 0;
	value = bpf_ntohs(value);
	if (value <= limit || replace_mss(skb, transport, at, value, limit))
		return 0;
	count = bpf_map_lookup_elem(&mss_lowered, &key);
	if (count)
		++*count;
	return 0;
}

/* Where the TCP header begins, or 0: the packet has none, or other headers before it. */
static __always_inline __u64 find_tcp(struct __sk_buff *skb, struct packet *packet)
{
	struct frame frame = read_frame(skb);

	if (skb->protocol == bpf_htons(ETH_P_IP))
		return parse_ipv4(&frame, AT_IP, packet) == UNDECIDED && packet->protocol == IPPROTO_TCP ? AT_TRANSPORT4
													  : 0;
	if (skb->protocol != bpf_htons(ETH_P_IPV6))
		return 0;
	return parse_ipv6(&frame, AT_IP, packet) == UNDECIDED && packet->protocol == IPPROTO_TCP ? AT_TRANSPORT6 : 0;
}

SEC("tc")
int clamp_mss(struct __sk_buff *skb)
{
	struct packet packet = {};
	__u64 transport = find_tcp(skb, &packet), header = 0, key = 0, ipv4, ipv6;
	const struct mss_limits *limits;

	/* Data offset and flags. By a helper function: the offset varies, which the verifier refuses in pointers. */
	if (!transport || bpf_skb_load_bytes(skb, transport + AT_TCP_DATA_OFFSET, &header, 2))
		return TC_ACT_UNSPEC;
	if (!(header >> 8 & TCP_FLAGS_SYN) || !is_vip(packet.client, packet.family))
		return TC_ACT_UNSPEC;
	limits = bpf_map_lookup_elem(&mss_limits, &key);
	if (limits) {
		/* Both, by loads that stay: a choice of the field would become a pointer with an offset that varies. */
		ipv4 = *(const volatile __u32 *)&limits->ipv4;
		ipv6 = *(const volatile __u32 *)&limits->ipv6;
		lower_mss(skb, transport, transport + (header >> 4 & 0xf) * 4, packet.family == 4 ? ipv4 : ipv6);
	}
	return TC_ACT_UNSPEC;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
