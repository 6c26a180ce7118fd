// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import LoadBalancing

/// Questions over sockets of their own: a datagram and its reply, a DNS query and its answer.
extension ProbeRun {
  func send(_ question: DatagramQuestion) {
    guard send(question.payload) else { return }
    awaitDatagram { reply in
      guard let wanted = question.reply, !reply.holds(wanted) else { return .passed }
      return .failed(.init(.body, "the reply of \(reply.count) octets does not hold what is expected"))
    }
  }

  func ask(_ question: DNSQuestion) {
    let message = DNSMessage(identifier: .random(in: 0...UInt16.max), question: question)
    guard let query = message.query else {
      return finish(.init(.local, "\"\(question.name)\" is no name that can be asked for"))
    }
    if question.transport == .udp {
      guard send(query) else { return }
      awaitDatagram { message.read($0) }
    } else {
      // Over TCP a length goes before each message.
      guard send([UInt8(query.count >> 8), UInt8(query.count & 0xff)] + query) else { return }
      awaitAnswer(to: message, [])
    }
  }

  /// - Returns: whether it is sent; if not, the probe is over.
  private func send(_ octets: [UInt8]) -> Bool {
    let count = unsafe Glibc.send(descriptor, octets, octets.count, CInt(MSG_NOSIGNAL))
    if count == octets.count { return true }
    finish(count < 0 ? .connecting(to: probe, errno) : .init(.local, "the question was sent in part only"))
    return false
  }

  private func awaitDatagram(_ read: @escaping ([UInt8]) -> DNSMessage.Reading) {
    wait(for: .reading, expecting: "no reply") { run in
      switch run.receive() {
      case .octets(let octets):
        switch read(octets) {
        case .passed: run.finish(nil)
        case .failed(let failure): run.finish(failure)
        // A late or forged one; the right one may still come.
        case .foreign: run.awaitDatagram(read)
        }
      case .nothing: run.awaitDatagram(read)
      case .failed(ECONNREFUSED): run.finish(.init(.port, "port unreachable"))
      case .failed(let number): run.finish(.connecting(to: run.probe, number))
      }
    }
  }

  private func awaitAnswer(to message: DNSMessage, _ before: [UInt8]) {
    wait(for: .reading, expecting: "no answer") { run in
      switch run.receive() {
      case .octets([]): run.finish(.init(.port, "connection closed before an answer"))
      case .octets(let octets): run.read(before + octets, as: message)
      case .nothing: run.awaitAnswer(to: message, before)
      case .failed(let number): run.finish(.connecting(to: run.probe, number))
      }
    }
  }

  private func read(_ octets: [UInt8], as message: DNSMessage) {
    guard octets.count >= 2 else { return awaitAnswer(to: message, octets) }
    let length = Int(octets[0]) << 8 | Int(octets[1])
    guard octets.count >= 2 + length else { return awaitAnswer(to: message, octets) }
    switch message.read(Array(octets[2..<2 + length])) {
    case .passed: finish(nil)
    case .failed(let failure): finish(failure)
    case .foreign: finish(.init(.body, "no DNS answer: it is for another query"))
    }
  }

  private enum Receipt {
    case octets([UInt8])
    case nothing
    case failed(CInt)
  }

  /// A datagram, or what a connection has, as far as a message can be long.
  private func receive() -> Receipt {
    var buffer = [UInt8](repeating: 0, count: 4096)
    let count = unsafe recv(descriptor, &buffer, buffer.count, 0)
    if count >= 0 { return .octets(Array(buffer[..<count])) }
    return errno == EAGAIN || errno == EINTR ? .nothing : .failed(errno)
  }
}

extension [UInt8] {
  /// Whether they stand somewhere in it, one after the other.
  fileprivate func holds(_ wanted: [UInt8]) -> Bool {
    guard !wanted.isEmpty else { return true }
    guard count >= wanted.count else { return false }
    return (0...count - wanted.count).contains { self[$0..<$0 + wanted.count].elementsEqual(wanted) }
  }
}
