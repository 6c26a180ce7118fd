/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * The backend's end of the tunnel: takes the outer IPv4 or IPv6 header off what a balancer sent, and hands the inner
 * packet to this host's stack, as if the client had sent it here. Only the outer sources that are listed may do so,
 * only for listed VIPs: otherwise any host could bring any packet past the filters in front of the balancers. (An echo
 * request to the tunnel's own end is taken out, too: it tells a balancer that this works.) Nor does an inner packet pass
 * that no service can have: of another protocol than TCP, UDP and ICMP, or from an address that this host would answer
 * to itself, which can go on for ever.
 *
 * One body, two programs: XDP, and tc for interfaces whose driver has no XDP. The outer IPv4 header's checksum is
 * not verified, as in any tunnel receiver behind XDP: a corrupted one reaches us only if a NIC lets it through, and
 * what it can do is bounded by the checks below. The inner checksums are verified by the stack as usual.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "decapsulation_abi.h"

#define IPV4_FRAGMENT_MASK 0x3fff	/* "more fragments" and the offset */
#define IPV6_NEXT_HOP_BY_HOP 0
#define IPV6_NEXT_ROUTING 43
#define IPV6_NEXT_FRAGMENT 44
#define IPV6_NEXT_AUTHENTICATION 51
#define IPV6_NEXT_DESTINATION_OPTIONS 60

/* As many as the forwarder walks. */
#define EXTENSION_HEADERS_MAX 6

#define ICMP4_ECHO_REQUEST 8
#define ICMP6_ECHO_REQUEST 128

#define ECN_MASK 3
#define ECN_NOT_CAPABLE 0
#define ECN_CAPABLE_1 1
#define ECN_CAPABLE_0 2
#define ECN_CONGESTED 3

/* Kernel 6.3; the build machine's headers may be older. */
#define ADJUST_ROOM_DECAP_L3_IPV4 (1ull << 7)
#define ADJUST_ROOM_DECAP_L3_IPV6 (1ull << 8)

/* This host's addresses, without the VIPs: where tunnels end, and others. ADDRESS_… flags. sluice-backend writes. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct host_address);
	__type(value, __u32);
	__uint(max_entries, 1024);
} tunnel_addresses SEC(".maps");

/* Inner destinations. sluice-backend writes. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct host_address);
	__type(value, __u32);
	__uint(max_entries, 4096);
} vips SEC(".maps");

/* Outer sources. sluice-backend writes. */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct source_prefix4);
	__type(value, __u32);
	__uint(max_entries, 1024);
} sources4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct source_prefix6);
	__type(value, __u32);
	__uint(max_entries, 1024);
} sources6 SEC(".maps");

/* Frames by enum decapsulation_verdict. Programs write. In tc, a train that GRO joined counts as one. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct counter);
	__uint(max_entries, DECAPSULATION_VERDICT_COUNT);
} verdicts SEC(".maps");

/*
 * Numbers on the stack are written in whole words of eight octets: without CAP_PERFMON, Linux 6.1 refuses to write a
 * part of a word that it takes for a spilled register.
 */

/* A frame under examination, and what is to be done to it. */
struct tunnelled {
	__u64 frame_length;	/* Ethernet header included; may exceed what the bounds enclose */
	__u64 outer_length;	/* octets to remove after the Ethernet header */
	__u64 outer_type;	/* Ethernet types, network order */
	__u64 inner_type;
	__u64 sum_change;	/* what the inner IPv6 header's new ECN field adds to a sum over the frame */
	__u64 extension;	/* not 0: HAS_EXTENSION and the number of the inner packet's first extension header */
};

#define HAS_EXTENSION 0x100

/* A struct host_address or source_prefix6. */
struct wide_key {
	__u64 head[2];
	__u32 tail;
};

/* The word that has these halves in memory, in this order. */
static __always_inline __u64 word_of(__u32 first, __u32 second)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return first | (__u64)second << 32;
#else
	return (__u64)first << 32 | second;
#endif
}

static __always_inline int carries_ip(__u8 protocol)
{
	return protocol == IPPROTO_IPIP || protocol == IPPROTO_IPV6;
}

static __always_inline struct wide_key host_address4(__be32 address)
{
	return (struct wide_key){ .head = { word_of(address, 0), 0 }, .tail = 4 };
}

