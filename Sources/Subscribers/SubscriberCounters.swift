/// What the sockets count: one name each, shown by `mifctl stats`.
enum SubscriberCounter: Int, CaseIterable {
  case accepted, refusedFull, acceptFailed, closed
  case triggerRequests, mifRequests, refused
  case answers, news, newsDropped, overruns, held
  /// Results of translations and connections that a subscriber who does not read could not be given.
  case resultsDropped, socketsNotPassed
  /// Records on the ring, readers of it that were woken, and subscribers that were not let onto it.
  case ringRecords, ringWakes, ringRefused

  var name: StaticString {
    switch self {
    case .accepted: "subscribers.accepted"
    case .refusedFull: "subscribers.refused-full"
    case .acceptFailed: "subscribers.accept-failed"
    case .closed: "subscribers.closed"
    case .triggerRequests: "tdb.requests"
    case .mifRequests: "mif.requests"
    case .refused: "subscribers.not-permitted"
    case .answers: "subscribers.answers"
    case .news: "subscribers.news"
    case .newsDropped: "subscribers.news-dropped"
    case .overruns: "mif.overruns"
    case .held: "subscribers.held-back"
    case .resultsDropped: "mif.results-dropped"
    case .socketsNotPassed: "mif.sockets-not-passed"
    case .ringRecords: "ring.records"
    case .ringWakes: "ring.wakes"
    case .ringRefused: "ring.refused"
    }
  }
}
