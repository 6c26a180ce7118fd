// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import ControlAPI
internal import Foundation
internal import NIOHTTP1

struct StatusCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "status", abstract: "One screen: attachment, configuration, packets, pools, alarms.",
    discussion: """
      EXAMPLES
        sluice status
        sluice status -o json | jq '.alarms'
      """)
  @OptionGroup var answer: AnswerOptions

  func run() async throws {
    try await answer.show(.GET, "/v1/status", as: Status.self) { Rendering.status($0, now: Date()) }
  }
}

struct ServiceCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "service", abstract: "Virtual services: address, port, protocol and pool.",
    discussion: """
      EXAMPLES
        sluice service list
        sluice service show web -o json
      """, subcommands: [List.self, Show.self])

  struct List: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "All virtual services.", discussion: "EXAMPLE\n  sluice service list --no-headers")
    @OptionGroup var list: ListOptions

    func run() async throws {
      try await list.show("/v1/services", as: ServiceRow.self, Rendering.services)
    }
  }

  struct Show: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "The virtual services of one name.", discussion: "EXAMPLE\n  sluice service show web")
    @Argument(help: "The service's name in the configuration.") var name: String
    @OptionGroup var list: ListOptions

    func run() async throws {
      try await list.show("/v1/services/\(escaped(name))", as: ServiceRow.self, Rendering.services)
    }
  }
}

struct PoolCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "pool", abstract: "Pools and their forwarding tables.",
    discussion: "EXAMPLE\n  sluice pool list", subcommands: [List.self])

  struct List: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "All pools.",
      discussion: """
        Balancers that show the same DIGEST have the same table. CHANGED counts the slots that changed recently: their \
        flows are recorded in the flow table.

        EXAMPLE
          sluice pool list
        """)
    @OptionGroup var list: ListOptions

    func run() async throws {
      try await list.show("/v1/pools", as: PoolRow.self, Rendering.pools)
    }
  }
}

struct MetricsCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "metrics", abstract: "All metrics in the Prometheus text format.",
    discussion: "EXAMPLE\n  sluice metrics | grep sluice_packets_total")
  @OptionGroup var daemon: DaemonOptions

  func run() async throws { try await daemon.copy(.GET, "/metrics") }
}

struct DetachCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "detach",
    abstract: "End forwarding: detach the program from the interface and remove its pins.",
    discussion: """
      Stopping the daemon does not do this. `sluice attach` or a restart of the daemon brings forwarding back. \
      Without a daemon: sluiced --detach.

      EXAMPLE
        sluice detach --yes && systemctl stop sluiced
      """)
  @OptionGroup var change: DryRunOptions
  @OptionGroup var confirmation: ConfirmationOptions
  @OptionGroup var answer: AnswerOptions

  func run() async throws {
    if !change.dryRun { try confirmation.confirm("End forwarding for all services?") }
    try await answer.show(.POST, change.path("/v1/detach"), as: ChangeReply.self, Rendering.effect)
  }
}

struct AttachCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "attach", abstract: "Bring forwarding back after `detach`.",
    discussion: """
      The daemon attaches and pins its program again, with the tables as they are now. If the program is attached, \
      nothing changes.

      EXAMPLE
        sluice attach
      """)
  @OptionGroup var change: DryRunOptions
  @OptionGroup var answer: AnswerOptions

  func run() async throws {
    try await answer.show(.POST, change.path("/v1/attach"), as: ChangeReply.self, Rendering.effect)
  }
}

struct APICommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "api", abstract: "Send a request without a body, and print the answer as it is.",
    discussion: """
      GET /v1 lists the paths. GET never changes anything. PATCH needs a body: use `sluice backend set`.

      EXAMPLES
        sluice api GET /v1/status
        sluice api DELETE '/v1/pools/web/backends/web4?dry_run=1'
      """)
  @Argument(help: "GET, POST or DELETE.") var method: String
  @Argument(help: "Such as /v1/backends.") var path: String
  @OptionGroup var daemon: DaemonOptions

  func validate() throws {
    guard ["GET", "POST", "DELETE"].contains(method.uppercased()) else {
      throw ValidationError("\"\(method)\" is none of GET, POST, DELETE")
    }
    guard path.hasPrefix("/"), path.utf8.allSatisfy({ (0x21...0x7e).contains($0) }) else {
      throw ValidationError("\"\(visible(path))\" is not a path such as /v1/backends, escaped where needed")
    }
  }

  func run() async throws { try await daemon.copy(HTTPMethod(rawValue: method.uppercased()), path) }
}
