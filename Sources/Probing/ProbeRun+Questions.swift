// SPDX-License-Identifier: Apache-2.0
internal import LoadBalancing

extension ProbeRun {
  func ask(_ question: DNSQuestion) { finish(.init(.local, "dns is not there yet")) }
  func send(_ question: DatagramQuestion) { finish(.init(.local, "udp is not there yet")) }
  func askForEcho() { finish(.init(.local, "icmp is not there yet")) }
}
