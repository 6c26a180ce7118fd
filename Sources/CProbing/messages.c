// SPDX-License-Identifier: Apache-2.0
#include "CProbing.h"

#include <string.h>
#include <time.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <sys/socket.h>

ssize_t send_from(int descriptor, const void *to, uint32_t size, const void *from, uint32_t interface, const void *data,
		  size_t length)
{
	struct { struct in6_addr address; uint32_t interface; } info6 = { .interface = interface };
	struct in_pktinfo info4 = { .ipi_ifindex = (int)interface };
	union { char room[CMSG_SPACE(sizeof(info6))]; struct cmsghdr align; } control = { 0 };
	struct iovec part = { .iov_base = (void *)data, .iov_len = length };
	struct msghdr message = { .msg_name = (void *)to, .msg_namelen = size, .msg_iov = &part, .msg_iovlen = 1,
				  .msg_control = &control };
	int is_v4 = ((const struct sockaddr *)to)->sa_family == AF_INET;
	size_t info_size = is_v4 ? sizeof(info4) : sizeof(info6);
	struct cmsghdr *header;

	if (is_v4)
		info4.ipi_spec_dst = ((const struct sockaddr_in *)from)->sin_addr;
	else
		info6.address = ((const struct sockaddr_in6 *)from)->sin6_addr;
	message.msg_controllen = CMSG_SPACE(info_size);
	header = CMSG_FIRSTHDR(&message);
	header->cmsg_level = is_v4 ? IPPROTO_IP : IPPROTO_IPV6;
	header->cmsg_type = is_v4 ? IP_PKTINFO : IPV6_PKTINFO;
	header->cmsg_len = CMSG_LEN(info_size);
	memcpy(CMSG_DATA(header), is_v4 ? (void *)&info4 : (void *)&info6, info_size);
	return sendmsg(descriptor, &message, 0);
}

int take_icmp_error(int descriptor, void *sender)
{
	union { char room[512]; struct cmsghdr align; } control;
	struct msghdr message = { .msg_control = &control, .msg_controllen = sizeof(control) };

	if (recvmsg(descriptor, &message, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
		return 0;
	for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
		const struct sock_extended_err *error = (const void *)CMSG_DATA(header);
		const struct sockaddr *who = SO_EE_OFFENDER(error);

		if ((header->cmsg_level != IPPROTO_IP || header->cmsg_type != IP_RECVERR) &&
		    (header->cmsg_level != IPPROTO_IPV6 || header->cmsg_type != IPV6_RECVERR))
			continue;
		if (error->ee_origin != SO_EE_ORIGIN_ICMP && error->ee_origin != SO_EE_ORIGIN_ICMP6)
			return 0;
		if (who->sa_family != AF_INET && who->sa_family != AF_INET6)
			return 0;
		memcpy(sender, who, who->sa_family == AF_INET ? sizeof(struct sockaddr_in)
							       : sizeof(struct sockaddr_in6));
		return 1;
	}
	return 0;
}

void drop_errors(int descriptor)
{
	struct msghdr message = { 0 };

	while (recvmsg(descriptor, &message, MSG_ERRQUEUE | MSG_DONTWAIT) >= 0)
		message = (struct msghdr){ 0 };
}
