/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* Probes and their answers: which packets they are, and the probe that each belongs to. For tc. */
#ifndef SLUICE_PROBE_PACKET_H
#define SLUICE_PROBE_PACKET_H

#include "packet.h"
#include "parse.h"
#include "probing_abi.h"

/* Offsets in the packet that an ICMP error quotes. */
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

/* `words`: IPv4 in the first, the others zero. */
static __always_inline int is_same_address(const struct packet *packet, const __u32 *words)
{
	return packet->vip[0] == (words[0] | (__u64)words[1] << 32) &&
	       packet->vip[1] == (words[2] | (__u64)words[3] << 32);
}

/* The probe whose end at this host is the packet's client, or NULL. */
static __always_inline struct probe_target *find_probe(const struct packet *packet)
{
	__u64 key[3];

	/* In words of eight octets: see struct packet. */
	if (packet->family == 4) {
		key[0] = 0;
		key[1] = bpf_htonl(0xffff) | packet->client[0] << 32;
	} else {
		copy_address(key, packet->client);
	}
	key[2] = (packet->ports & 0xffff) | packet->protocol << 16;
	return bpf_map_lookup_elem(&probes, key);
}

/* Reads ports, or what stands for them in an echo request. Returns whether the packet can be a probe's. */
static __always_inline int read_ports(const struct frame *frame, int at, struct packet *packet, __u8 echo_protocol,
				      __u8 echo_request)
{
	const struct icmp_header *icmp = frame->data + at;

	if (is_beyond(frame, icmp + 1))
		return 0;
	if (has_ports(packet->protocol)) {
		packet->ports = *(const __u32 *)icmp;
		return 1;
	}
	packet->ports = icmp->rest & 0xffff;
	return packet->protocol == echo_protocol && icmp->type == echo_request;
}

static __always_inline int read_ipv4(const struct frame *frame, int at, struct packet *packet)
{
	return parse_ipv4(frame, at, packet) == UNDECIDED;
}

static __always_inline int read_ipv6(const struct frame *frame, int at, struct packet *packet)
{
	return parse_ipv6(frame, at, packet) == UNDECIDED;
}

/* What may be a packet of a probe, on its way out. */
static __always_inline int read_leaving(struct __sk_buff *skb, struct packet *packet)
{
	struct frame frame = read_frame(skb);

	if (skb->protocol == bpf_htons(ETH_P_IP))
		return read_ipv4(&frame, AT_IP, packet) &&
		       read_ports(&frame, AT_TRANSPORT4, packet, IPPROTO_ICMP, ICMP4_ECHO_REQUEST);
	return skb->protocol == bpf_htons(ETH_P_IPV6) && read_ipv6(&frame, AT_IP, packet) &&
	       read_ports(&frame, AT_TRANSPORT6, packet, IPPROTO_ICMPV6, ICMP6_ECHO_REQUEST);
}

/* What came in belongs to the flow's other direction: exchanges client and VIP. */
static __always_inline void swap_client_and_vip(struct packet *packet)
{
	__u64 high = packet->client[0], low = packet->client[1];

	packet->client[0] = packet->vip[0];
	packet->client[1] = packet->vip[1];
	packet->vip[0] = high;
	packet->vip[1] = low;
	if (has_ports(packet->protocol))
		packet->ports = packet->ports >> 16 | (packet->ports & 0xffff) << 16;
}

/*
 * What may be an answer to a probe, or an ICMP error about one of TCP or UDP. Raw sockets, which send the echo
 * requests, read errors as they come.
 */
static __always_inline int read_answer(struct __sk_buff *skb, struct packet *packet)
{
	struct frame frame = read_frame(skb);
	const struct icmp_header *icmp;

	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		icmp = frame.data + AT_TRANSPORT4;
		if (!read_ipv4(&frame, AT_IP, packet) || is_beyond(&frame, icmp + 1))
			return 0;
		if (packet->protocol == IPPROTO_ICMP && is_icmp4_error(icmp->type)) {
			packet->icmp_error = 1;
			return read_ipv4(&frame, AT_QUOTED4, packet) && packet->protocol != IPPROTO_ICMP &&
			       read_ports(&frame, AT_QUOTED4 + sizeof(struct iphdr), packet, IPPROTO_ICMP, 0);
		}
		if (!read_ports(&frame, AT_TRANSPORT4, packet, IPPROTO_ICMP, ICMP4_ECHO_REPLY))
			return 0;
	} else if (skb->protocol == bpf_htons(ETH_P_IPV6)) {
		icmp = frame.data + AT_TRANSPORT6;
		if (!read_ipv6(&frame, AT_IP, packet) || is_beyond(&frame, icmp + 1))
			return 0;
		if (packet->protocol == IPPROTO_ICMPV6 && is_icmp6_error(icmp->type)) {
			packet->icmp_error = 1;
			return read_ipv6(&frame, AT_QUOTED6, packet) && packet->protocol != IPPROTO_ICMPV6 &&
			       read_ports(&frame, AT_QUOTED6 + sizeof(struct ipv6hdr), packet, IPPROTO_ICMPV6, 0);
		}
		if (!read_ports(&frame, AT_TRANSPORT6, packet, IPPROTO_ICMPV6, ICMP6_ECHO_REPLY))
			return 0;
	} else {
		return 0;
	}
	swap_client_and_vip(packet);
	return 1;
}

#endif
