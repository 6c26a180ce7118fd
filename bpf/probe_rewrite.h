/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* Exchanges the VIP and its stand-in in probes and their answers, with the checksums that cover them. For tc. */
#ifndef SLUICE_PROBE_REWRITE_H
#define SLUICE_PROBE_REWRITE_H

#include "probe_packet.h"

#define AT_IPV4_SOURCE (AT_IP + 12)
#define AT_IPV4_DESTINATION (AT_IP + 16)
#define AT_IPV6_SOURCE (AT_IP + 8)
#define AT_IPV6_DESTINATION (AT_IP + 24)

/*
 * Replaces an IPv4 address, and corrects the checksum of the IP header at `ip`. `transport`: where the transport's
 * checksum is, which covers the address, too; 0: it does not. A UDP checksum of 0 (none) stays 0: see checksum_flags().
 */
static __always_inline long replace_address4(struct __sk_buff *skb, int at, int ip, int transport, __u64 flags,
					     __u32 from, __u32 to)
{
	if (transport && bpf_l4_csum_replace(skb, transport, from, to, flags | BPF_F_PSEUDO_HDR | sizeof(to)))
		return -1;
	return bpf_l3_csum_replace(skb, ip + 10, from, to, sizeof(to)) ?:
	       bpf_skb_store_bytes(skb, at, &to, sizeof(to), 0);
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

static __always_inline __u64 checksum_flags(const struct packet *packet)
{
	return packet->protocol == IPPROTO_UDP ? BPF_F_MARK_MANGLED_0 : 0;
}

/* Puts the VIP in the place of the stand-in. */
static __always_inline long put_vip(struct __sk_buff *skb, const struct packet *packet,
					const struct probe_target *target)
{
	__u64 flags = checksum_flags(packet);

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
	__u64 flags = checksum_flags(packet);

	if (packet->family == 4) {
		/*
		 * The checksum of an ICMP error stays: address and checksum of what it quotes make up for each other.
		 */
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

#endif
