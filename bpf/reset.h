/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* RSTs to clients whose flow's backend is gone, or whose port has no service. */
#ifndef SLUICE_RESET_H
#define SLUICE_RESET_H

#include "icmp.h"
#include "packet.h"
#include "verdict.h"

/* Without options. */
struct tcp_header {
	__be16 source;
	__be16 destination;
	__be32 sequence;
	__be32 acknowledgement;
	__be16 flags;		/* data offset in the high nibble */
	__be16 window;
	__u16 checksum;
	__be16 urgent;
};

#define TCP_WITHOUT_OPTIONS 0x5000

/* The sum of a TCP pseudo header's words: RFC 9293 §3.1, RFC 8200 §8.1. */
static __always_inline __u64 pseudo_header_sum(const struct packet *packet)
{
	__u64 sum = bpf_htons(IPPROTO_TCP) + bpf_htons(sizeof(struct tcp_header));

	sum += (__u64)(__u32)packet->client[0] + (packet->client[0] >> 32);
	sum += (__u64)(__u32)packet->client[1] + (packet->client[1] >> 32);
	sum += (__u64)(__u32)packet->vip[0] + (packet->vip[0] >> 32);
	return sum + (__u32)packet->vip[1] + (packet->vip[1] >> 32);
}

/* The sequence numbers that the segment uses: its data, and one each for SYN and FIN. */
static __always_inline __u32 sequence_length(const struct tcp_header *tcp, const struct packet *packet)
{
	__u32 headers = (packet->family == 4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr)) +
			(bpf_ntohs(tcp->flags) >> 12) * 4;

	return packet->length - headers + !!(packet->tcp_flags & TCP_FLAGS_SYN) +
	       !!(packet->tcp_flags & TCP_FLAGS_FIN);
}

/*
 * Turns the client's segment into the RST that answers it (RFC 9293 §3.5.2). Its sequence number is the one that the
 * client expects next by its own acknowledgement, so that the client accepts it (RFC 5961 §3.2). A client that
 * acknowledged nothing gets an acknowledgement of its segment.
 */
static __always_inline void write_reset(struct tcp_header *tcp, const struct packet *packet)
{
	if (packet->tcp_flags & TCP_FLAGS_ACK) {
		tcp->sequence = tcp->acknowledgement;
		tcp->acknowledgement = 0;
		tcp->flags = bpf_htons(TCP_WITHOUT_OPTIONS | TCP_FLAGS_RST);
	} else {
		tcp->acknowledgement = bpf_htonl(bpf_ntohl(tcp->sequence) + sequence_length(tcp, packet));
		tcp->sequence = 0;
		tcp->flags = bpf_htons(TCP_WITHOUT_OPTIONS | TCP_FLAGS_RST | TCP_FLAGS_ACK);
	}
	tcp->source = packet->ports >> 16;
	tcp->destination = packet->ports;
	tcp->window = 0;
	tcp->checksum = 0;
	tcp->urgent = 0;
	tcp->checksum = checksum(bpf_csum_diff(NULL, 0, (__be32 *)tcp, sizeof(*tcp), 0) + pseudo_header_sum(packet));
}

/* Cuts the frame after its TCP header. Returns 0, or -1. */
static __always_inline int cut_after(struct xdp_md *ctx, const struct packet *packet, int end)
{
	int surplus = (int)packet->frame_length - (int)packet->tag_count * VLAN_TAG_LENGTH - end;

	return surplus < 0 || bpf_xdp_adjust_tail(ctx, -surplus) ? -1 : 0;
}

static __always_inline int turn_into_reset4(struct xdp_md *ctx, const struct packet *packet)
{
	struct tcp_header *tcp;

	if (cut_after(ctx, packet, AT_TRANSPORT4 + sizeof(*tcp)))
		return -1;
	tcp = frame_at(ctx, AT_TRANSPORT4);
	if (ends_before(ctx, tcp + 1))
		return -1;
	send_back((void *)tcp - AT_TRANSPORT4);
	write_ipv4_header((void *)tcp - sizeof(struct iphdr), sizeof(struct iphdr) + sizeof(*tcp), IPPROTO_TCP,
			  packet->vip[0], packet->client[0]);
	write_reset(tcp, packet);
	return 0;
}

/* A segment behind extension headers gets no RST: its header has no fixed offset. */
static __always_inline int turn_into_reset6(struct xdp_md *ctx, const struct packet *packet)
{
	struct tcp_header *tcp;
	struct ipv6hdr *ip;

	if (cut_after(ctx, packet, AT_TRANSPORT6 + sizeof(*tcp)))
		return -1;
	tcp = frame_at(ctx, AT_TRANSPORT6);
	if (ends_before(ctx, tcp + 1))
		return -1;
	ip = (void *)tcp - sizeof(*ip);
	if (ip->nexthdr != IPPROTO_TCP)
		return -1;
	send_back((void *)ip - ETH_HLEN);
	*(__u32 *)ip = bpf_htonl(0x60000000);
	ip->payload_len = bpf_htons(sizeof(*tcp));
	ip->hop_limit = OUTER_TTL;
	copy_address(&ip->saddr, packet->vip);
	copy_address(&ip->daddr, packet->client);
	write_reset(tcp, packet);
	return 0;
}

/* Turns the client's segment into a RST. Returns 0, or -1: then the frame may have changed. */
static __noinline int turn_into_reset(struct xdp_md *ctx, const struct packet *packet)
{
	return packet->family == 4 ? turn_into_reset4(ctx, packet) : turn_into_reset6(ctx, packet);
}

static __noinline enum verdict answer_reset(struct xdp_md *ctx, const struct packet *packet)
{
	if (!within_limit(ANSWER_RESET, source_network(packet)))
		return VERDICT_DROPPED_RATE_LIMITED;
	return turn_into_reset(ctx, packet) ? VERDICT_DROPPED_NO_BACKEND : VERDICT_ANSWERED_RESET;
}

#endif
