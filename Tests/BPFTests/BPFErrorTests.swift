// SPDX-License-Identifier: Apache-2.0
import Glibc
import Testing

@testable import BPF

@Suite struct BPFErrorTests {
  @Test(arguments: [
    (
      BPFError(.lookup, "flows", errno: E2BIG), "cannot read map 'flows': Argument list too long (E2BIG)"
    ),
    (
      BPFError(.load, "probe", errno: EACCES, detail: "BPF program load failed", verifierLog: ["R1 invalid"]),
      "cannot load BPF object 'probe': Permission denied (EACCES): BPF program load failed\n  R1 invalid"
    ),
    (
      BPFError(.load, "probe", errno: EPERM),
      "cannot load BPF object 'probe': Operation not permitted (EPERM). This needs the capabilities CAP_BPF and "
        + "CAP_NET_ADMIN; run as root, or grant them to the service"
    ),
    (
      BPFError(.openPinned, "/sys/fs/bpf/x", errno: ENOENT),
      "cannot open the pin '/sys/fs/bpf/x': No such file or directory (ENOENT). Nothing is pinned there"
    ),
    (
      BPFError(.attach, "eth0", errno: EBUSY, detail: "XDP program 'a' (id 1, native) is attached already"),
      "cannot attach to 'eth0': Device or resource busy (EBUSY): XDP program 'a' (id 1, native) is attached "
        + "already. Only one program can be attached at a time; detach the other first"
    ),
    (BPFError(.update, "x", errno: 524), "cannot write map 'x': unknown error (524)"),
  ])
  func errorReadsAsASentence(error: BPFError, sentence: String) {
    #expect(error.description == sentence)
  }
}
