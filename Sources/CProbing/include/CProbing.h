/*
 * epoll(7) in words and numbers: the union in struct epoll_event has no safe form in Swift. And messages of sockets that
 * carry control data, whose macros Swift does not see. Addresses are untyped here: a module that includes <sys/socket.h>
 * would hide the types of Glibc's.
 */
#ifndef SLUICE_CPROBING_H
#define SLUICE_CPROBING_H

#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/types.h>

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

/*
 * Sends from an address of this host and by an interface; zero leaves either to the routes. Both addresses are a struct
 * sockaddr of one family. As sendmsg(2).
 */
ssize_t send_from(int descriptor, const void *to, uint32_t size, const void *from, uint32_t interface, const void *data,
		  size_t length);

/*
 * Takes the oldest error off the socket's queue (IP_RECVERR). 1: an ICMP message was its reason, and who sent it has
 * been filled in (struct sockaddr_storage); 0: something else, or none.
 */
int take_icmp_error(int descriptor, void *sender);

/* Empties the queue of errors. */
void drop_errors(int descriptor);

#endif
