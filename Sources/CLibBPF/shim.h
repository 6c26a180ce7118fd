/* What libbpf 1.1 offers, and the kernel constants its calls take. */
#include <bpf/libbpf.h>
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <linux/if_link.h>
#include <net/if.h>
