// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import LoadBalancing

/// Probes that one message answers.
extension ProbeRun {
  /// The number of unrelated datagrams to skip, such as late answers to a previous owner of the port.
  private static let mostForeign = 8
  /// Octets of a UDP header.
  private static let datagramHeader = 8

  // MARK: UDP

  func send(_ question: DatagramQuestion) {
    guard sendAll(question.payload) else { return }
    wait(for: .reading, expecting: "no reply") { run in
      guard let reply = run.receive() else { return }
      if let expected = question.reply, !reply.holds(expected) {
        return run.finish(.init(.body, "the reply of \(reply.count) octets does not hold what is expected"))
      }
      run.addStep("reply of \(reply.count) octets")
      run.finish(nil)
    }
  }

  // MARK: DNS

  func ask(_ question: DNSQuestion) {
    guard let query = DNSMessage.query(question, identifier: .random(in: 0...UInt16.max)) else {
      return finish(.init(.local, "\(question.name) is no domain name"))
    }
    if question.transport == .tcp {
      guard sendAll([UInt8(query.count >> 8), UInt8(query.count & 0xff)] + query) else { return }
      hearMessage(question, query)
    } else {
      guard sendAll(query) else { return }
      hear(question, query, foreign: 0)
    }
  }

  private func hear(_ question: DNSQuestion, _ query: [UInt8], foreign: Int) {
    wait(for: .reading, expecting: "no answer to the query") { run in
      guard let datagram = run.receive() else { return }
      do throws(DNSMessage.Fault) {
        run.judge(try DNSMessage(answering: query, datagram), question)
      } catch {
        guard error == .foreign, foreign < Self.mostForeign else { return run.finish(.answer(error)) }
        run.failureSoFar = .answer(error)
        run.hear(question, query, foreign: foreign + 1)
      }
    }
  }

  /// Over TCP the message's length precedes it (RFC 1035 §4.2.2).
  private func hearMessage(_ question: DNSQuestion, _ query: [UInt8]) {
    wait(for: .reading, expecting: "no answer to the query") { run in
      guard let part = run.receive() else { return }
      if part.isEmpty {
        return run.finish(.init(.body, "the server closed the connection without an answer"))
      }
      run.heard += part
      guard let message = run.heard.messageAfterItsLength else { return run.hearMessage(question, query) }
      do throws(DNSMessage.Fault) {
        run.judge(try DNSMessage(answering: query, message), question)
      } catch {
        run.finish(.answer(error))
      }
    }
  }

  private func judge(_ answer: DNSMessage, _ question: DNSQuestion) {
    addStep("answer: response code \(answer.responseCode), \(answer.addresses.count) addresses")
    finish(answer.failure(for: question))
  }

  // MARK: Sockets

  /// - Returns: whether the octets were sent; otherwise the probe has ended.
  private func sendAll(_ octets: [UInt8]) -> Bool {
    if let tunnel = probe.tunnel, probe.kind.transport == .udp {
      let size = octets.count + Self.datagramHeader + probe.destination.family.headerLength
      guard size <= tunnel.mtu else {
        finish(.init(.mtu, "a datagram of \(size) octets does not fit into the tunnel (\(tunnel.mtu))"))
        return false
      }
    }
    let sent = unsafe Glibc.send(descriptor, octets, octets.count, CInt(MSG_NOSIGNAL))
    if sent == octets.count { return true }
    finish(failure(sent < 0 ? errno : ENOBUFS))
    return false
  }

  /// The received octets; `nil` if there are none yet, or an error ended the probe.
  private func receive() -> ArraySlice<UInt8>? {
    let count = unsafe recv(descriptor, &loop.buffer, loop.buffer.count, 0)
    if count >= 0 {
      hasHeard = true
      return loop.buffer[..<count]
    }
    let number = errno
    if number == EAGAIN { waitAgain() } else { finish(failure(number)) }
    return nil
  }
}

extension [UInt8] {
  /// The message behind its length of two octets; `nil` if it is incomplete.
  fileprivate var messageAfterItsLength: ArraySlice<UInt8>? {
    guard count >= 2 else { return nil }
    let end = 2 + (Int(self[0]) << 8 | Int(self[1]))
    return count >= end ? self[2..<end] : nil
  }
}

extension ArraySlice<UInt8> {
  /// Whether this contains the octets as a contiguous run.
  func holds(_ pattern: [UInt8]) -> Bool {
    guard let first = pattern.first else { return true }
    return indices.contains { self[$0] == first && self[$0...].starts(with: pattern) }
  }
}

extension ProbeOutcome.Failure {
  fileprivate static func answer(_ fault: DNSMessage.Fault) -> Self {
    switch fault {
    case .foreign: .init(.body, "the answer is to another query")
    case .malformed(let what): .init(.body, "malformed answer: \(what)")
    }
  }
}
