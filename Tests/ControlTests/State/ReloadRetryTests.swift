// SPDX-License-Identifier: Apache-2.0
import ConfigurationFile
import ControlAPI
import Glibc
import LoadBalancing
import Testing

@testable import Control
@testable import Dataplane

/// Reloads that fail are tried again, and what an operator has forced stays forced.
@Suite struct ReloadRetryTests {
  /// A file under which slots forget their flows.
  private static func rehashed(_ backends: [Int] = [1, 2, 3]) -> Configuration {
    var pool = ControlWorld.pool("web", backends)
    pool.hash = .source
    return ControlWorld.configuration(pools: [pool])
  }

  /// A reload that the data plane refused, and whose former state is in force again.
  private static func failed(_ file: Configuration, _ terms: ChangeTerms = ChangeTerms()) -> ControlWorld {
    var world = ControlWorld.running()
    world.file = file
    world.request(.reload, terms)
    while world.pending.contains(where: { $0.name != "apply" }) { world.complete { $0.name != "apply" } }
    world.complete(failing: true) { $0.name == "apply" }
    world.completeAll()
    return world
  }

  @Test func `a dry run does not cancel a reload that is to be tried again`() {
    let file = ControlWorld.configuration(pools: [ControlWorld.pool("web", [1, 2])])
    var world = Self.failed(file)
    #expect(world.state.view.configuration.lastReload.result == .failed)
    var dry = ChangeTerms()
    dry.dryRun = true
    world.request(.reload, dry)
    world.completeAll()
    world.handle(.tick)
    world.completeAll()
    #expect(world.state.view.configuration.inForce.desired == file.desired)
    #expect(world.state.view.configuration.lastReload.isSuccessful)
  }

  @Test func `a reload by an operator takes the place of the one that is to be tried again`() {
    var world = Self.failed(ControlWorld.configuration(pools: [ControlWorld.pool("web", [1, 2])]))
    world.request(.reload)
    world.completeAll()
    #expect(!world.handle(.tick).contains { $0.name == "loadConfiguration" })
  }

  @Test func `a forced reload is tried again with force`() {
    let file = Self.rehashed()
    var world = Self.failed(file, ChangeTerms(force: true))
    #expect(world.state.view.configuration.lastReload.result == .failed)
    world.handle(.tick)
    world.completeAll()
    #expect(world.state.view.configuration.inForce.desired == file.desired)
    #expect(world.kernel.pools["web"]?.hash == .source)
  }

  @Test func `what the files say otherwise by then is not forced`() {
    var world = Self.failed(Self.rehashed(), ChangeTerms(force: true))
    world.file = Self.rehashed([1, 2])
    world.handle(.tick)
    world.completeAll()
    #expect(world.state.view.configuration.lastReload.result == .refused)
    #expect(world.kernel.pools["web"]?.hash == .flow)
  }

  @Test func `a seed that was forced is refused no more, nor is the one in force`() {
    var world = ControlWorld.running()
    func reload(_ seed: String, _ terms: ChangeTerms = ChangeTerms()) -> ReloadOutcome.Result {
      world.file.node.hashSeed = seed
      world.request(.reload, terms)
      world.completeAll()
      return world.state.view.configuration.lastReload.result
    }
    let (old, new) = (world.file.node.hashSeed, "fedcba9876543210fedcba9876543210")
    #expect(reload(new) == .refused)
    #expect(reload(new, ChangeTerms(force: true)) == .applied)
    #expect(reload(new) == .applied)
    #expect(reload("00000000000000000000000000000000") == .refused)
    #expect(reload(old) == .applied)
    #expect(reload(new) == .refused, "it was taken back")
  }

  @Test func `a file that cannot be read in time has no mistakes`() {
    var world = ControlWorld.running()
    world.request(.reload)
    world.pending.removeAll { $0.name == "loadConfiguration" }
    let file = world.file
    let report = ConfigurationLoader.load(path: "/etc/sluice/sluice.yaml", within: .milliseconds(1)) { _, _ in
      usleep(300_000)
      return ConfigurationReport(configuration: file, diagnostics: [])
    }
    world.handle(.configurationLoaded(1, report))
    #expect(world.state.view.configuration.lastReload.result == .unread)
    #expect(world.state.view.history.reloads == [.unread: 1])
  }
}
