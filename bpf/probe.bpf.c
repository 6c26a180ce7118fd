/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * What probes leave by and their answers come back by: of the packets that leave the interface, those of a probe go,
 * encapsulated as the forwarder would, to the backend under test. Of the packets that come in, the answers to probes
 * get the source that this host's stack expects. All others pass, at the cost of one lookup.
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
#define AT_IPV4_SOURCE (AT_IP + 12)
#define AT_IPV4_DESTINATION (AT_IP + 16)
#define AT_IPV6_SOURCE (AT_IP + 8)
#define AT_IPV6_DESTINATION (AT_IP + 24)
/* Within the packet that an ICMP error quotes. */
#define AT_QUOTED4 (AT_TRANSPORT4 + 8)
#define AT_QUOTED6 (AT_TRANSPORT6 + 8)
/* The most that is read of what comes in: an ICMPv6 error with what it quotes. */
#define ANSWER_LENGTH_MAX (AT_QUOTED6 + 40 + 8)

/* This host's end of a probe -> backend. Daemon writes; the programs count what they see. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct probe_endpoint);
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

static __always_inline int is_same_address(const struct packet *packet, const __u32 *address)
{
	if (packet->family == 4)
		return packet->vip[0] == address[0];
	return ((const __u64 *)packet->vip)[0] == ((const __u64 *)address)[0] &&
	       ((const __u64 *)packet->vip)[1] == ((const __u64 *)address)[1];
}

/* The probe whose end at this host is the packet's client, or NULL. */
static __always_inline struct probe_target *find_probe(const struct packet *packet)
{
	const volatile __u32 *client = packet->client;
	__u64 key[3];

	/* In words of eight octets: see fill_flow_key(). */
	if (packet->family == 4) {
		key[0] = 0;
		key[1] = bpf_htonl(0xffff) | (__u64)client[0] << 32;
	} else {
		key[0] = client[0] | (__u64)client[1] << 32;
		key[1] = client[2] | (__u64)client[3] << 32;
	}
	key[2] = (packet->ports & 0xffff) | (__u64)packet->protocol << 16;
	return bpf_map_lookup_elem(&probes, key);
}

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

/* Reads an IPv4 packet from its source to its destination. */
static __always_inline int read_ipv4(struct packet *packet, const void *header, const void *end)
{
	const struct iphdr *ip = header;

	if ((const void *)(ip + 1) > end || *(const __u8 *)ip != 0x45 || ip->frag_off & bpf_htons(IPV4_FRAGMENT_BITS))
		return 0;
	packet->family = 4;
	packet->protocol = ip->protocol;
	packet->traffic_class = ip->tos;
	packet->length = bpf_ntohs(ip->tot_len);
	set_address4(packet->client, ip->saddr);
	set_address4(packet->vip, ip->daddr);
	return 1;
}

static __always_inline int read_ipv6(struct packet *packet, const void *header, const void *end)
{
	const struct ipv6hdr *ip = header;

	if ((const void *)(ip + 1) > end)
		return 0;
	packet->family = 6;
	packet->protocol = ip->nexthdr;
	packet->traffic_class = bpf_ntohl(*(const __be32 *)ip) >> 20;
	packet->length = bpf_ntohs(ip->payload_len) + sizeof(*ip);
	copy_address(packet->client, &ip->saddr);
	copy_address(packet->vip, &ip->daddr);
	return 1;
}

/* What may be a packet of a probe, on its way out. */
static __always_inline int read_leaving(struct __sk_buff *skb, struct packet *packet)
{
	const void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;

	if (skb->protocol == bpf_htons(ETH_P_IP))
		return read_ipv4(packet, data + AT_IP, end) &&
		       read_ports(packet, data + AT_TRANSPORT4, end, IPPROTO_ICMP, ICMP4_ECHO_REQUEST);
	return skb->protocol == bpf_htons(ETH_P_IPV6) && read_ipv6(packet, data + AT_IP, end) &&
	       read_ports(packet, data + AT_TRANSPORT6, end, IPPROTO_ICMPV6, ICMP6_ECHO_REQUEST);
}

