// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import LoadBalancing

/// Questions that one message answers.
extension ProbeRun {
  /// Datagrams that are no answer to the query, and are passed over: late ones to a port that was somebody else's.
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
      run.note("reply of \(reply.count) octets")
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

  /// Over TCP a message follows its length (RFC 1035 §4.2.2).
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
    note("answer: response code \(answer.responseCode), \(answer.addresses.count) addresses")
    finish(answer.failure(for: question))
  }

  // MARK: Sockets

  /// - Returns: whether the octets went out; else the probe is over.
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

  /// What has come; nil: nothing yet, or an error that ended the probe.
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
  /// The message that its length in two octets stands before; nil: it is not complete.
  fileprivate var messageAfterItsLength: ArraySlice<UInt8>? {
    guard count >= 2 else { return nil }
    let end = 2 + (Int(self[0]) << 8 | Int(self[1]))
    return count >= end ? self[2..<end] : nil
  }
}

extension ArraySlice<UInt8> {
  /// Whether the octets stand in it, one behind the other.
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
