import Fuzzing
import Messages
import Wire

/// A client's translations and connections under way. Nothing answers their requests before the first result, so that
/// one counts as accepted as soon as something comes for it or for a later request.
struct MIFTransactions {
  enum Kind: Hashable { case translation, connection }

  struct Transaction {
    let kind: Kind
    let identifier: UInt32
    let pvd: UInt32
    let request: MIFRequest
    var addresses: [IPAddress] = []
  }

  /// By the request's seq, which is never used again.
  private(set) var open: [UInt32: Transaction] = [:]
  /// PvDs whose end it was told.
  private var gone: Set<UInt32> = []
  /// How many may be under way.
  let limit: Int

  init(limit: Int) { self.limit = limit }

  /// The kind of transaction that a request begins, and what the client calls it.
  static func begun(by request: MIFRequest) -> (kind: Kind, identifier: UInt32)? {
    switch request {
    case .translateName(_, let transaction, _): (.translation, transaction.identifier)
    case .connect(_, let transaction, _, _): (.connection, transaction.identifier)
    default: nil
    }
  }

  func uses(_ kind: Kind, _ identifier: UInt32) -> Bool {
    open.values.contains { $0.kind == kind && $0.identifier == identifier }
  }

  mutating func accept(_ sequence: UInt32, _ request: MIFRequest, pvd: UInt32) {
    let (kind, identifier) = need(MIFTransactions.begun(by: request), "\(request) has no transaction")
    check(!uses(kind, identifier), "\(request) was not refused with EEXIST")
    check(open.count < limit, "\(request) was not refused with ENOSPC: \(open.count) are under way")
    check(!gone.contains(pvd), "\(request) was accepted after NO_PVD")
    open[sequence] = Transaction(kind: kind, identifier: identifier, pvd: pvd, request: request)
  }

  /// One more address.
  mutating func found(_ sequence: UInt32, _ identifier: UInt32, _ address: IPAddress) {
    let transaction = need(open[sequence], "NAME_TRANSLATION without a translation")
    let isIt = transaction.kind == .translation && transaction.identifier == identifier
    check(isIt, "\(identifier) for \(transaction.request)")
    check(!transaction.addresses.contains(address), "\(address) twice for \(transaction.request)")
    open[sequence]?.addresses.append(address)
  }

  /// Its last message.
  @discardableResult
  mutating func end(_ sequence: UInt32, _ kind: Kind, _ identifier: UInt32) -> Transaction {
    let transaction = need(open.removeValue(forKey: sequence), "the end of a \(kind) that is not under way")
    check(transaction.kind == kind && transaction.identifier == identifier, "\(identifier) for \(transaction.request)")
    return transaction
  }

  /// STOP_TRANSLATING_NAME was answered.
  mutating func stop(_ identifier: UInt32) {
    open = open.filter { $0.value.kind != .translation || $0.value.identifier != identifier }
  }

  /// NO_PVD_ANNOUNCEMENT.
  mutating func lose(_ pvd: UInt32) {
    for transaction in open.values { check(transaction.pvd != pvd, "NO_PVD before the end of \(transaction.request)") }
    gone.insert(pvd)
  }
}

extension Failure {
  /// What the end of a translation may say, after so many addresses.
  func checkTranslation(_ request: MIFRequest, found: Int) {
    if error == 0 {
      check(from == .nothing && found > 0, "\(request): \(self) after \(found) addresses")
      return
    }
    check(from != .nothing, "\(request): \(self)")
    // Only what was cut short ends so after an address.
    let networkDown: UInt16 = 100
    let isCut = from == .local && (error == ErrorNumber.noBufferSpace.rawValue || error == networkDown)
    check(found == 0 || isCut, "\(request): \(self) after \(found) addresses")
  }
}
