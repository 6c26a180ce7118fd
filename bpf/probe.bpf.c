/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * The probe programs, for both directions of the uplink's interface. steer_probe encapsulates the packets of health
 * probes as the forwarder would, for the backend under test. take_answer gives the answers the source address that this
 * host's stack expects. All other packets pass, at the cost of one lookup.
 *
 * The programs write to packets by helper functions only. If they wrote directly, the kernel would make every packet
 * writable before they run, also those that pass.
 */
#define SLUICE_TC
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

#include "backends.h"
#include "flow.h"
#include "outer_header.h"
#include "probe_packet.h"
#include "probe_rewrite.h"

#define PACKET_LENGTH_MAX 0xffff
#define AT_TCP_DATA_OFFSET 12

/* With the Ethernet type in front of it, which differs from the packet's where the families differ. */
struct outer_header {
	__u8 zero[6];
	__be16 type;
	union {
		struct iphdr ipv4;
		struct ipv6hdr ipv6;
		__u8 longest[IPV6_HEADER_LENGTH + OUTER_UDP_LENGTH + OUTER_GUE_LENGTH];
	};
};

/* Where the outer header is written before it is copied into the packet. It is not on the stack: see struct packet. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct outer_header);
	__uint(max_entries, 1);
} outer_headers SEC(".maps");

/* The length of the packet on the wire: for a GSO packet, that of a segment with its headers. */
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

static __always_inline __u64 is_from_own_address(const struct probe_target *target)
{
	return READ_ONCE(target->flags) & PROBE_FROM_OWN_ADDRESS;
}

/* Replaces the pool's outer source by the packet's own, and corrects the checksum (RFC 1624). */
static __always_inline void use_own_source4(struct iphdr *ip, __u32 own)
{
	__u32 pool = ip->saddr;

	ip->check = ~fold_sum((__u64)(__u16)~ip->check + (__u16)~pool + (__u16)~(pool >> 16) + own);
	ip->saddr = own;
}

static __always_inline void use_own_source(struct outer_header *header, const struct packet *packet, __u64 next_hop)
{
	if (next_hop & BACKEND_OUTER_IPV6) {
		if (packet->family == 6)
			copy_address(&header->ipv6.saddr, packet->client);
	} else if (packet->family == 4) {
		use_own_source4(&header->ipv4, packet->client[0]);
	}
}

/* The flags of bpf_skb_adjust_room() that describe the outer headers. */
static __always_inline __u64 room_flags(__u64 next_hop)
{
	__u64 ip = next_hop & BACKEND_OUTER_IPV6 ? BPF_F_ADJ_ROOM_ENCAP_L3_IPV6 : BPF_F_ADJ_ROOM_ENCAP_L3_IPV4;

	switch (encapsulation_of(next_hop)) {
	case ENCAPSULATION_IPIP:
		return ip;
	case ENCAPSULATION_GUE:
	case ENCAPSULATION_GUE_HEADER:
	case ENCAPSULATION_FOU:
		return ip | BPF_F_ADJ_ROOM_ENCAP_L4_UDP;
	case ENCAPSULATION_GRE:
		return ip | BPF_F_ADJ_ROOM_ENCAP_L4_GRE;
	case ENCAPSULATION_L2:
		break;
	}
	return 0;
}

/*
 * Puts the outer header behind the Ethernet header. Returns 0, or less. FIXED_GSO: the segments of a GSO packet keep
 * the length that TCP chose. send() has checked that they fit.
 */
static __always_inline long push(struct __sk_buff *skb, const struct outer_header *header, __u64 next_hop)
{
	const int at_type = __builtin_offsetof(struct ethernet, type);
	__u64 length = outer_length(next_hop);

	if (length > sizeof(header->longest))
		return -1;
	return bpf_skb_adjust_room(skb, length, BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_FIXED_GSO | room_flags(next_hop)) ?:
	       bpf_skb_store_bytes(skb, at_type, &header->type, sizeof(header->type) + length, 0);
}

/* `family`: BACKEND_OUTER_IPV6 or 0, a constant. Returns 0, or -1: the backend's record names no source. */
static __always_inline int write_header(struct outer_header *header, const struct packet *packet,
					const struct backend *backend, __u64 path, __u64 entropy, const __u64 family)
{
	__u64 form = (READ_ONCE(backend->next_hop) & ~BACKEND_OUTER_IPV6) | family;
	struct outer outer;

	if (read_outer(&outer, form, path, entropy))
		return -1;
	header->type = outer_type(form);
	write_outer(&header->ipv4, form, packet, backend, &outer);
	return 0;
}

static __noinline int write_header4(struct outer_header *header, const struct packet *packet,
				    const struct backend *backend, __u64 path, __u64 entropy)
{
	return write_header(header, packet, backend, path, entropy, 0);
}

static __noinline int write_header6(struct outer_header *header, const struct packet *packet,
				    const struct backend *backend, __u64 path, __u64 entropy)
{
	return write_header(header, packet, backend, path, entropy, BACKEND_OUTER_IPV6);
}

static __noinline enum probe_verdict send(struct __sk_buff *skb, const struct packet *packet,
					  const struct probe_target *target)
{
	struct backend *backend = element(backends, target->backend);
	struct outer_header *header = element(outer_headers, 0);
	__u64 size = largest_packet(skb, packet), is_from_own = is_from_own_address(target);
	__u64 entropy = 0, next_hop, path, overhead;

	if (!backend || !header)
		return PROBE_INVALID;
	if (backend->generation != target->generation)
		return PROBE_BACKEND_GONE;
	next_hop = READ_ONCE(backend->next_hop);
	overhead = outer_length(next_hop);
	if (overhead == OUTER_LENGTH_NONE)
		return PROBE_INVALID;
	if (!(next_hop & NEXT_HOP_RESOLVED))
		return PROBE_NO_NEXT_HOP;
	path = READ_ONCE(backend->path);
	if (size + overhead > path_mtu(path) || packet->length + overhead > PACKET_LENGTH_MAX)
		return PROBE_TOO_BIG;
	if (encapsulation_of(next_hop) == ENCAPSULATION_L2)
		return bpf_skb_store_bytes(skb, 0, &next_hop, ETH_ALEN, 0) ? PROBE_NO_ROOM : PROBE_SENT;

	if (!is_from_own)
		entropy = entropy_of(hash_packet(packet, HASH_FLOW));
	if (next_hop & BACKEND_OUTER_IPV6 ? write_header6(header, packet, backend, path, entropy)
					  : write_header4(header, packet, backend, path, entropy))
		return PROBE_INVALID;
	if (is_from_own)
		use_own_source(header, packet, next_hop);
	if (bpf_skb_store_bytes(skb, 0, &next_hop, ETH_ALEN, 0) || push(skb, header, next_hop))
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
	verdict = put_vip(skb, &packet, target) ? PROBE_NO_ROOM : send(skb, &packet, target);
	if (verdict == PROBE_SENT)
		target->sent++;
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
	struct frame frame = read_frame(skb);

	/* Some drivers leave the headers in fragments. */
	if (is_beyond(&frame, frame.data + AT_TRANSPORT4 + sizeof(struct icmp_header)))
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
