/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * What probes leave by: of the packets that leave the interface, those of a probe's flow go, encapsulated as the
 * forwarder would, to the backend under test. All others pass, at the cost of one lookup.
 *
 * Nothing here writes to the packet directly: for a program that does, the kernel makes every packet writable before
 * it runs, also those that pass.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

#include "backends.h"
#include "flow.h"
#include "outer_header.h"
#include "packet.h"
#include "probing_abi.h"

#define IPV4_FRAGMENT_BITS 0x3fff /* more fragments, offset */
#define PACKET_LENGTH_MAX 0xffff
#define AT_TCP_DATA_OFFSET 12
#define UDP_HEADER_LENGTH 8

/* Flow -> backend. Daemon writes. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct flow_key);
	__type(value, struct probe_target);
	__uint(max_entries, 1024);
} probes SEC(".maps");

/* By enum probe_verdict. Program writes. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, PROBE_VERDICT_COUNT);
} probe_verdicts SEC(".maps");

/* With the Ethernet type in front of it, which the families may differ in. */
struct outer_header {
	__u8 zero[6];
	__be16 type;
	union {
		struct iphdr ipv4;
		struct ipv6hdr ipv6;
	};
};

/*
 * Where a header is written before it goes into the packet. Not the stack: Linux 6.1 refuses, without CAP_PERFMON, to
 * write parts of words there.
 */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct outer_header);
	__uint(max_entries, 1);
} outer_headers SEC(".maps");

/* Reads ports, or what stands for them in an echo request. Returns whether the packet can be a probe's. */
static __always_inline int read_ports(struct packet *packet, const void *transport, const void *end,
				      __u8 echo_protocol, __u8 echo_request)
{
	const struct icmp_header *icmp = transport;

	if (transport + sizeof(*icmp) > end)
		return 0;
	if (packet->protocol == IPPROTO_TCP || packet->protocol == IPPROTO_UDP) {
		packet->ports = *(const __u32 *)transport;
		return 1;
	}
	packet->ports = icmp->rest & 0xffff;
	return packet->protocol == echo_protocol && icmp->type == echo_request;
}

static __always_inline int read_ipv4(struct packet *packet, const void *data, const void *end)
{
	const struct iphdr *ip = data + AT_IP;

	if ((const void *)(ip + 1) > end || *(const __u8 *)ip != 0x45 || ip->frag_off & bpf_htons(IPV4_FRAGMENT_BITS))
		return 0;
	packet->family = 4;
	packet->protocol = ip->protocol;
	packet->traffic_class = ip->tos;
	packet->length = bpf_ntohs(ip->tot_len);
	set_address4(packet->client, ip->saddr);
	set_address4(packet->vip, ip->daddr);
	return read_ports(packet, ip + 1, end, IPPROTO_ICMP, ICMP4_ECHO_REQUEST);
}

static __always_inline int read_ipv6(struct packet *packet, const void *data, const void *end)
{
	const struct ipv6hdr *ip = data + AT_IP;

	if ((const void *)(ip + 1) > end)
		return 0;
	packet->family = 6;
	packet->protocol = ip->nexthdr;
	packet->traffic_class = bpf_ntohl(*(const __be32 *)ip) >> 20;
	packet->length = bpf_ntohs(ip->payload_len) + sizeof(*ip);
	copy_address(packet->client, &ip->saddr);
	copy_address(packet->vip, &ip->daddr);
	return read_ports(packet, ip + 1, end, IPPROTO_ICMPV6, ICMP6_ECHO_REQUEST);
}

/* The largest packet that leaves: of a train, a segment with its headers. */
static __always_inline __u32 largest_packet(struct __sk_buff *skb, const struct packet *packet)
{
	__u32 transport = packet->family == 4 ? AT_TRANSPORT4 : AT_TRANSPORT6, segment = skb->gso_size;
	__u8 data_offset;

	if (!segment)
		return packet->length;
	segment += transport - AT_IP;
	if (packet->protocol != IPPROTO_TCP)
		return segment + UDP_HEADER_LENGTH;
	if (bpf_skb_load_bytes(skb, transport + AT_TCP_DATA_OFFSET, &data_offset, sizeof(data_offset)))
		return PACKET_LENGTH_MAX;
	return segment + (data_offset >> 4) * 4;
}

/*
 * Reads the flag where it stands: kept, it would go to the stack as 32 bits, which Linux 6.1 refuses without
 * CAP_PERFMON.
 */
static __always_inline int is_from_own_address(const struct probe_target *target)
{
	return *(const volatile __u32 *)&target->flags & PROBE_FROM_OWN_ADDRESS;
}

