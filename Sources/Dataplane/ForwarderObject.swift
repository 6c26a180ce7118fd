// SPDX-License-Identifier: Apache-2.0
public import BPF

/// The forwarder's compiled program, as it travels in the binary.
public enum ForwarderObject {
  public static var embedded: EmbeddedObject { .forwarder }
}
