// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import BPF
internal import Netlink

/// For labs: on veth, an XDP program at one end can transmit only while the other end has a program too.
struct AttachPass: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "attach-pass", abstract: "Attach a native XDP program that passes every packet.",
    shouldDisplay: false)

  @Option(help: ArgumentHelp("The interface.", valueName: "if"))
  var interface: String

  @Option(
    help: ArgumentHelp("Where the attachment is pinned; remove it to end the attachment.", valueName: "path"))
  var pin: String

  func run() throws {
    var host = try Host()
    let link = try host.interface(interface)
    var object = try BPFObject.open(.decapsulate_xdp)
    try object.setAutoload(program: DecapsulationMode.xdp.program, false)
    let pass = try object.load().program("pass")
    try BPFLink.attachXDP(pass, interfaceIndex: link.index, mode: .native).pin(at: pin)
  }
}
