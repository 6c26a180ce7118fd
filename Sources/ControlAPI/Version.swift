// SPDX-License-Identifier: Apache-2.0

/// The version of Sluice that commands and the API report.
public enum Version {
  public static let current = "0.1.0"
}
