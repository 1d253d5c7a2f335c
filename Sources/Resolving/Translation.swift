import Wire

/// One name on its way to addresses: for each name that is tried, the one given or one below a search domain, two
/// questions at a time.
final class Translation {
  let key: UInt64
  /// The domain's servers, over UDP.
  let servers: [Endpoint]
  /// The names to try, as labels, in order.
  let names: [[UInt8]]
  var nextName = 0
  var questions: [Question] = []
  var found: [IPAddress] = []
  /// One of the names is there, without addresses.
  var hadNoData = false

  init(key: UInt64, _ servers: [Endpoint], _ names: [[UInt8]]) {
    self.key = key
    self.servers = servers
    self.names = names
  }
}

/// One name and family, asked of one server after the other until one answers.
final class Question {
  enum Result {
    case found
    /// NOERROR without addresses, or NXDOMAIN.
    case negative(UInt8)
    case failed(ResolverVerdict)
  }

  let number: UInt64
  let family: Family
  let labels: [UInt8]
  /// How many aliases led here.
  let aliases: Int
  /// The servers, those that lately failed last.
  let order: [Endpoint]
  /// When it is given up.
  let end: UInt64
  /// When the next server is asked as well.
  var due: UInt64 = .max
  /// How many times a server had its turn.
  var turns = 0
  /// How often it was left over when a server ended a TCP connection.
  var reconnections = 0
  /// Servers of `order` that are not asked again.
  var isOut: [Bool]
  /// What is under way.
  var attempts: [Attempt] = []
  var result: Result?

  /// What went wrong, for the verdict: what a server said counts more than its silence, and that more than an error.
  var code: UInt8?
  var wasGarbled = false
  var wasLate = false
  var error: Int32 = 0

  init(_ number: UInt64, _ family: Family, _ labels: [UInt8], aliases: Int, _ order: [Endpoint], end: UInt64) {
    self.number = number
    self.family = family
    self.labels = labels
    self.aliases = aliases
    self.order = order
    self.end = end
    isOut = [Bool](repeating: false, count: order.count)
  }

  /// The next server to ask, in `order`, with `tries` turns for each; nil after the last.
  func nextServer(tries: Int) -> Int? {
    while turns < order.count * tries {
      let index = turns % order.count
      turns += 1
      if !isOut[index] { return index }
    }
    return nil
  }

  /// Whether an attempt at this server is under way.
  func isAsking(_ server: IPAddress) -> Bool { attempts.contains { $0.lane.endpoint.server == server } }

  /// Not to be asked again.
  func exclude(_ server: IPAddress) {
    for index in order.indices where order[index].server == server { isOut[index] = true }
  }

  func remove(_ attempt: Attempt) -> Bool {
    guard let index = attempts.firstIndex(where: { $0 === attempt }) else { return false }
    attempts.remove(at: index)
    return true
  }
}
