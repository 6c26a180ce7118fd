/*
 * epoll(7) in words and numbers: the union in struct epoll_event has no safe form in Swift. And what the probes need of
 * Linux that Glibc's module does not have.
 */
#ifndef SLUICE_CPROBING_H
#define SLUICE_CPROBING_H

#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

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

#endif
