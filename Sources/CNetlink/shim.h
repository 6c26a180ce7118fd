/* The kernel's route netlink: links, addresses, routes, neighbours. */
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/if_link.h>
#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <net/if.h>
