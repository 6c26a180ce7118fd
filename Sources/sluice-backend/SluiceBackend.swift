// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import ControlAPI

@main
struct SluiceBackend: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "sluice-backend",
    abstract: "The backend's side of Sluice: decapsulates the packets that balancers send.",
    discussion: """
      A balancer encapsulates each client's packet in an IP packet to this host: IPIP, GUE, FOU or GRE. `up` attaches a program that \
      decapsulates packets from the balancers to the VIPs, and adds the VIPs to lo. The host answers the client \
      directly.

      EXAMPLES
        sluice-backend up --interface eth0 --vip 192.0.2.10,2001:db8::10 --allow 10.0.2.0/24,fd00:2::/64
        sluice-backend doctor --interface eth0
        sluice-backend status -o json
        sluice-backend down --interface eth0
      """, version: Version.current,
    subcommands: [Up.self, Down.self, Status.self, Doctor.self, AttachPass.self])
}
