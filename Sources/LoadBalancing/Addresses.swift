// SPDX-License-Identifier: Apache-2.0

// The values in this module's interface: who imports LoadBalancing has them.
@_exported public import Addresses
