/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* Telling a client that its flow's backend is gone. */
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

	sum += (__u64)packet->client[0] + packet->vip[0];
	if (packet->family == 4)
		return sum;
	sum += (__u64)packet->client[1] + packet->client[2] + packet->client[3];
	return sum + packet->vip[1] + packet->vip[2] + packet->vip[3];
}

/*
 * The client's segment becomes the RST that answers it: RFC 9293 §3.5.2, case 3. Its number is what the client
 * expects next, by its own acknowledgement, so that the client takes it (RFC 5961 §3.2).
 */
static __always_inline void write_reset(struct tcp_header *tcp, const struct packet *packet)
{
	tcp->sequence = tcp->acknowledgement;
	tcp->source = packet->ports >> 16;
	tcp->destination = packet->ports;
	tcp->acknowledgement = 0;
	tcp->flags = bpf_htons(TCP_WITHOUT_OPTIONS | TCP_FLAGS_RST);
	tcp->window = 0;
	tcp->checksum = 0;
	tcp->urgent = 0;
	tcp->checksum = checksum(bpf_csum_diff(NULL, 0, (__be32 *)tcp, sizeof(*tcp), 0) + pseudo_header_sum(packet));
}

/* Cuts the frame after its TCP header. Returns 0, or -1. */
static __always_inline int cut_after(struct xdp_md *ctx, const struct packet *packet, int end)
{
	int surplus = packet->frame_length - packet->tag_count * VLAN_TAG_LENGTH - end;

	return surplus < 0 || bpf_xdp_adjust_tail(ctx, -surplus) ? -1 : 0;
}

static __always_inline enum verdict answer_reset4(struct xdp_md *ctx, const struct packet *packet)
{
	struct tcp_header *tcp;

	if (cut_after(ctx, packet, AT_TRANSPORT4 + sizeof(*tcp)))
		return VERDICT_DROPPED_NO_BACKEND;
	tcp = frame_at(ctx, AT_TRANSPORT4);
	if (ends_before(ctx, tcp + 1))
		return VERDICT_DROPPED_NO_BACKEND;
	send_back((void *)tcp - AT_TRANSPORT4);
	write_ipv4_header((void *)tcp - sizeof(struct iphdr), sizeof(struct iphdr) + sizeof(*tcp), IPPROTO_TCP,
			  packet->vip[0], packet->client[0]);
	write_reset(tcp, packet);
	return VERDICT_ANSWERED_RESET;
}

/* A segment behind extension headers gets none: its header is not where we could turn it around. */
static __always_inline enum verdict answer_reset6(struct xdp_md *ctx, const struct packet *packet)
{
	struct tcp_header *tcp;
	struct ipv6hdr *ip;

	if (cut_after(ctx, packet, AT_TRANSPORT6 + sizeof(*tcp)))
		return VERDICT_DROPPED_NO_BACKEND;
	tcp = frame_at(ctx, AT_TRANSPORT6);
	if (ends_before(ctx, tcp + 1))
		return VERDICT_DROPPED_NO_BACKEND;
	ip = (void *)tcp - sizeof(*ip);
	if (ip->nexthdr != IPPROTO_TCP)
		return VERDICT_DROPPED_NO_BACKEND;
	send_back((void *)ip - ETH_HLEN);
	*(__u32 *)ip = bpf_htonl(0x60000000);
	ip->payload_len = bpf_htons(sizeof(*tcp));
	ip->hop_limit = OUTER_TTL;
	copy_address(&ip->saddr, packet->vip);
	copy_address(&ip->daddr, packet->client);
	write_reset(tcp, packet);
	return VERDICT_ANSWERED_RESET;
}

static __noinline enum verdict answer_reset(struct xdp_md *ctx, const struct packet *packet)
{
	if (!within_limit(ANSWER_RESET))
		return VERDICT_DROPPED_RATE_LIMITED;
	return packet->family == 4 ? answer_reset4(ctx, packet) : answer_reset6(ctx, packet);
}

#endif