static __always_inline struct wide_key host_address6(const struct in6_addr *address)
{
	const __be32 *words = address->in6_u.u6_addr32;

	return (struct wide_key){ .head = { word_of(words[0], words[1]), word_of(words[2], words[3]) }, .tail = 6 };
}

static __always_inline struct wide_key source_host6(const struct in6_addr *address)
{
	const __be32 *words = address->in6_u.u6_addr32;

	return (struct wide_key){ .head = { word_of(128, words[0]), word_of(words[1], words[2]) }, .tail = words[3] };
}

/* The inner header's ECN field after its way inside this outer header (RFC 6040 §4.2), or -1: drop. */
static __always_inline int merge_ecn(__u8 outer, __u8 inner)
{
	outer &= ECN_MASK;
	inner &= ECN_MASK;
	if (inner == ECN_NOT_CAPABLE)
		return outer == ECN_CONGESTED ? -1 : ECN_NOT_CAPABLE;
	if (outer == ECN_CONGESTED)
		return ECN_CONGESTED;
	if (outer == ECN_CAPABLE_1 && inner == ECN_CAPABLE_0)
		return ECN_CAPABLE_1;
	return inner;
}

/* Sets the ECN bits and corrects the header's checksum for it (RFC 1624, equation 3). */
static __always_inline void set_ecn4(struct iphdr *ip, __u8 ecn)
{
	__u8 tos = (ip->tos & ~ECN_MASK) | ecn;
	__u32 sum;

	sum = (__u16)~bpf_ntohs(ip->check) + (__u32)(__u16)~(__u16)ip->tos + tos;
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	ip->check = bpf_htons(~sum);
	ip->tos = tos;
}

static __always_inline int ends_tunnels(const struct wide_key *address)
{
	const __u32 *flags = bpf_map_lookup_elem(&tunnel_addresses, address);

	return flags && *flags & ADDRESS_ENDS_TUNNELS;
}

/* Whether this host would take what it sends to an address for its own. */
static __always_inline int is_own(const struct wide_key *address)
{
	return bpf_map_lookup_elem(&vips, address) || bpf_map_lookup_elem(&tunnel_addresses, address);
}

/* This network, loopback, multicast, reserved, broadcast; own. */
static __always_inline int is_refused_source4(__be32 address)
{
	struct wide_key source = host_address4(address);
	__u8 first = address;

	return first == 0 || first == 127 || first >= 224 || is_own(&source);
}

/* Unspecified, loopback, IPv4-mapped, multicast; own. */
static __always_inline int is_refused_source6(const struct in6_addr *address)
{
	const __be32 *words = address->in6_u.u6_addr32;
	struct wide_key source = host_address6(address);

	if ((words[0] & bpf_htonl(0xff000000)) == bpf_htonl(0xff000000))
		return 1;
	if (!words[0] && !words[1] &&
	    ((!words[2] && bpf_ntohl(words[3]) <= 1) || words[2] == bpf_htonl(0xffff)))
		return 1;
	return is_own(&source);
}

static __always_inline int is_extension_header(__u64 next)
{
	return next == IPV6_NEXT_HOP_BY_HOP || next == IPV6_NEXT_ROUTING || next == IPV6_NEXT_FRAGMENT ||
	       next == IPV6_NEXT_AUTHENTICATION || next == IPV6_NEXT_DESTINATION_OPTIONS;
}

static __always_inline int is_served6(__u64 protocol)
{
	return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || protocol == IPPROTO_ICMPV6;
}

/*
 * A packet to a VIP; or an echo request to an address that tunnels end at, by which a balancer finds out that they do
 * (`sluice check run`). The latter anybody may send without a tunnel, too.
 */
static __always_inline int is_for_us(const struct wide_key *destination, __u64 is_echo_request)
{
	if (bpf_map_lookup_elem(&vips, destination))
		return 1;
	return is_echo_request && ends_tunnels(destination);
}

/*
 * `payload`: octets that the outer header leaves; the frame is known to hold them. A function of its own in BPF too:
 * in one large function the compiler spills numbers over pointers, refused without CAP_PERFMON.
 */
