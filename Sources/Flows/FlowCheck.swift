package import Platform
package import Provisioning

/// Answers whether the flow that an ICMP error quotes is one of this host's: from what was answered a moment ago, else
/// by asking the kernel, within a budget. It serves one loop, and waits for nobody.
package struct FlowCheck: ~Copyable {
  private var ledger = FlowLedger()
  private var kernel: KernelFlows

  /// Opens what it asks with.
  package init() throws(SystemFailure) { kernel = try KernelFlows() }

  package var counters: FlowCounters { ledger.counters }

  /// The kinds of flow that this kernel can't be asked for: their errors are believed as if only addresses were checked,
  /// and counted.
  package var unaskable: [StaticString] { kernel.unaskable }

  /// - Parameter now: nanoseconds of CLOCK_BOOTTIME.
  package mutating func verdict(_ question: FlowQuestion, at now: UInt64) -> FlowVerdict {
    ledger.verdict(question, at: now) { kernel.ask(question) }
  }
}
