// SPDX-License-Identifier: Apache-2.0
import LoadBalancing
import Probing
import Testing

@Test("A check's kind is named as the configuration names it, and travels by its own transport")
func kinds() {
  let tls = HealthCheck.Kind.http(HTTPQuestion(tls: .init()))
  #expect(tls.name == "https")
  #expect(tls.transport == .tcp)
  #expect(HealthCheck.Kind.dns(DNSQuestion(name: ".", transport: .tcp)).transport == .tcp)
  #expect(HealthCheck.Kind.icmp.transport == nil)
}
