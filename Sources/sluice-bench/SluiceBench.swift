// SPDX-License-Identifier: Apache-2.0
import ArgumentParser

/// `sluice-bench`: what a packet and a table cost.
@main
struct SluiceBench: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "sluice-bench", abstract: "What a packet and a table cost.",
    subcommands: [Measure.self, Live.self, ControlBench.self, LoadForwarder.self],
    defaultSubcommand: Measure.self)
}