static __noinline enum decapsulation_verdict check_inner4(struct tunnelled *frame, struct iphdr *ip, void *end,
							 __u32 payload, __u8 outer_ecn)
{
	const __u8 *type = (void *)(ip + 1);
	struct wide_key destination;
	__u64 is_echo_request = 0;
	__u32 length;
	int ecn;

	if ((void *)(ip + 1) > end)
		return DECAPSULATION_DROPPED_MALFORMED;
	length = bpf_ntohs(ip->tot_len);
	if (ip->version != 4 || ip->ihl < 5 || length < ip->ihl * 4u || length > payload)
		return DECAPSULATION_DROPPED_MALFORMED;
	if (ip->ihl == 5 && ip->protocol == IPPROTO_ICMP && (void *)(type + 1) <= end)
		is_echo_request = *type == ICMP4_ECHO_REQUEST;
	destination = host_address4(ip->daddr);
	if (!is_for_us(&destination, is_echo_request))
		return DECAPSULATION_DROPPED_UNKNOWN_VIP;
	if (is_refused_source4(ip->saddr))
		return DECAPSULATION_DROPPED_INNER_SOURCE;
	if (ip->protocol != IPPROTO_TCP && ip->protocol != IPPROTO_UDP && ip->protocol != IPPROTO_ICMP)
		return DECAPSULATION_DROPPED_INNER_PROTOCOL;
	ecn = merge_ecn(outer_ecn, ip->tos);
	if (ecn < 0)
		return DECAPSULATION_DROPPED_CONGESTION;
	if (ecn != (ip->tos & ECN_MASK))
		set_ecn4(ip, ecn);
	frame->inner_type = bpf_htons(ETH_P_IP);
	return DECAPSULATION_DECAPSULATED;
}

static __noinline enum decapsulation_verdict check_inner6(struct tunnelled *frame, struct ipv6hdr *ip, void *end,
							 __u32 payload, __u8 outer_ecn)
{
	const __u8 *type = (void *)(ip + 1);
	struct wide_key destination;
	__u64 is_echo_request = 0;
	__be32 before, after;
	__u32 word;
	int ecn;

	if ((void *)(ip + 1) > end)
		return DECAPSULATION_DROPPED_MALFORMED;
	if (ip->version != 6 || sizeof(*ip) + bpf_ntohs(ip->payload_len) > payload)
		return DECAPSULATION_DROPPED_MALFORMED;
	if (ip->nexthdr == IPPROTO_ICMPV6 && (void *)(type + 1) <= end)
		is_echo_request = *type == ICMP6_ECHO_REQUEST;
	destination = host_address6(&ip->daddr);
	if (!is_for_us(&destination, is_echo_request))
		return DECAPSULATION_DROPPED_UNKNOWN_VIP;
	if (is_refused_source6(&ip->saddr))
		return DECAPSULATION_DROPPED_INNER_SOURCE;
	if (is_extension_header(ip->nexthdr))
		frame->extension = HAS_EXTENSION | ip->nexthdr;
	else if (!is_served6(ip->nexthdr))
		return DECAPSULATION_DROPPED_INNER_PROTOCOL;
	/* Version, traffic class (ECN: its low two bits), flow label. */
	__builtin_memcpy(&before, ip, sizeof(before));
	word = bpf_ntohl(before);
	ecn = merge_ecn(outer_ecn, word >> 20);
	if (ecn < 0)
		return DECAPSULATION_DROPPED_CONGESTION;
	after = bpf_htonl((word & ~(ECN_MASK << 20)) | (__u32)ecn << 20);
	__builtin_memcpy(ip, &after, sizeof(after));
	frame->sum_change = before == after ? 0 : (__u64)(__u32)~before + after;
	frame->inner_type = bpf_htons(ETH_P_IPV6);
	return DECAPSULATION_DECAPSULATED;
}

/* `outer_length` is a constant where this is inlined: no packet offset varies. */
static __always_inline enum decapsulation_verdict check_inner(struct tunnelled *frame, void *data, void *end,
							      __u32 outer_length, __u8 protocol, __u32 payload,
							      __u8 outer_ecn)
{
	void *inner = data + sizeof(struct ethhdr) + outer_length;

	if (sizeof(struct ethhdr) + outer_length + payload > frame->frame_length)
		return DECAPSULATION_DROPPED_MALFORMED;
	frame->outer_length = outer_length;
	return protocol == IPPROTO_IPIP ? check_inner4(frame, inner, end, payload, outer_ecn)
					: check_inner6(frame, inner, end, payload, outer_ecn);
}