/* In place of the pool's outer source, the packet's own; the checksum follows it (RFC 1624). */
static __always_inline void take_own_source4(struct iphdr *ip, __u32 own)
{
	__u32 pool = ip->saddr;

	ip->check = ~fold((__u32)(__u16)~ip->check + (__u16)~pool + (__u16)~(pool >> 16) + (own & 0xffff) +
			  (own >> 16));
	ip->saddr = own;
}

/* Writes the outer header into `header`. */
static __always_inline void write_outer(struct outer_header *header, const struct packet *packet,
					const struct backend *backend, enum hash_fields hash,
					const struct probe_target *target)
{
	__u32 entropy = is_from_own_address(target) ? 0 : entropy_of(hash_packet(packet, hash));
	struct outer_ipv4 outer;

	if (backend->family == 4) {
		header->type = bpf_htons(ETH_P_IP);
		outer = prepare_ipv4(packet, backend, entropy);
		write_ipv4(&header->ipv4, &outer, packet, backend);
		if (is_from_own_address(target) && packet->family == 4)
			take_own_source4(&header->ipv4, packet->client[0]);
	} else {
		header->type = bpf_htons(ETH_P_IPV6);
		write_ipv6(&header->ipv6, packet, backend, entropy);
		if (is_from_own_address(target) && packet->family == 6)
			copy_address(&header->ipv6.saddr, packet->client);
	}
}

/*
 * Makes room behind the Ethernet header and puts the outer header there. A train's segments stay as long as TCP wants
 * them: they were seen to fit. Returns 0, or less.
 */
static __always_inline long push(struct __sk_buff *skb, const struct outer_header *header, __u8 family)
{
	const int at_type = __builtin_offsetof(struct ethernet, type);

	if (family == 4)
		return bpf_skb_adjust_room(skb, sizeof(header->ipv4), BPF_ADJ_ROOM_MAC,
					   BPF_F_ADJ_ROOM_FIXED_GSO | BPF_F_ADJ_ROOM_ENCAP_L3_IPV4) ?:
		       bpf_skb_store_bytes(skb, at_type, &header->type, sizeof(__be16) + sizeof(header->ipv4), 0);
	return bpf_skb_adjust_room(skb, sizeof(header->ipv6), BPF_ADJ_ROOM_MAC,
				   BPF_F_ADJ_ROOM_FIXED_GSO | BPF_F_ADJ_ROOM_ENCAP_L3_IPV6) ?:
	       bpf_skb_store_bytes(skb, at_type, &header->type, sizeof(__be16) + sizeof(header->ipv6), 0);
}

static __noinline enum probe_verdict send(struct __sk_buff *skb, const struct packet *packet,
					  const struct probe_target *target)
{
	struct backend *backend = element(backends, target->backend);
	struct outer_header *header = element(outer_headers, 0);
	__u32 size = largest_packet(skb, packet);
	struct pool *pool;
	__u64 next_hop;

	if (!backend || !header)
		return PROBE_INVALID;
	if ((__u32)backend->state != target->generation)
		return PROBE_BACKEND_GONE;
	pool = element(pools, backend->pool);
	if (!pool || (backend->family != 4 && backend->family != 6))
		return PROBE_INVALID;
	next_hop = backend->next_hop;
	if (!(next_hop & NEXT_HOP_RESOLVED))
		return PROBE_NO_NEXT_HOP;
	if (size + outer_length(backend) > backend->mtu ||
	    packet->length + outer_length(backend) > PACKET_LENGTH_MAX)
		return PROBE_TOO_BIG;

	write_outer(header, packet, backend, pool->hash, target);
	if (bpf_skb_store_bytes(skb, 0, &next_hop, ETH_ALEN, 0) || push(skb, header, backend->family))
		return PROBE_NO_ROOM;
	return PROBE_SENT;
}

/* TC_ACT_UNSPEC: whoever else looks at what leaves comes next. */
SEC("tc")
int steer_probe(struct __sk_buff *skb)
{
	const void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct probe_target *target;
	enum probe_verdict verdict;
	/* Zeros also where only a mispredicted branch reads: the verifier follows it without CAP_PERFMON. */
	struct packet packet = {};
	struct flow_key key;
	__u64 *count;

	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		if (!read_ipv4(&packet, data, end))
			return TC_ACT_UNSPEC;
	} else if (skb->protocol != bpf_htons(ETH_P_IPV6) || !read_ipv6(&packet, data, end)) {
		return TC_ACT_UNSPEC;
	}
	fill_flow_key(&packet, &key);
	target = bpf_map_lookup_elem(&probes, &key);
	if (!target)
		return TC_ACT_UNSPEC;

	verdict = send(skb, &packet, target);
	count = element(probe_verdicts, verdict);
	if (count)
		++*count;
	return verdict == PROBE_SENT ? TC_ACT_UNSPEC : TC_ACT_SHOT;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
