// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import ControlAPI
internal import NIOHTTP1

struct StatusCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "status", abstract: "One screen: attachment, configuration, packets, pools, alarms.")
  @OptionGroup var daemon: DaemonOptions

  func run() async throws {
    try await daemon.show(.GET, "/v1/status", as: Status.self, Rendering.status)
  }
}

struct ServiceCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "service", abstract: "Virtual services: address, port, protocol and pool.",
    discussion: "EXAMPLES\n  sluice service list\n  sluice service show web -o json",
    subcommands: [List.self, Show.self])

  struct List: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "All of them.")
    @OptionGroup var daemon: DaemonOptions

    func run() async throws {
      try await daemon.show(.GET, "/v1/services", as: [ServiceRow].self) {
        Rendering.services($0, headers: !daemon.noHeaders)
      }
    }
  }

  struct Show: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Those of one name.")
    @Argument(help: "The service's name in the configuration.") var name: String
    @OptionGroup var daemon: DaemonOptions

    func run() async throws {
      try await daemon.show(.GET, "/v1/services/\(escaped(name))", as: [ServiceRow].self) {
        Rendering.services($0, headers: !daemon.noHeaders)
      }
    }
  }
}

struct PoolCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "pool", abstract: "Pools and their forwarding tables.", subcommands: [List.self])

  struct List: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "All of them.", discussion: "Balancers with the same DIGEST have the same table.")
    @OptionGroup var daemon: DaemonOptions

    func run() async throws {
      try await daemon.show(.GET, "/v1/pools", as: [PoolRow].self) {
        Rendering.pools($0, headers: !daemon.noHeaders)
      }
    }
  }
}

struct MetricsCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "metrics", abstract: "All metrics in the Prometheus text format.")
  @OptionGroup var daemon: DaemonOptions

  func run() async throws {
    try await reportingFailure {
      print(String(decoding: try await daemon.client.send(.GET, "/metrics"), as: UTF8.self), terminator: "")
    }
  }
}

struct DetachCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "detach", abstract: "End forwarding: take the program off the interface, remove the pins.",
    discussion: "Stopping the daemon does not do this. A restart of the daemon attaches again.")
  @Flag(help: "Do not ask.") var yes = false
  @OptionGroup var change: ChangeOptions
  @OptionGroup var daemon: DaemonOptions

  func run() async throws {
    if !change.dryRun { try confirm("End forwarding for all services?", yes: yes) }
    try await reportingFailure {
      _ = try await daemon.client.send(.POST, change.path("/v1/detach"))
      print(change.dryRun ? "dry run: nothing was changed" : "detached: nothing is forwarded any more")
    }
  }
}

struct APICommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "api", abstract: "A raw request.", discussion: "EXAMPLE\n  sluice api GET /v1/status")
  @Argument(help: "GET, POST, PATCH or DELETE.") var method: String
  @Argument(help: "Such as /v1/backends.") var path: String
  @OptionGroup var daemon: DaemonOptions

  func run() async throws {
    try await reportingFailure {
      let answer = try await daemon.client.send(HTTPMethod(rawValue: method.uppercased()), path)
      print(String(decoding: answer, as: UTF8.self), terminator: "")
    }
  }
}
