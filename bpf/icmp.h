/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* ICMP from a VIP: answers to pings, and errors about packets that cannot be forwarded. */
#ifndef SLUICE_ICMP_H
#define SLUICE_ICMP_H

#include "send.h"
#include "packet.h"
#include "verdict.h"

/*
 * Octets that an error quotes of the packet that it is about; a packet that has fewer gets no error. Of a packet that
 * is too big: over IPv6 what fits a packet of 1280 octets (RFC 4443 §2.4 c). Nobody heeds an error about a packet that
 * is shorter (RFC 8201 §4). Of others: their headers, so that answers are not larger than what they answer.
 */
#define QUOTE4_TOO_BIG 64
#define QUOTE6_TOO_BIG (IPV6_LOWEST_MTU - sizeof(struct ipv6hdr) - sizeof(struct icmp_header))
#define QUOTE4 (sizeof(struct iphdr) + 8)
#define QUOTE6 (sizeof(struct ipv6hdr) + 8)

/* RFC 8200 §8.1 */
struct pseudo_header6 {
	__u8 source[16];
	__u8 destination[16];
	__be32 length;
	__be32 next_header;
};

static __always_inline __u16 checksum(__u64 sum)
{
	return ~fold_sum(sum);
}

#define SUM_MAX 512 /* what bpf_csum_diff() takes at a time */

/* The sum over `length` octets, a constant, that were found to be in the frame. */
static __always_inline __u64 sum_octets(void *data, const int length, __u64 sum)
{
#pragma unroll
	for (int at = 0; at < length; at += SUM_MAX)
		sum = bpf_csum_diff(NULL, 0, data + at, length - at < SUM_MAX ? length - at : SUM_MAX, sum);
	return sum;
}

static __always_inline void send_back(struct ethernet *ethernet)
{
	__u8 address[ETH_ALEN];

	__builtin_memcpy(address, ethernet->destination, ETH_ALEN);
	__builtin_memcpy(ethernet->destination, ethernet->source, ETH_ALEN);
	__builtin_memcpy(ethernet->source, address, ETH_ALEN);
}

static __always_inline void write_ipv4_header(struct iphdr *ip, __u16 length, __u8 protocol, __u32 source,
					      __u32 destination)
{
	__builtin_memset(ip, 0, sizeof(*ip));
	*(__u8 *)ip = 0x45;
	ip->tot_len = bpf_htons(length);
	ip->frag_off = bpf_htons(OUTER_IPV4_DF);
	ip->ttl = OUTER_TTL;
	ip->protocol = protocol;
	ip->saddr = source;
	ip->daddr = destination;
	ip->check = checksum(bpf_csum_diff(NULL, 0, (__be32 *)ip, sizeof(*ip), 0));
}

/*
 * Turns an echo request into its reply, in place. In the ICMP checksum only the type changes (RFC 1624). Ones'
 * complement has two zeros, 0 and 0xffff. The reply to a ping of zeros is all zeros, so its checksum is 0xffff, and the
 * update by RFC 1624 would leave 0.
 */
static __noinline enum verdict answer_echo4(struct xdp_md *ctx, const struct packet *packet)
{
	struct icmp_header *icmp = frame_at(ctx, AT_TRANSPORT4);
	__u16 sum;

	if (!within_limit(ANSWER_ECHO, source_network(packet)))
		return VERDICT_DROPPED_RATE_LIMITED;
	if (ends_before(ctx, icmp + 1))
		return VERDICT_DROPPED_TRUNCATED;
	send_back((void *)icmp - AT_TRANSPORT4);
	write_ipv4_header((void *)icmp - sizeof(struct iphdr), packet->length, IPPROTO_ICMP, packet->vip[0],
			  packet->client[0]);
	icmp->type = ICMP4_ECHO_REPLY;
	sum = fold_sum((__u32)(__u16)~icmp->checksum + (__u16)~bpf_htons(ICMP4_ECHO_REQUEST << 8));
	icmp->checksum = sum == 0xffff ? 0xffff : (__u16)~sum;
	return VERDICT_ANSWERED_ECHO;
}

static __noinline enum verdict answer_echo6(struct xdp_md *ctx, const struct packet *packet)
{
	struct icmp_header *icmp = frame_at(ctx, AT_TRANSPORT6);
	struct ipv6hdr *ip;

	if (!within_limit(ANSWER_ECHO, source_network(packet)))
		return VERDICT_DROPPED_RATE_LIMITED;
	if (ends_before(ctx, icmp + 1))
		return VERDICT_DROPPED_TRUNCATED;
	send_back((void *)icmp - AT_TRANSPORT6);
	ip = (void *)icmp - sizeof(*ip);
	copy_address(&ip->saddr, packet->vip);
	copy_address(&ip->daddr, packet->client);
	ip->hop_limit = OUTER_TTL;
	icmp->type = ICMP6_ECHO_REPLY;
	icmp->checksum = ~fold_sum((__u32)(__u16)~icmp->checksum + (__u16)~bpf_htons(ICMP6_ECHO_REQUEST << 8) +
			       bpf_htons(ICMP6_ECHO_REPLY << 8));
	return VERDICT_ANSWERED_ECHO;
}