/* What came in speaks of the flow from the other side. */
static __always_inline void turn_round(struct packet *packet)
{
	__u64 low = ((__u64 *)packet->client)[0], high = ((__u64 *)packet->client)[1];

	((__u64 *)packet->client)[0] = ((__u64 *)packet->vip)[0];
	((__u64 *)packet->client)[1] = ((__u64 *)packet->vip)[1];
	((__u64 *)packet->vip)[0] = low;
	((__u64 *)packet->vip)[1] = high;
	if (packet->protocol == IPPROTO_TCP || packet->protocol == IPPROTO_UDP)
		packet->ports = packet->ports >> 16 | packet->ports << 16;
}

static __always_inline int is_icmp4_error(__u8 type)
{
	return type == ICMP4_UNREACHABLE || type == ICMP4_TIME_EXCEEDED || type == ICMP4_PARAMETER_PROBLEM;
}

/*
 * What may be an answer to a probe, or an ICMP error about one of TCP or UDP. Raw sockets, which send the echo
 * requests, read errors as they come.
 */
static __always_inline int read_answer(struct __sk_buff *skb, struct packet *packet)
{
	const void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	const struct icmp_header *icmp;

	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		if (!read_ipv4(packet, data + AT_IP, end) || data + AT_TRANSPORT4 + sizeof(*icmp) > end)
			return 0;
		icmp = data + AT_TRANSPORT4;
		if (packet->protocol == IPPROTO_ICMP && is_icmp4_error(icmp->type)) {
			packet->icmp_error = 1;
			return read_ipv4(packet, data + AT_QUOTED4, end) &&
			       packet->protocol != IPPROTO_ICMP &&
			       read_ports(packet, data + AT_QUOTED4 + sizeof(struct iphdr), end, IPPROTO_ICMP, 0);
		}
		if (!read_ports(packet, icmp, end, IPPROTO_ICMP, ICMP4_ECHO_REPLY))
			return 0;
	} else if (skb->protocol == bpf_htons(ETH_P_IPV6)) {
		if (!read_ipv6(packet, data + AT_IP, end) || data + AT_TRANSPORT6 + sizeof(*icmp) > end)
			return 0;
		icmp = data + AT_TRANSPORT6;
		if (packet->protocol == IPPROTO_ICMPV6 && icmp->type >= ICMP6_UNREACHABLE &&
		    icmp->type <= ICMP6_PARAMETER_PROBLEM) {
			packet->icmp_error = 1;
			return read_ipv6(packet, data + AT_QUOTED6, end) &&
			       packet->protocol != IPPROTO_ICMPV6 &&
			       read_ports(packet, data + AT_QUOTED6 + sizeof(struct ipv6hdr), end, IPPROTO_ICMPV6, 0);
		}
		if (!read_ports(packet, icmp, end, IPPROTO_ICMPV6, ICMP6_ECHO_REPLY))
			return 0;
	} else {
		return 0;
	}
	turn_round(packet);
	return 1;
}

/*
 * Replaces an IPv4 address, and corrects the checksum of the IP header at `ip`. `transport`: where the transport's
 * checksum is, which covers the address, too; 0: it does not. That of UDP stays 0 where it is.
 */
static __always_inline long replace_address4(struct __sk_buff *skb, int at, int ip, int transport, __u64 flags,
					     __u32 from, __u32 to)
{
	if (transport && bpf_l4_csum_replace(skb, transport, from, to, flags | BPF_F_PSEUDO_HDR | sizeof(to)))
		return -1;
	return bpf_l3_csum_replace(skb, ip + 10, from, to, sizeof(to)) ?: bpf_skb_store_bytes(skb, at, &to, sizeof(to), 0);
}

/*
 * Replaces an IPv6 address, and corrects the checksum that covers it. `flags`: BPF_F_PSEUDO_HDR where the packet leaves
 * and the NIC may write the checksum. Not where it comes in: the kernel would correct its own sum over the packet,
 * which the two changes leave as it is.
 */
static __always_inline long replace_address6(struct __sk_buff *skb, int at, int checksum, __u64 flags,
					     const __u32 *from, const __u32 *to)
{
#pragma unroll
	for (int word = 0; word < 4; word++) {
		if (bpf_l4_csum_replace(skb, checksum, from[word], to[word], flags | sizeof(*to)))
			return -1;
	}
	return bpf_skb_store_bytes(skb, at, to, 16, 0);
}

