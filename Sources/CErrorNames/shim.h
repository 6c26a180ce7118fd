/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* glibc declares these under _GNU_SOURCE only, which Swift's importer does not define for its module. */
const char *strerrorname_np(int errnum);
const char *strerrordesc_np(int errnum);
