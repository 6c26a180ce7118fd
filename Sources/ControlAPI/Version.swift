// SPDX-License-Identifier: Apache-2.0

/// The version of Sluice, as commands and the API tell it.
public enum Version {
  public static let current = "0.1.0"
}
