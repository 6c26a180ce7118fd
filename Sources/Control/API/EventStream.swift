// SPDX-License-Identifier: Apache-2.0
internal import ControlAPI
internal import Foundation
internal import HTTPTypes
internal import Hummingbird
internal import LoadBalancing
internal import NIOCore

extension HTTPField.Name {
  /// When this run of the daemon started. Sequence numbers of events are unique within a run.
  static let sluiceStarted = HTTPField.Name("Sluice-Started")!
}

extension ControlRoutes {
  /// Events as NDJSON: those that there are, or those to come, too.
  var eventsRoute: Route {
    Route(.get, "/v1/events", query: ["follow", "since", "type"], lists: ["type"]) { _, context in
      let types = try eventTypes(context.query.list("type"))
      let since = try context.query.number("since", digits: 18).map(UInt64.init)
      guard try context.query.flag("follow") else {
        return try answer(ResponseBody(byteBuffer: lines(plane.events.events(since: since, types: types))))
      }
      guard let follower = plane.events.follow(since: since, types: types) else {
        throw ControlError(
          .serviceUnavailable, "too-many-followers",
          "\(EventLog.followerLimit) clients follow events already; end one, or ask without follow=1")
      }
      // Who is gone is not noticed by writing while there is nothing to write.
      context.control.channel.closeFuture.whenComplete { [weak follower] _ in follower?.leave() }
      return answer(stream(to: follower))
    }
  }

  private func stream(to follower: EventFollower) -> ResponseBody {
    ResponseBody { [heartbeat] writer in
      var silentSince = ContinuousClock.now
      while var events = await follower.next(until: silentSince + heartbeat) {
        if events.isEmpty {
          guard ContinuousClock.now - silentSince >= heartbeat else { continue }
          events = [Event(time: EventLog.timestamp(Date()), type: "heartbeat")]
        }
        try await writer.write(lines(events))
        silentSince = .now
      }
      try await writer.finish(nil)
    }
  }

  private func answer(_ body: ResponseBody) -> Response {
    Response(
      status: .ok,
      headers: [.contentType: "application/x-ndjson", .sluiceStarted: plane.events.startedAt], body: body)
  }

  private func lines(_ events: [Event]) throws -> ByteBuffer {
    var buffer = ByteBuffer()
    for event in events { buffer.writeBytes(try ControlJSON.encode(event) + [0x0a]) }
    return buffer
  }

  private func eventTypes(_ names: [String]) throws -> Set<String> {
    for name in names where !EventLog.types.contains(name) {
      throw ControlError.unknownKey("event type", name, among: EventLog.types)
    }
    return Set(names)
  }
}