static __always_inline enum decapsulation_verdict examine4(struct tunnelled *frame, void *data, void *end)
{
	struct iphdr *ip = data + sizeof(struct ethhdr);
	__u64 source;
	struct wide_key destination;
	__u32 length;

	if ((void *)(ip + 1) > end || !carries_ip(ip->protocol))
		return DECAPSULATION_PASSED_NOT_TUNNELLED;
	destination = host_address4(ip->daddr);
	if (!ends_tunnels(&destination))
		return DECAPSULATION_PASSED_OTHER_DESTINATION;
	source = word_of(32, ip->saddr);
	if (!bpf_map_lookup_elem(&sources4, &source))
		return DECAPSULATION_DROPPED_SOURCE;
	if (ip->version != 4 || ip->ihl < 5)
		return DECAPSULATION_DROPPED_MALFORMED;
	if (ip->ihl > 5)
		return DECAPSULATION_DROPPED_OUTER_OPTIONS;
	if (ip->frag_off & bpf_htons(IPV4_FRAGMENT_MASK))
		return DECAPSULATION_DROPPED_OUTER_FRAGMENT;
	length = bpf_ntohs(ip->tot_len);
	if (length < sizeof(*ip))
		return DECAPSULATION_DROPPED_MALFORMED;
	return check_inner(frame, data, end, sizeof(*ip), ip->protocol, length - sizeof(*ip), ip->tos);
}

/* What an extension header between the outer header and the carried packet makes of it. */
static __always_inline enum decapsulation_verdict examine_extension(void *data, void *end, __u8 protocol)
{
	/* The first octet of each of these is the next header's number. */
	__u8 *next = data + sizeof(struct ethhdr) + sizeof(struct ipv6hdr);

	if (protocol != IPV6_NEXT_HOP_BY_HOP && protocol != IPV6_NEXT_ROUTING && protocol != IPV6_NEXT_FRAGMENT &&
	    protocol != IPV6_NEXT_DESTINATION_OPTIONS)
		return DECAPSULATION_PASSED_NOT_TUNNELLED;
	if ((void *)(next + 1) > end || !carries_ip(*next))
		return DECAPSULATION_PASSED_NOT_TUNNELLED;
	return protocol == IPV6_NEXT_FRAGMENT ? DECAPSULATION_DROPPED_OUTER_FRAGMENT
					      : DECAPSULATION_DROPPED_OUTER_OPTIONS;
}

static __always_inline enum decapsulation_verdict examine6(struct tunnelled *frame, void *data, void *end)
{
	struct ipv6hdr *ip = data + sizeof(struct ethhdr);
	enum decapsulation_verdict verdict = DECAPSULATION_DECAPSULATED;
	struct wide_key source;
	struct wide_key destination;
	__u8 traffic_class;

	if ((void *)(ip + 1) > end)
		return DECAPSULATION_PASSED_NOT_TUNNELLED;
	if (!carries_ip(ip->nexthdr)) {
		verdict = examine_extension(data, end, ip->nexthdr);
		if (verdict == DECAPSULATION_PASSED_NOT_TUNNELLED)
			return verdict;
	}
	destination = host_address6(&ip->daddr);
	if (!ends_tunnels(&destination))
		return DECAPSULATION_PASSED_OTHER_DESTINATION;
	source = source_host6(&ip->saddr);
	if (!bpf_map_lookup_elem(&sources6, &source))
		return DECAPSULATION_DROPPED_SOURCE;
	if (verdict != DECAPSULATION_DECAPSULATED)
		return verdict;
	if (ip->version != 6)
		return DECAPSULATION_DROPPED_MALFORMED;
	traffic_class = ip->priority << 4 | ip->flow_lbl[0] >> 4;
	return check_inner(frame, data, end, sizeof(*ip), ip->nexthdr, bpf_ntohs(ip->payload_len), traffic_class);
}