/* Where the checksum of the transport is that covers the addresses; 0: there is none. */
static __always_inline int checksum_of(const struct packet *packet)
{
	int transport = packet->family == 4 ? AT_TRANSPORT4 : AT_TRANSPORT6;

	if (packet->protocol == IPPROTO_TCP)
		return transport + 16;
	if (packet->protocol == IPPROTO_UDP)
		return transport + 6;
	return packet->protocol == IPPROTO_ICMPV6 ? transport + 2 : 0;
}

static __always_inline __u64 zero_stays(const struct packet *packet)
{
	return packet->protocol == IPPROTO_UDP ? BPF_F_MARK_MANGLED_0 : 0;
}

/* Puts the VIP in the place of the stand-in. */
static __always_inline long address_vip(struct __sk_buff *skb, const struct packet *packet,
					const struct probe_target *target)
{
	__u64 flags = zero_stays(packet);

	if (packet->family == 4)
		return replace_address4(skb, AT_IPV4_DESTINATION, AT_IP, checksum_of(packet), flags,
					target->stand_in[0], target->vip[0]);
	return replace_address6(skb, AT_IPV6_DESTINATION, checksum_of(packet), flags | BPF_F_PSEUDO_HDR,
				target->stand_in, target->vip);
}

/* Puts the stand-in back in the place of the VIP: as the source, or as the destination that an ICMP error quotes. */
static __always_inline long restore_stand_in(struct __sk_buff *skb, const struct packet *packet,
					     const struct probe_target *target)
{
	__u64 flags = zero_stays(packet);

	if (packet->family == 4) {
		/* The checksum of an ICMP error stays: address and checksum of what it quotes make up for each other. */
		if (packet->icmp_error)
			return replace_address4(skb, AT_QUOTED4 + 16, AT_QUOTED4, 0, 0, target->vip[0],
						target->stand_in[0]);
		return replace_address4(skb, AT_IPV4_SOURCE, AT_IP, checksum_of(packet), flags, target->vip[0],
					target->stand_in[0]);
	}
	if (packet->icmp_error)
		return replace_address6(skb, AT_QUOTED6 + 24, AT_TRANSPORT6 + 2, 0, target->vip, target->stand_in);
	return replace_address6(skb, AT_IPV6_SOURCE, checksum_of(packet), flags, target->vip, target->stand_in);
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

/* TC_ACT_UNSPEC: other programs at this hook see the packet, too. */
SEC("tc")
int steer_probe(struct __sk_buff *skb)
{
	struct probe_target *target;
	enum probe_verdict verdict;
	/* Zeros also where only a mispredicted branch reads: the verifier follows it without CAP_PERFMON. */
	struct packet packet = {};
	__u64 *count;

	if (!read_leaving(skb, &packet))
		return TC_ACT_UNSPEC;
	target = find_probe(&packet);
	if (!target || packet.ports >> 16 != target->port || !is_same_address(&packet, target->stand_in))
		return TC_ACT_UNSPEC;

	copy_address(packet.vip, target->vip);
	verdict = address_vip(skb, &packet, target) ? PROBE_NO_ROOM : send(skb, &packet, target);
	if (verdict == PROBE_SENT)
		target->left++;
	count = element(probe_verdicts, verdict);
	if (count)
		++*count;
	return verdict == PROBE_SENT ? TC_ACT_UNSPEC : TC_ACT_SHOT;
}

/* As above. What cannot be changed passes as it is: the host's stack knows no such connection. */
SEC("tc")
int take_answer(struct __sk_buff *skb)
{
	struct probe_target *target;
	struct packet packet = {};
	const void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;

	/* Some drivers leave the headers in fragments. */
	if (data + AT_TRANSPORT4 + sizeof(struct icmp_header) > end)
		bpf_skb_pull_data(skb, skb->len < ANSWER_LENGTH_MAX ? skb->len : ANSWER_LENGTH_MAX);
	if (!read_answer(skb, &packet))
		return TC_ACT_UNSPEC;
	target = find_probe(&packet);
	if (!target || packet.ports >> 16 != target->port || !is_same_address(&packet, target->vip))
		return TC_ACT_UNSPEC;

	if (!packet.icmp_error)
		target->answers++;
	restore_stand_in(skb, &packet, target);
	return TC_ACT_UNSPEC;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
