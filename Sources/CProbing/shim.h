/*
 * epoll(7) in words and numbers: the union in struct epoll_event has no safe form in Swift. And what the probes need of
 * Linux that Glibc's module does not have.
 */
#ifndef SLUICE_CPROBING_H
#define SLUICE_CPROBING_H

#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define EPOLL_TOKENS 256

/* Adds a descriptor (EPOLL_CTL_ADD), changes what it is waited for (_MOD) or takes it away (_DEL). 0, or -1 and errno. */
static inline int epoll_watch(int epoll, int operation, int descriptor, uint32_t events, uint64_t token)
{
	struct epoll_event event = { .events = events, .data.u64 = token };

	return epoll_ctl(epoll, operation, descriptor, &event);
}

/* Fills in the tokens of descriptors that are ready, EPOLL_TOKENS at most, and returns how many; -1 and errno. */
static inline int epoll_tokens(int epoll, uint64_t *tokens, int milliseconds)
{
	struct epoll_event events[EPOLL_TOKENS];
	int count = epoll_wait(epoll, events, EPOLL_TOKENS, milliseconds);

	for (int i = 0; i < count; i++)
		tokens[i] = events[i].data.u64;
	return count;
}

/* linux/icmp.h, which goes together with none of libc's headers. */
#define SLUICE_SOL_RAW 255
#define SLUICE_ICMP_FILTER 1

/* Lets a raw ICMP socket receive only these types. 0, or -1 and errno. */
static inline int icmp4_accept(int descriptor, const uint8_t *types, int count)
{
	uint32_t blocked = ~0u;

	for (int i = 0; i < count; i++)
		blocked &= ~(1u << types[i]);
	return setsockopt(descriptor, SLUICE_SOL_RAW, SLUICE_ICMP_FILTER, &blocked, sizeof(blocked));
}

static inline int icmp6_accept(int descriptor, const uint8_t *types, int count)
{
	struct icmp6_filter filter;

	ICMP6_FILTER_SETBLOCKALL(&filter);
	for (int i = 0; i < count; i++)
		ICMP6_FILTER_SETPASS(types[i], &filter);
	return setsockopt(descriptor, IPPROTO_ICMPV6, ICMP6_FILTER, &filter, sizeof(filter));
}

/* struct in_pktinfo and in6_pktinfo (RFC 3542), which libc has for _GNU_SOURCE only. */
struct icmp_source4 {
	int interface;
	uint8_t source[4];
	uint8_t destination[4];
};

struct icmp_source6 {
	uint8_t source[16];
	unsigned int interface;
};

/*
 * Sends a message to an address, over an interface (0: as the routes say) and from an address of the same family as
 * the destination's (NULL: as the routes say). Addresses are 4 or 16 octets. Returns 0, or -1 and errno.
 */
static inline int icmp_send(int descriptor, int family, const uint8_t *to, const uint8_t *from,
			    unsigned int interface, const uint8_t *message, unsigned long length)
{
	struct sockaddr_in to4 = { .sin_family = AF_INET };
	struct sockaddr_in6 to6 = { .sin6_family = AF_INET6, .sin6_scope_id = interface };
	union {
		struct cmsghdr header;
		char octets[CMSG_SPACE(sizeof(struct icmp_source6))];
	} control = {};
	struct iovec vector = { .iov_base = (void *)message, .iov_len = length };
	struct msghdr head = { .msg_iov = &vector, .msg_iovlen = 1, .msg_control = &control };

	if (family == AF_INET) {
		struct icmp_source4 info = { .interface = interface };

		memcpy(&to4.sin_addr, to, 4);
		if (from)
			memcpy(info.source, from, 4);
		head.msg_name = &to4;
		head.msg_namelen = sizeof(to4);
		head.msg_controllen = CMSG_SPACE(sizeof(info));
		control.header.cmsg_level = IPPROTO_IP;
		control.header.cmsg_type = IP_PKTINFO;
		control.header.cmsg_len = CMSG_LEN(sizeof(info));
		memcpy(CMSG_DATA(&control.header), &info, sizeof(info));
	} else {
		struct icmp_source6 info = { .interface = interface };

		memcpy(&to6.sin6_addr, to, 16);
		if (from)
			memcpy(info.source, from, 16);
		head.msg_name = &to6;
		head.msg_namelen = sizeof(to6);
		head.msg_controllen = CMSG_SPACE(sizeof(info));
		control.header.cmsg_level = IPPROTO_IPV6;
		control.header.cmsg_type = IPV6_PKTINFO;
		control.header.cmsg_len = CMSG_LEN(sizeof(info));
		memcpy(CMSG_DATA(&control.header), &info, sizeof(info));
	}
	return sendmsg(descriptor, &head, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -1 : 0;
}

#endif
