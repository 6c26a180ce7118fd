// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import ControlAPI

@main
struct SluiceBackend: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "sluice-backend",
    abstract: "The backend's side of Sluice: takes what the balancers send out of its tunnel.",
    discussion: """
      A balancer wraps each packet of a client into an IP packet to this host. `up` attaches a program that \
      unwraps it, only from the balancers and only for the VIPs, and gives this host the VIPs. The answer goes \
      straight to the client.

      EXAMPLES
        sluice-backend up --interface eth0 --vip 192.0.2.10,2001:db8::10 --allow 10.0.2.0/24,fd00:2::/64
        sluice-backend doctor --interface eth0
        sluice-backend status -o json
        sluice-backend down --interface eth0
      """, version: Version.current,
    subcommands: [Up.self, Down.self, Status.self, Doctor.self, AttachPass.self])
}
