// SPDX-License-Identifier: Apache-2.0
import ConfigurationFile
import Testing

/// What is refused although it makes sense elsewhere is refused with the reason.
@Suite struct ReasonTests {
  private func message(of text: String) throws -> String {
    let report = parse(text)
    #expect(report.errors.count == 1, "\(report.rendered())")
    return try #require(report.errors.first).message
  }

  @Test(arguments: ["web1.example.com", "web1", "localhost", "WEB-1.example."])
  func hostNames(name: String) throws {
    let message = try message(of: goodText.replacingFirst("10.0.0.11", with: name))
    #expect(message.contains("host names are not resolved"), "\(message)")
    #expect(whyNoAddress(name) != nil)
  }

  @Test(arguments: ["\"10.0.0.11:8080\"", "\"[2001:db8::1]:80\""])
  func addressesWithPorts(text: String) throws {
    let message = try message(of: goodText.replacingFirst("10.0.0.11", with: text))
    #expect(message.contains("packets keep the port that clients use"), "\(message)")
  }

  @Test(arguments: ["10.0.0.256", "10.0.0.11/32", "\"2001:db8:::1\"", "\"\""])
  func othersAreWrongOnly(text: String) throws {
    let message = try message(of: goodText.replacingFirst("10.0.0.11", with: text))
    #expect(!message.contains("resolved") && !message.contains("port"), "\(message)")
  }

  @Test func aPortOfABackend() throws {
    let message = try message(of: goodText.replacingFirst("weight: 50", with: "weight: 50, port: 8080"))
    #expect(message.contains("packets keep the port that clients use"), "\(message)")
  }

  @Test func aRangeThatIsTooWideNamesTheServiceOfAllPorts() throws {
    let report = parse(goodText.replacingFirst("5300-5303/udp", with: "1-65535/udp"))
    let error = try #require(report.errors.first)
    #expect(error.message.contains("any/udp is one for all ports") && error.suggestion == "any/udp")
    #expect(report.errors.count == 1)
  }
}
