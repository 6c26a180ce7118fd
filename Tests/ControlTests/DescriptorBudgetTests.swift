// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Control

@Suite struct DescriptorBudgetTests {
  @Test(arguments: [0, 64, 72, 128, DescriptorBudget.least - 1])
  func tooFewAreRefusedWithTheNumberNeeded(limit: Int) {
    let error = #expect(throws: StartError.self) { try DescriptorBudget(limit: limit) }
    #expect(error?.description.contains("needs at least \(DescriptorBudget.least)") == true)
  }

  @Test(arguments: [DescriptorBudget.least, DescriptorBudget.least + 1, 300, 512, 1024, 4096, 524_288])
  func noPartTakesWhatIsAnothers(limit: Int) throws {
    let budget = try DescriptorBudget(limit: limit)
    let connections = DescriptorBudget.servers * (budget.connections + DescriptorBudget.surplusConnections)
    #expect(DescriptorBudget.own + budget.probes + connections <= limit)
    #expect(budget.probes >= DescriptorBudget.fewestProbes)
    #expect((DescriptorBudget.fewestConnections...64).contains(budget.connections))
    if limit >= 1024 { #expect(budget.connections == 64) }
  }
}
