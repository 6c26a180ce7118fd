// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import BPF
internal import Netlink

/// For laboratories: on veth, a program at one end can only transmit when the other end has one too.
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
    var object = try BPFObject.open(.decapsulate)
    for program in Decapsulation.programs where program != "pass" {
      try object.setAutoload(program: program, false)
    }
    let pass = try object.load().program("pass")
    try BPFLink.attachXDP(pass, interfaceIndex: link.index, mode: .native).pin(at: pin)
  }
}
