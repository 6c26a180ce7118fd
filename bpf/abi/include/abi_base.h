/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* What every ABI header needs. */
#ifndef SLUICE_ABI_BASE_H
#define SLUICE_ABI_BASE_H

#include <linux/types.h>
#include <stddef.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "The layout of words, keys and headers is little-endian."
#endif

/* Values read from the kernel may be newer than the reader: open enums. */
#define ABI_OPEN_ENUM __attribute__((enum_extensibility(open)))

/*
 * An enum whose names Swift shows is made from a list: a macro LIST(X) that expands X(ENUMERATOR) for each enumerator.
 * A second expansion makes the names.
 */
#define ABI_ENUMERATOR(name) name,

/* A function of the packet path: BPF has no stack arguments, and a call costs as much as three lookups in an array. */
#define ABI_INLINE static inline __attribute__((always_inline))

#endif
