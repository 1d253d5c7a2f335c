package import Platform
package import Provisioning

/// Answers whether the flow that an ICMP error quotes is one of this host's: from what was answered a moment ago, else
/// by asking the kernel, within a budget. It serves one loop, and waits for nobody but the keeper, where ESP is quoted.
package struct FlowCheck: ~Copyable {
  private var ledger = FlowLedger()
  private var kernel: KernelFlows

  /// Opens what it asks with.
  package init() throws(SystemFailure) { kernel = try KernelFlows() }

  package var counters: FlowCounters { ledger.counters }

  /// The kinds of flow that this kernel can't be asked for: their errors are believed as if only addresses were checked,
  /// and counted.
  package var unaskable: [StaticString] { kernel.unaskable }

  /// - Parameters:
  ///   - now: nanoseconds of CLOCK_BOOTTIME.
  ///   - keeper: has the right to ask for ESP states.
  package mutating func verdict(_ question: FlowQuestion, at now: UInt64, _ keeper: Keeper) -> FlowVerdict {
    ledger.verdict(question, at: now) {
      kernel.ask(question) { SecurityAssociations.find(spi: $0, destination: $1, keeper) }
    }
  }
}
