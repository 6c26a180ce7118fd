/* What libbpf 1.1 offers, and the kernel constants its calls take. */
#include <bpf/libbpf.h>
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <linux/if_link.h>
#include <linux/membarrier.h>
#include <net/if.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

/* Whether the kernel has it: not where CPUs run without a tick (nohz_full). */
static inline _Bool membarrier_has_global(void)
{
	long commands = syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0);

	return commands > 0 && commands & MEMBARRIER_CMD_GLOBAL;
}

/* syscall(2) is variadic, which Swift cannot call. Returns 0, or -1 with errno. */
static inline int membarrier_global(void)
{
	return (int)syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0);
}
