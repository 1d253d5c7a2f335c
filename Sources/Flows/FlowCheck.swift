package import Platform
package import Provisioning

/// Answers whether the flow that an ICMP error quotes is one of this host's: from what was answered a moment ago, else
/// by asking the kernel, within a budget. It serves one loop, and waits for nobody but the keeper, where ESP is quoted.
package struct FlowCheck: ~Copyable {
  private var ledger = FlowLedger()
  private var kernel: KernelFlows
  /// nil where the kernel doesn't tell.
  private var attempts: EndedAttempts?
  /// Readable when a TCP connection that was being made has ended; nil where this kernel doesn't tell, so that an error
  /// which ended one is taken for nobody's.
  package let ends: Int32?

  /// Opens what it asks with.
  package init() throws(SystemFailure) {
    kernel = try KernelFlows()
    do throws(Errno) {
      let opened = try EndedAttempts()
      ends = opened.descriptor.number
      attempts = consume opened
    } catch {
      ends = nil
      attempts = nil
    }
  }

  package var counters: FlowCounters { ledger.counters }

  /// The kinds of flow that this kernel can't be asked for: their errors are believed as if only addresses were checked,
  /// and counted.
  package var unaskable: [StaticString] { kernel.unaskable }

  /// - Parameters:
  ///   - now: nanoseconds of CLOCK_BOOTTIME.
  ///   - keeper: has the right to ask for ESP states.
  package mutating func verdict(_ question: FlowQuestion, at now: UInt64, _ keeper: Keeper) -> FlowVerdict {
    var hasEnded = false
    let verdict = ledger.verdict(question, at: now) {
      let answer = kernel.ask(question) { SecurityAssociations.find(spi: $0, destination: $1, keeper) }
      if answer == .none { hasEnded = attempts?.hasEnded(question, at: now) ?? false }
      return hasEnded ? .live : answer
    }
    if hasEnded { ledger.count(.ended) }
    return verdict
  }

  /// Takes in which connections have ended, when `ends` is readable.
  package mutating func hearEnds(at now: UInt64) { attempts?.drain(at: now) }

  /// A question that was answered `.notOurs` a moment ago, and whose connection turns out to have ended by what it was
  /// about.
  package mutating func nextEnded(at now: () -> UInt64) -> FlowQuestion? {
    guard let question = attempts?.nextAnswered(at: now) else { return nil }
    ledger.count(.ended)
    return question
  }
}
