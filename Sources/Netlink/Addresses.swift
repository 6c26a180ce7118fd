// SPDX-License-Identifier: Apache-2.0

// The values in this module's interface: who imports Netlink has them.
@_exported public import Addresses
