/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * The stripped forwarders: the least work that still forwards a TCP packet. One hash lookup for the service, one slot,
 * one backend, three counters, an outer header from prepared parts. No affinity, no VLAN tags, no check of MTU, TTL or
 * source. scripts/bench compares the forwarder with them; nothing else uses them.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define FRAGMENT_MASK 0x3fff
#define DONT_FRAGMENT 0x4000
#define OUTER_TTL 64
#define SOURCE4_PREFIX 0x10ac	/* 172.16.0.0/16, network order */

struct service_key4 {
	__be32 address;
	__be16 port;
	__u8 protocol;
	__u8 zero;
};

struct service_key6 {
	__be32 address[4];
	__be16 port;
	__u8 protocol;
	__u8 zero;
};

struct service {
	__u32 flags;
	__u32 id;
	__u32 first_slot;
	__u32 slots;
};

struct backend {
	__be32 destination[4];	/* IPv4 in the first word */
	__be32 source[4];	/* IPv6 only; the last word is taken from the flow */
	__u32 header_sum;	/* IPv4 only: sum of the outer header's constant 16-bit words */
	__u8 ethernet[ETH_HLEN];
	__u8 zero[14];
};

struct counter {
	__u64 packets;
	__u64 bytes;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 512);
	__type(key, struct service_key4);
	__type(value, struct service);
} services4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 512);
	__type(key, struct service_key6);
	__type(value, struct service);
} services6 SEC(".maps");

/* The bench sets the sizes of the next three. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} slots SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct backend);
} backends SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct counter);
} backend_counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 512);
	__type(key, __u32);
	__type(value, struct counter);
} service_counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct counter);
} total SEC(".maps");

static __always_inline void count(struct counter *counter, __u32 length)
{
	if (!counter)
		return;
	counter->packets++;
	counter->bytes += length;
}

static __always_inline __u32 hash_flow(__u64 client, __u64 ports)
{
	__u64 hash = (client << 32 | client >> 32) ^ ports ^ 0x9e3779b97f4a7c15;

	hash *= 0xbf58476d1ce4e5b9;
	hash ^= hash >> 31;
	hash *= 0x94d049bb133111eb;
	return hash >> 32;
}

/* The backend of a flow; the packet is counted there, for its service, and in all. */
static __always_inline struct backend *choose(const struct service *service, __u32 hash, __u32 length)
{
	__u32 index = service->first_slot + (__u32)((__u64)hash * service->slots >> 32);
	__u32 *slot = bpf_map_lookup_elem(&slots, &index);
	struct backend *backend;
	__u32 number, zero = 0;

	if (!slot || *slot >> 16)
		return NULL;
	number = *slot;
	backend = bpf_map_lookup_elem(&backends, &number);
	if (!backend)
		return NULL;
	count(bpf_map_lookup_elem(&service_counters, &service->id), length);
	count(bpf_map_lookup_elem(&backend_counters, &number), length);
	count(bpf_map_lookup_elem(&total, &zero), length);
	return backend;
}

/* Makes space for an outer header of `length` octets, a constant, and writes the Ethernet header in front of it. */
static __always_inline void *push(struct xdp_md *ctx, const struct backend *backend, const int length)
{
	void *frame;

	if (bpf_xdp_adjust_head(ctx, -length))
		return NULL;
	frame = (void *)(long)ctx->data;
	if (frame + ETH_HLEN + length > (void *)(long)ctx->data_end)
		return NULL;
	__builtin_memcpy(frame, backend->ethernet, ETH_HLEN);
	return frame + ETH_HLEN;
}

SEC("xdp")
int stripped4(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *ethernet = data;
	struct iphdr *ip = data + ETH_HLEN;
	struct tcphdr *tcp = (void *)(ip + 1);
	struct service_key4 key = {};
	struct service *service;
	struct backend *backend;
	__u32 client, ports, source, sum;
	__u16 length;
	__u8 tos;

	if ((void *)(tcp + 1) > end || ethernet->h_proto != bpf_htons(ETH_P_IP))
		return XDP_PASS;
	if (ip->ihl != 5 || ip->frag_off & bpf_htons(FRAGMENT_MASK))
		return XDP_DROP;
	if (ip->protocol != IPPROTO_TCP)
		return XDP_PASS;
	key.address = ip->daddr;
	key.port = tcp->dest;
	key.protocol = IPPROTO_TCP;
	service = bpf_map_lookup_elem(&services4, &key);
	if (!service)
		return XDP_PASS;
	client = ip->saddr;
	ports = *(__u32 *)tcp;
	length = bpf_ntohs(ip->tot_len);
	tos = ip->tos;
	backend = choose(service, hash_flow(client, ports), end - data);
	ip = backend ? push(ctx, backend, sizeof(*ip)) : NULL;
	if (!ip)
		return XDP_DROP;
	source = SOURCE4_PREFIX | (ports ^ client) << 16;
	*(__u16 *)ip = 0x45 | tos << 8;
	ip->tot_len = bpf_htons(length + sizeof(*ip));
	ip->id = 0;
	ip->frag_off = bpf_htons(DONT_FRAGMENT);
	*(__u16 *)&ip->ttl = OUTER_TTL | IPPROTO_IPIP << 8;
	ip->saddr = source;
	ip->daddr = backend->destination[0];
	sum = backend->header_sum + ip->tot_len + (tos << 8) + (source & 0xffff) + (source >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum += sum >> 16;
	ip->check = ~sum;
	return XDP_TX;
}

SEC("xdp")
int stripped6(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *ethernet = data;
	struct ipv6hdr *ip = data + ETH_HLEN;
	struct tcphdr *tcp = (void *)(ip + 1);
	struct service_key6 key = {};
	struct service *service;
	struct backend *backend;
	__u32 first_word, ports, hash;
	__u64 *client, *address;
	__u16 length;

	if ((void *)(tcp + 1) > end || ethernet->h_proto != bpf_htons(ETH_P_IPV6))
		return XDP_PASS;
	if (ip->nexthdr != IPPROTO_TCP)
		return XDP_PASS;
	__builtin_memcpy(key.address, &ip->daddr, sizeof(key.address));
	key.port = tcp->dest;
	key.protocol = IPPROTO_TCP;
	service = bpf_map_lookup_elem(&services6, &key);
	if (!service)
		return XDP_PASS;
	client = (__u64 *)&ip->saddr;
	ports = *(__u32 *)tcp;
	hash = hash_flow(client[0] * 0x9e3779b97f4a7c15 ^ client[1], ports);
	first_word = *(__u32 *)ip;
	length = bpf_ntohs(ip->payload_len);
	backend = choose(service, hash, end - data);
	ip = backend ? push(ctx, backend, sizeof(*ip)) : NULL;
	if (!ip)
		return XDP_DROP;
	*(__u32 *)ip = (first_word & bpf_htonl(0xfff00000)) | bpf_htonl(hash & 0xfffff);
	ip->payload_len = bpf_htons(length + sizeof(*ip));
	*(__u16 *)&ip->nexthdr = IPPROTO_IPV6 | OUTER_TTL << 8;
	address = (__u64 *)&ip->saddr;
	address[0] = *(__u64 *)backend->source;
	address[1] = backend->source[2] | (__u64)hash << 32;
	address[2] = *(__u64 *)backend->destination;
	address[3] = *(__u64 *)&backend->destination[2];
	return XDP_TX;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