/* DECAPSULATION_DECAPSULATED: the caller is to remove the outer header. Changes nothing but the inner ECN field. */
static __always_inline enum decapsulation_verdict examine(struct tunnelled *frame, void *data, void *end)
{
	struct ethhdr *ethernet = data;

	if ((void *)(ethernet + 1) > end)
		return DECAPSULATION_PASSED_NOT_IP;
	frame->outer_type = ethernet->h_proto;
	if (ethernet->h_proto == bpf_htons(ETH_P_IP))
		return examine4(frame, data, end);
	if (ethernet->h_proto == bpf_htons(ETH_P_IPV6))
		return examine6(frame, data, end);
	return DECAPSULATION_PASSED_NOT_IP;
}

/* Counts the frame under its verdict. Whether it goes on to the stack. */
static __always_inline int count(enum decapsulation_verdict verdict, __u32 frame_length)
{
	__u32 key = verdict;
	struct counter *counter = bpf_map_lookup_elem(&verdicts, &key);

	if (counter) {
		counter->packets++;
		counter->bytes += frame_length;
	}
	return verdict <= DECAPSULATION_PASSED_OTHER_DESTINATION;
}

/* Over the inner packet's extension headers. Words of eight octets. */
struct header_walk {
	void *ctx;
	__u64 offset;		/* in the frame */
	__u64 next;
};

/* Steps over the header that begins with these octets. */
static __always_inline void step_over(struct header_walk *walk, const __u8 *header)
{
	if (walk->next == IPV6_NEXT_FRAGMENT)
		walk->offset += 8;
	else if (walk->next == IPV6_NEXT_AUTHENTICATION)
		walk->offset += (header[1] + 2) * 4;
	else
		walk->offset += (header[1] + 1) * 8;
	walk->next = header[0];
}

/* One step; 1 ends the walk. A program of a type can only call its own function to load octets. */
static long step_xdp(__u32 index, struct header_walk *walk)
{
	__u8 header[2];

	if (!is_extension_header(walk->next) || bpf_xdp_load_bytes(walk->ctx, walk->offset, header, sizeof(header)))
		return 1;
	step_over(walk, header);
	return 0;
}

static long step_tc(__u32 index, struct header_walk *walk)
{
	__u8 header[2];

	if (!is_extension_header(walk->next) || bpf_skb_load_bytes(walk->ctx, walk->offset, header, sizeof(header)))
		return 1;
	step_over(walk, header);
	return 0;
}

static __always_inline struct header_walk begin_walk(void *ctx, const struct tunnelled *frame)
{
	return (struct header_walk){
		.ctx = ctx,
		.offset = sizeof(struct ethhdr) + frame->outer_length + sizeof(struct ipv6hdr),
		.next = frame->extension & 0xff,
	};
}

/* The verdict on a packet whose walk has ended. */
static __always_inline enum decapsulation_verdict judge_walk(const struct header_walk *walk)
{
	return is_served6(walk->next) ? DECAPSULATION_DECAPSULATED : DECAPSULATION_DROPPED_INNER_PROTOCOL;
}

static __noinline enum decapsulation_verdict walk_xdp(struct xdp_md *ctx, const struct tunnelled *frame)
{
	struct header_walk walk = begin_walk(ctx, frame);

	bpf_loop(EXTENSION_HEADERS_MAX, step_xdp, &walk, 0);
	return judge_walk(&walk);
}

static __noinline enum decapsulation_verdict walk_tc(struct __sk_buff *skb, const struct tunnelled *frame)
{
	struct header_walk walk = begin_walk(skb, frame);

	bpf_loop(EXTENSION_HEADERS_MAX, step_tc, &walk, 0);
	return judge_walk(&walk);
}

static __always_inline enum decapsulation_verdict remove_outer_xdp(struct xdp_md *ctx, const struct tunnelled *frame)
{
	struct ethhdr *ethernet = (void *)(long)ctx->data;
	struct ethhdr kept;

	if ((void *)(ethernet + 1) > (void *)(long)ctx->data_end)
		return DECAPSULATION_DROPPED_NO_ROOM;
	kept = *ethernet;
	kept.h_proto = frame->inner_type;
	if (bpf_xdp_adjust_head(ctx, frame->outer_length))
		return DECAPSULATION_DROPPED_NO_ROOM;
	ethernet = (void *)(long)ctx->data;
	if ((void *)(ethernet + 1) > (void *)(long)ctx->data_end)
		return DECAPSULATION_DROPPED_NO_ROOM;
	*ethernet = kept;
	return DECAPSULATION_DECAPSULATED;
}

