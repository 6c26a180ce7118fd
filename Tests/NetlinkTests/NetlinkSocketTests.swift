// SPDX-License-Identifier: Apache-2.0
import Glibc
import Testing

@testable import Netlink

@Suite struct ReplyTests {
  private func message(
    _ type: Int, sequence: UInt32 = 7, port: UInt32 = 42, flags: Int32 = 2, payload: [UInt8] = []
  ) -> Message {
    Message(type: type, flags: flags, sequence: sequence, port: port, payload: payload[...])
  }

  private func refusal(_ code: Int32) -> [UInt8] {
    withUnsafeBytes(of: -code) { Array($0) } + [UInt8](repeating: 0, count: 16)
  }

  @Test func answersEndWithTheAcknowledgement() {
    var reply = Reply(sequence: 7, port: 42, isAcknowledged: true)
    #expect(reply.add([message(16), message(16)]) == .incomplete)
    #expect(reply.add([message(16), message(3)]) == .complete)
    #expect(reply.messages.count == 3)
    #expect(reply.add([message(2, payload: refusal(0))]) == .complete)
    #expect(reply.add([message(2, payload: refusal(EPERM))]) == .failed(errno: EPERM, kernelMessage: nil))
    #expect(reply.add([message(2)]) == .failed(errno: EBADMSG, kernelMessage: nil))
  }

  @Test func answersWithoutAcknowledgementAreOneMessage() {
    var reply = Reply(sequence: 7, port: 42, isAcknowledged: false)
    #expect(reply.add([message(24, sequence: 6)]) == .incomplete)
    #expect(reply.add([message(24)]) == .complete)
    #expect(reply.messages.count == 1)
    reply = Reply(sequence: 7, port: 42, isAcknowledged: false)
    #expect(
      reply.add([message(2, payload: refusal(ENETUNREACH))])
        == .failed(errno: ENETUNREACH, kernelMessage: nil))
  }

  @Test func answersToOthersAreSkipped() {
    var reply = Reply(sequence: 7, port: 42, isAcknowledged: true)
    #expect(
      reply.add([message(3, sequence: 6), message(16, sequence: 6), message(3, port: 41)]) == .incomplete)
    #expect(reply.messages.isEmpty)
  }

  /// The mark may be on any message of the list, the last one included.
  @Test(arguments: [0, 1, 2]) func changedListsAreInterrupted(_ marked: Int) {
    var reply = Reply(sequence: 7, port: 42, isAcknowledged: true)
    let list = [16, 16, 3].enumerated().map { message($1, flags: $0 == marked ? 0x12 : 2) }
    #expect(reply.add(list) == .interrupted)
  }
}

@Suite(.timeLimit(.minutes(10))) struct NetlinkSocketTests {
  @Test func lateAnswersAreSkipped() throws {
    let wire = try Wire()
    var socket = try wire.nearSocket()
    let before = try socket.links()
    // Asked, and not waited for.
    let forgotten = NetlinkSocket.linkRequest(flags: 0x300).numbered(4711)
    #expect(send(socket.descriptorNumber, forgotten, forgotten.count, 0) == forgotten.count)
    let after = try socket.links()
    #expect(after == before)
    _ = send(socket.descriptorNumber, forgotten, forgotten.count, 0)
    #expect(try socket.link(named: "slnl9") == nil)
  }

  @Test func listsLongerThanADatagramAreReadWhole() throws {
    let namespace = try NetworkNamespace()
    try namespace.run(
      "sh", "-c",
      "for i in $(seq 1 1000); do echo address add 10.0.$((i / 250)).$((i % 250))/32 dev lo; done | ip -b -")
    var socket = try namespace.inside { try NetlinkSocket() }
    let addresses = try socket.addresses(interfaceIndex: 1)
    #expect(Set(addresses.filter { "\($0.address)".hasPrefix("10.0.") }).count == 1000)
  }

  @Test func aFullBufferIsTold() throws {
    let wire = try Wire()
    // Several megabytes of notifications for one socket that nobody reads.
    let socket = try wire.near.inside { try NetlinkSocket(subscribingTo: [.init(1)]) }
    try wire.near.run(
      "sh", "-c", "for i in $(seq 1 4000); do echo link set slnl0 mtu $((1000 + i % 2)); done | ip -b -")
    let error = failure {
      while true { _ = try socket.receive("receive", "notifications", waiting: false) }
    }
    #expect(error?.errno == ENOBUFS)
    // What was kept can be read afterwards.
    #expect(try socket.receive("receive", "notifications", waiting: false).first.flatMap(Link.init) != nil)
  }
}
