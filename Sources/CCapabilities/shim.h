/* capabilities(7). glibc has the two calls but declares them nowhere; prctl(2) is variadic, which Swift cannot call. */
#include <linux/capability.h>
#include <sys/prctl.h>

int capget(cap_user_header_t header, cap_user_data_t data);
int capset(cap_user_header_t header, const cap_user_data_t data);

/* Each returns 0, or -1 with errno, for the calling thread. */
static inline int bounding_set_drop(unsigned long capability)
{
	return prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
}

static inline int ambient_set_clear(void)
{
	return prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
}

static inline int no_new_privileges(void)
{
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}
