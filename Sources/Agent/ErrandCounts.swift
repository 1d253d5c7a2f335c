import Platform

/// How the keeper's errands ended, by kind.
struct ErrandCounts {
  private var linksUp: UInt64 = 0
  private var linksDown: UInt64 = 0
  private var solicitations: UInt64 = 0
  private var hooks: UInt64 = 0
  private var fetches: UInt64 = 0
  private var failed: UInt64 = 0
  private var timedOut: UInt64 = 0
  private var busy: UInt64 = 0

  mutating func count(_ errand: Errand, _ outcome: Errand.Outcome) {
    switch outcome {
    case .done:
      switch errand.kind {
      case .setUp: linksUp += 1
      case .setDown: linksDown += 1
      case .solicitRouter: solicitations += 1
      case .fetchInformation: fetches += 1
      case .connectHook, .idleHook, .breakHook: hooks += 1
      }
    case .failed: failed += 1
    case .timedOut: timedOut += 1
    case .busy: busy += 1
    }
  }

  func forEachCounter(_ body: (StaticString, UInt64) -> Void) {
    body("keeper.links-set-up", linksUp)
    body("keeper.links-taken-down", linksDown)
    body("keeper.solicitations-sent", solicitations)
    body("keeper.hooks-run", hooks)
    body("keeper.fetchers-run", fetches)
    body("keeper.failed", failed)
    body("keeper.timed-out", timedOut)
    body("keeper.busy", busy)
  }
}
