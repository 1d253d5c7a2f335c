/// How ICMP errors were checked, for `mifctl stats`.
package struct FlowCounters: Sendable {
  package enum Counter: Int, CaseIterable, Sendable {
    /// Questions to the kernel.
    case asked
    /// Answered from the table of recent answers.
    case remembered
    /// Not asked, because too much was asked already.
    case overBudget
    /// The kernel did not answer.
    case unanswered
    /// The kernel can't be asked for such flows: believed as if only addresses were checked.
    case notCheckable
    /// Told after all: a TCP connection that was being made has ended by the error.
    case ended

    package var name: StaticString {
      switch self {
      case .asked: "flows.asked"
      case .remembered: "flows.remembered"
      case .overBudget: "flows.over-budget"
      case .unanswered: "flows.unanswered"
      case .notCheckable: "flows.not-checkable"
      case .ended: "flows.ended"
      }
    }
  }

  private var values = [UInt64](repeating: 0, count: Counter.allCases.count)

  package init() {}

  package subscript(counter: Counter) -> UInt64 { values[counter.rawValue] }
  mutating func count(_ counter: Counter) { values[counter.rawValue] &+= 1 }
}