/*
 * Cuts the frame after `quote` octets of its IP packet, makes `room` octets of space in front of the packet, and writes
 * the Ethernet header in front of these, back to the sender. Returns 0, or -1.
 */
static __always_inline int quote_packet(struct xdp_md *ctx, const struct packet *packet, int quote, int room)
{
	int length = (int)packet->frame_length - (int)packet->tag_count * VLAN_TAG_LENGTH;
	struct ethernet *frame = frame_at(ctx, 0);
	struct ethernet ethernet;

	if (ends_before(ctx, frame + 1) || (int)packet->length < quote || length < (int)ETH_HLEN + quote)
		return -1;
	ethernet = *frame;
	send_back(&ethernet);
	if (bpf_xdp_adjust_tail(ctx, (int)ETH_HLEN + quote - length) || bpf_xdp_adjust_head(ctx, -room))
		return -1;
	frame = frame_at(ctx, 0);
	if (ends_before(ctx, frame + 1))
		return -1;
	*frame = ethernet;
	return 0;
}

/*
 * Turns the frame into an ICMP error about its packet, from the VIP to the client. The error quotes `quote` octets of
 * the packet, a constant. Returns 0, or -1 if the packet has fewer, or the frame no space in front. Then it may have
 * changed.
 */
static __always_inline int write_error4(struct xdp_md *ctx, const struct packet *packet, const int quote, __u8 type,
					__u8 code, __be32 rest)
{
	struct icmp_header *icmp;

	if (quote_packet(ctx, packet, quote, sizeof(struct iphdr) + sizeof(*icmp)))
		return -1;
	icmp = frame_at(ctx, AT_TRANSPORT4);
	if (ends_before(ctx, (void *)(icmp + 1) + quote))
		return -1;
	write_ipv4_header((void *)icmp - sizeof(struct iphdr), sizeof(struct iphdr) + sizeof(*icmp) + quote,
			  IPPROTO_ICMP, packet->vip[0], packet->client[0]);
	icmp->type = type;
	icmp->code = code;
	icmp->checksum = 0;
	icmp->rest = rest;
	icmp->checksum = checksum(sum_octets(icmp, sizeof(*icmp) + quote, 0));
	return 0;
}

static __always_inline int write_error6(struct xdp_md *ctx, const struct packet *packet, const int quote, __u8 type,
					__u8 code, __be32 rest)
{
	struct pseudo_header6 pseudo = {
		.length = bpf_htonl(sizeof(struct icmp_header) + quote),
		.next_header = bpf_htonl(IPPROTO_ICMPV6),
	};
	struct icmp_header *icmp;
	struct ipv6hdr *ip;
	__u64 sum;

	if (quote_packet(ctx, packet, quote, sizeof(*ip) + sizeof(*icmp)))
		return -1;
	icmp = frame_at(ctx, AT_TRANSPORT6);
	if (ends_before(ctx, (void *)(icmp + 1) + quote))
		return -1;
	ip = (void *)icmp - sizeof(*ip);
	*(__u32 *)ip = bpf_htonl(0x60000000);
	ip->payload_len = bpf_htons(sizeof(*icmp) + quote);
	ip->nexthdr = IPPROTO_ICMPV6;
	ip->hop_limit = OUTER_TTL;
	copy_address(&ip->saddr, packet->vip);
	copy_address(&ip->daddr, packet->client);
	icmp->type = type;
	icmp->code = code;
	icmp->checksum = 0;
	icmp->rest = rest;

	__builtin_memcpy(pseudo.source, packet->vip, 16);
	__builtin_memcpy(pseudo.destination, packet->client, 16);
	sum = bpf_csum_diff(NULL, 0, (__be32 *)&pseudo, sizeof(pseudo), 0);
	icmp->checksum = checksum(sum_octets(icmp, sizeof(*icmp) + quote, sum));
	return 0;
}

/* "Fragmentation needed" (RFC 1191). Also where DF is not set: we cannot fragment. */
static __noinline enum verdict answer_too_big4(struct xdp_md *ctx, const struct packet *packet, __u32 mtu)
{
	if (!within_limit(ANSWER_TOO_BIG, source_network(packet)) ||
	    write_error4(ctx, packet, QUOTE4_TOO_BIG, ICMP4_UNREACHABLE, ICMP4_CODE_FRAGMENTATION_NEEDED,
			 bpf_htonl(mtu)))
		return VERDICT_DROPPED_TOO_BIG;
	return VERDICT_ANSWERED_TOO_BIG;
}

/* "Packet too big" (RFC 4443 §3.2). */
static __noinline enum verdict answer_too_big6(struct xdp_md *ctx, const struct packet *packet, __u32 mtu)
{
	if (!within_limit(ANSWER_TOO_BIG, source_network(packet)) ||
	    write_error6(ctx, packet, QUOTE6_TOO_BIG, ICMP6_TOO_BIG, 0, bpf_htonl(mtu)))
		return VERDICT_DROPPED_TOO_BIG;
	return VERDICT_ANSWERED_TOO_BIG;
}

#endif
