import MIF

/// Things that went wrong, a line each: what, where and what to do. Exit status 1.
struct Complaint: Error {
  var lines: [String]
}

/// Called wrongly, which only the agent's answer showed. Exit status 2.
struct Misuse: Error {
  var line: String
  init(_ line: String) { self.line = line }
}

extension Complaint {
  init(_ error: ClientError) {
    lines = ["\(error)\(Complaint.hint(for: error))"]
  }

  /// What to do about it.
  private static func hint(for error: ClientError) -> String {
    switch error {
    case .noAgent: ": is mifd running? (--runtime-dir and MIFD_RUNTIME_DIR name another directory)"
    case .notAllowed: ": run as root, or as a member of the socket's group"
    case .tooManyConnections: Complaint.quota("subscribers", "subscribers-per-user", "connections", "close some")
    case .disconnected: ": it ended or is being restarted; try again"
    case .timedOut: ": it may be stopped or overloaded"
    case .malformed: ": mifctl and mifd are of different versions"
    case .unusablePath: ": give a shorter --runtime-dir"
    case .refused(_, let refusal): refusal.isMisunderstanding ? ": mifctl and mifd are of different versions" : ""
    case .cancelled, .tooMany, .system, .unusableName, .notConnected, .notTranslated: ""
    }
  }

  /// Root has no quota but the agent's own.
  fileprivate static func quota(_ all: String, _ own: String, _ what: String, _ remedy: String) -> String {
    System.user == 0
      ? ": it has as many \(what) as it may (ENOSPC); \(remedy), or raise \(all) in its configuration"
      : ": it has as many \(what) as it may, in all or of user \(System.user) (ENOSPC); \(remedy), or have \(all) or \(own) raised in its configuration"
  }
}

extension Refusal {
  /// Errors that a client of the agent's own version does not meet.
  fileprivate var isMisunderstanding: Bool {
    switch self {
    case .invalid, .messageSize, .versionNotSupported, .notSupported, .addressFamilyNotSupported: true
    case .notPermitted, .notFound, .exists, .noSpace, .other: false
    }
  }
}

/// What was attempted on the trigger database, so that a refusal can be told in its terms.
enum TriggerAttempt {
  case add(TriggerKind)
  case get(UInt32)
  case modify(UInt32, TriggerKind)
  case delete(UInt32)
  /// list, watch.
  case read

  /// `trigger`: as it is in the database, where that is known.
  func complaint(_ error: ClientError, about trigger: Trigger? = nil) -> Complaint {
    guard case .refused(_, let refusal) = error else { return unanswered(error) }
    let user = System.user
    switch (refusal, self) {
    case (.notPermitted, .add(let kind)):
      return Complaint(lines: [
        "user \(user) may not add triggers of type \(kind) (EPERM): root may, and whom trigger-write in the agent's configuration allows it"
      ])
    case (.notPermitted, .modify(let identifier, _)):
      return notPermitted("change", identifier, trigger)
    case (.notPermitted, .delete(let identifier)):
      return notPermitted("delete", identifier, trigger)
    case (.notPermitted, .get(let identifier)):
      return Complaint(lines: [
        "user \(user) may not read trigger \(identifier) (EPERM): root may, and whom trigger-read in the agent's configuration allows its type"
      ])
    case (.notPermitted, .read):
      return Complaint(lines: [
        "user \(user) may read no trigger (EPERM): root may, and whom trigger-read in the agent's configuration allows it"
      ])
    case (.notFound, .get(let identifier)), (.notFound, .modify(let identifier, _)),
      (.notFound, .delete(let identifier)):
      return Complaint(lines: [
        "there is no trigger \(identifier) (ENOENT): mifctl trigger list shows those that there are"
      ])
    case (.noSpace, _):
      return Complaint(lines: [
        "the agent stores no further trigger"
          + Complaint.quota("triggers", "triggers-per-user", "triggers of clients", "delete some")
      ])
    default: return Complaint(error)
    }
  }

  /// A change without an answer may have been made.
  private func unanswered(_ error: ClientError) -> Complaint {
    var complaint = Complaint(error)
    switch (error, self) {
    case (.timedOut, .add), (.timedOut, .modify), (.timedOut, .delete), (.disconnected, .add), (.disconnected, .modify),
      (.disconnected, .delete):
      complaint.lines[0] += "; what was asked for may have been done all the same (mifctl trigger list)"
    default: break
    }
    return complaint
  }

  private func notPermitted(_ verb: String, _ identifier: UInt32, _ trigger: Trigger?) -> Complaint {
    if let origin = trigger?.origin, origin.source != .client {
      return Complaint(lines: [
        "trigger \(identifier) is the agent's own, from \(origin.source.rawValue) (EPERM): nobody else may \(verb) it"
      ])
    }
    return Complaint(lines: [
      "user \(System.user) may not \(verb) trigger \(identifier) (EPERM): root may, and the user that added it where trigger-write in the agent's configuration allows the type"
    ])
  }
}