SEC("xdp")
int decapsulate_xdp(struct xdp_md *ctx)
{
	struct tunnelled frame = { .frame_length = bpf_xdp_get_buff_len(ctx) };
	enum decapsulation_verdict verdict = examine(&frame, (void *)(long)ctx->data, (void *)(long)ctx->data_end);

	if (verdict == DECAPSULATION_DECAPSULATED && frame.extension)
		verdict = walk_xdp(ctx, &frame);
	if (verdict == DECAPSULATION_DECAPSULATED)
		verdict = remove_outer_xdp(ctx, &frame);
	return count(verdict, frame.frame_length) ? XDP_PASS : XDP_DROP;
}

/* Removes `length` octets after the Ethernet header where the packet inside is of the other family. */
static __always_inline long shrink_across_families(struct __sk_buff *skb, __s32 length, __be16 inner_type)
{
	const __s32 headers_differ_by = sizeof(struct ipv6hdr) - sizeof(struct iphdr);
	int to_ipv6 = inner_type == bpf_htons(ETH_P_IPV6);
	__u64 flag = to_ipv6 ? ADJUST_ROOM_DECAP_L3_IPV6 : ADJUST_ROOM_DECAP_L3_IPV4;

	if (!bpf_skb_adjust_room(skb, -length, BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_FIXED_GSO | flag))
		return 0;
	/*
	 * Before 6.3 the kernel refuses that flag, and then still takes the packet for one of the outer family. It
	 * believes in the other only after a translation, which adds or removes the difference of the headers.
	 */
	if (bpf_skb_change_proto(skb, inner_type, 0))
		return -1;
	length += to_ipv6 ? headers_differ_by : -headers_differ_by;
	return bpf_skb_adjust_room(skb, -length, BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_FIXED_GSO);
}

static __always_inline enum decapsulation_verdict remove_outer_tc(struct __sk_buff *skb,
								  const struct tunnelled *frame)
{
	__s32 length = frame->outer_length;
	struct ethhdr *ethernet;

	/* Where the NIC summed the whole frame up: the inner IPv6 header has no checksum to make up for the change. */
	if (frame->sum_change)
		bpf_csum_update(skb, (__u32)frame->sum_change + (__u32)(frame->sum_change >> 32));
	if (frame->inner_type == frame->outer_type)
		return bpf_skb_adjust_room(skb, -length, BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_FIXED_GSO)
			       ? DECAPSULATION_DROPPED_NO_ROOM
			       : DECAPSULATION_DECAPSULATED;

	if (shrink_across_families(skb, length, frame->inner_type))
		return DECAPSULATION_DROPPED_NO_ROOM;
	ethernet = (void *)(long)skb->data;
	if ((void *)(ethernet + 1) > (void *)(long)skb->data_end)
		return DECAPSULATION_DROPPED_NO_ROOM;
	ethernet->h_proto = frame->inner_type;
	return DECAPSULATION_DECAPSULATED;
}

/* The headers that examine() may read and write, where the frame has them. */
#define HEADERS_LENGTH (sizeof(struct ethhdr) + 2 * sizeof(struct ipv6hdr))

SEC("tc")
int decapsulate_tc(struct __sk_buff *skb)
{
	struct tunnelled frame = { .frame_length = skb->len };
	enum decapsulation_verdict verdict = DECAPSULATION_PASSED_NOT_IP;

	/* Where this fails the bounds below stay short, and the frame is judged by what is there. */
	bpf_skb_pull_data(skb, frame.frame_length < HEADERS_LENGTH ? frame.frame_length : HEADERS_LENGTH);
	/* A tag that the NIC has taken off belongs to a VLAN device above: the same verdict as by XDP, which sees it. */
	if (!skb->vlan_present)
		verdict = examine(&frame, (void *)(long)skb->data, (void *)(long)skb->data_end);
	if (verdict == DECAPSULATION_DECAPSULATED && frame.extension)
		verdict = walk_tc(skb, &frame);
	if (verdict == DECAPSULATION_DECAPSULATED)
		verdict = remove_outer_tc(skb, &frame);
	return count(verdict, frame.frame_length) ? TC_ACT_UNSPEC : TC_ACT_SHOT;
}

/* Passes all. On veth, a peer transmits from XDP only towards an interface that has a native program. */
SEC("xdp")
int pass(struct xdp_md *ctx)
{
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
