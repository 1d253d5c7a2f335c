import ArgumentParser
import MIF

struct Resolve: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Asks every provisioning domain what addresses a name has there.",
    discussion: """
      All are asked at once, each through its own DNS servers. A line for each address as it comes, with how long it \
      holds, and a last line for each domain.

      mifctl resolve www.example.org
      mifctl resolve www.example.org --interface wan0
      mifctl resolve www.example.org --pvd 2

      With --json: {"pvd": {...}, "address", "ttl" (seconds or "forever")} for an address, {"pvd": {...}, "end": \
      "complete"|"failed", "addresses" (how many), "milliseconds", "failure": {"errno", "from": \
      "host"|"icmp"|"resolver"|"timeout"|"peer", "rcode", "icmp", "text"}} for the end; what does not apply is not there.

      Exits with 0 if a domain has an address, else with 1.
      """)

  @OptionGroup var options: Options
  @OptionGroup var output: OutputOptions
  @OptionGroup var selection: DomainOptions
  @Argument(
    help: "The name; one without a dot is looked for below the domain's search list as well.", transform: Arguments.host
  )
  var name: String

  func run() throws {
    let domains = try selection.select(options.runtimeDir)
    let connection = try ProvisioningConnection(runtimeDirectory: options.runtimeDir)
    let report = TranslationOutput(isJSON: output.json, domains)
    let start = ContinuousClock.now
    /// The translations under way by their transactions, which count the domains.
    var open: [UInt32: Int] = [:]
    var transactions: [UInt32: UInt32] = [:]
    var isFound = false
    for number in domains.indices {
      let transaction = UInt32(number)
      let identifier = domains[number].domain.identifier
      let request = try connection.post(.translateName(name, domain: identifier, transaction: transaction))
      transactions[request] = transaction
      open[transaction] = 0
    }
    func end(_ transaction: UInt32, _ failure: String?, _ json: JSON = .null) throws {
      guard let count = open.removeValue(forKey: transaction) else { return }
      try report.end(Int(transaction), count, failure, json, after: ContinuousClock.now - start)
    }
    while !open.isEmpty, let message = try connection.next() {
      switch message.content {
      case .nameTranslation(let address, let lifetime, let transaction):
        guard open[transaction] != nil else { continue }
        open[transaction]! += 1
        isFound = true
        try report.found(Int(transaction), address, lifetime)
      case .nameTranslationEnded(let failure, let transaction):
        try end(transaction, failure.map { $0.description }, failure.map { Objects.failure($0) } ?? .null)
      case .refused(let refusal):
        guard let request = message.request, let transaction = transactions[request] else { continue }
        let text = refusal == .notFound ? "the provisioning domain is gone (ENOENT)" : "\(refusal)"
        try end(transaction, text, Objects.failure(refusal, text))
      default: continue
      }
    }
    if !isFound {
      let none =
        domains.count == 1 ? "\(domains[0].label) has no" : "none of \(domains.count) provisioning domains has an"
      throw Complaint(lines: ["\(none) address for \(Text.printable(name))"])
    }
  }
}

/// Prints translations, each line under its domain's name.
private struct TranslationOutput {
  private let isJSON: Bool
  private let domains: [ListedDomain]
  private let labels: [String]

  init(isJSON: Bool, _ domains: [ListedDomain]) {
    self.isJSON = isJSON
    self.domains = domains
    let names = domains.map { Text.printable($0.domain.name) }
    // A network's name may be that of several domains, one for each interface that it is on.
    let labels = domains.indices.map { place in
      names.count { $0 == names[place] } == 1 ? names[place] : domains[place].label
    }
    let width = labels.map(\.count).max() ?? 0
    self.labels = labels.map { $0 + String(repeating: " ", count: width - $0.count) }
  }

  func found(_ place: Int, _ address: IPAddress, _ lifetime: Lifetime) throws {
    if isJSON {
      return try write(
        place, [("address", .string(address.description)), ("ttl", Objects.lifetime(lifetime))])
    }
    let text = Text.address(address, on: domains[place].interface.name)
    try System.write(line: "\(labels[place])  \(text)  \(Text.lifetime(lifetime))")
  }

  func end(_ place: Int, _ count: Int, _ failure: String?, _ json: JSON, after time: Duration) throws {
    let milliseconds = UInt64(max(0, time / .milliseconds(1)))
    if isJSON {
      return try write(
        place,
        [
          ("end", .string(failure == nil ? "complete" : "failed")), ("addresses", .number(UInt64(count))),
          ("milliseconds", .number(milliseconds)), ("failure", json),
        ])
    }
    let result = failure ?? (count == 1 ? "1 address" : "\(count) addresses")
    try System.write(line: "\(labels[place])  -- \(result), after \(milliseconds) ms")
  }

  private func write(_ place: Int, _ members: [(String, JSON)]) throws {
    let domain = domains[place]
    let pvd = JSON.object(Objects.domain(domain.domain, on: domain.interface))
    try System.write(line: JSON.present([("pvd", pvd)] + members).text)
  }
}
