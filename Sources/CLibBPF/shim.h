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

/* glibc shows these under _GNU_SOURCE only, which Swift's importer does not define for its module. */
const char *strerrorname_np(int errnum);
const char *strerrordesc_np(int errnum);

/* syscall(2) is variadic, which Swift cannot call. Returns 0, or -1 with errno. */
static inline int membarrier_global(void)
{
	return (int)syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0);
}
