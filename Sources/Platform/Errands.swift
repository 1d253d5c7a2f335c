import CLinux

/// The keeper's errands under way. What may take its time runs in a process of its own, so that the keeper is there
/// for the next request: a driver may load firmware before a link is up, and a program does what it does.
///
/// The errands of an interface keep their order: a program waits for the one before it and for the link's change, a
/// link's change for an earlier one. At most `limit` errands wait or run; a further one is refused, and so is one that
/// repeats the last of its kind that is not through.
struct Errands {
  static let limit = 256
  /// How long a link's change may take, nanoseconds.
  private static let linkTimeout: UInt64 = 30_000_000_000

  private struct Task {
    let errand: Errand
    /// What the fetcher talks over, until it has it.
    var socket: PassedDescriptor?
    /// 0 while it waits.
    var process: Int32 = 0
    var name: [UInt8] = []
    var deadline: UInt64 = .max
    var isKilled = false
  }

  private let hooks: Hooks
  private var tasks: [Task] = []
  private var reports: [(errand: Errand, outcome: Errand.Outcome)] = []

  init(_ hooks: Hooks) { self.hooks = hooks }

  /// What ended since the last call, in that order.
  mutating func takeReports() -> [(errand: Errand, outcome: Errand.Outcome)] {
    if reports.isEmpty { return [] }
    let taken = reports
    reports.removeAll()
    return taken
  }

  private mutating func report(_ errand: Errand, _ outcome: Errand.Outcome) { reports.append((errand, outcome)) }

  /// When `advance` has something to do, nanoseconds of CLOCK_BOOTTIME.
  var deadline: UInt64? {
    let next = tasks.reduce(UInt64.max) { min($0, $1.deadline) }
    return next == .max ? nil : next
  }

  mutating func take(_ errand: Errand, _ socket: PassedDescriptor, at now: UInt64) {
    if errand.kind == .solicitRouter {
      do throws(Errno) {
        try RouterSolicitation.send(on: errand.interface)
        report(errand, .done)
      } catch {
        Log.warning("no Router Solicitation on interface \(errand.interface): \(error)")
        report(errand, .failed)
      }
      return
    }
    let last = tasks.last { $0.errand.interface == errand.interface && $0.errand.kind.isHook == errand.kind.isHook }
    if last?.errand == errand && !errand.kind.isFetch || tasks.count >= Errands.limit {
      report(errand, .busy)
      return
    }
    tasks.append(Task(errand: errand, socket: errand.kind.isFetch ? socket : nil))
    start(at: now)
  }

  /// Takes the processes in that have ended: waitpid(2).
  mutating func reap(at now: UInt64) {
    for _ in 0..<Errands.limit {
      var status: Int32 = 0
      let process = unsafe waitpid(-1, &status, WNOHANG)
      if process <= 0 { break }
      guard let place = tasks.firstIndex(where: { $0.process == process }) else { continue }
      let task = tasks.remove(at: place)
      finish(task, status)
    }
    start(at: now)
  }

  /// Kills what has had its time.
  mutating func advance(to now: UInt64) {
    for place in tasks.indices where tasks[place].deadline <= now {
      tasks[place].isKilled = true
      tasks[place].deadline = .max
      kill(tasks[place])
    }
  }

  /// Kills everything: nobody would be left to.
  mutating func end() {
    for task in tasks where task.process > 0 { kill(task) }
    tasks.removeAll()
  }

  private func kill(_ task: Task) {
    // A program leads its session, and so its process group.
    _ = CLinux.kill(task.errand.kind.isLinkChange ? task.process : -task.process, SIGKILL)
  }

  // MARK: Starting

  /// Starts whatever waits for nothing any more.
  private mutating func start(at now: UInt64) {
    var place = 0
    while place < tasks.count {
      if tasks[place].process > 0 || isHeldBack(place) {
        place += 1
      } else if start(place, at: now) {
        place += 1
      } else {
        report(tasks.remove(at: place).errand, .failed)
      }
    }
  }

  private func isHeldBack(_ place: Int) -> Bool {
    let errand = tasks[place].errand
    return tasks[..<place].contains {
      $0.errand.interface == errand.interface && ($0.errand.kind.isLinkChange || errand.kind.isHook)
    }
  }

  /// False where it can't be started, and never will be.
  private mutating func start(_ place: Int, at now: UInt64) -> Bool {
    let errand = tasks[place].errand
    do throws(SystemFailure) {
      if errand.kind.isLinkChange {
        tasks[place].process = try changeLink(errand)
        tasks[place].deadline = now &+ Errands.linkTimeout
      } else if let socket = tasks[place].socket {
        tasks[place].process = try fetch(over: socket)
        tasks[place].socket = nil
        tasks[place].deadline = now &+ Fetcher.timeout
      } else {
        tasks[place].name = try Errands.name(errand.interface)
        tasks[place].process = try run(errand.kind, tasks[place].name)
        tasks[place].deadline = now &+ hooks.timeout
      }
      return true
    } catch {
      Log.warning("\(error)")
      return false
    }
  }

  private func changeLink(_ errand: Errand) throws(SystemFailure) -> Int32 {
    let process = try valueOrFailure("fork to change a link") { clinux_fork() }
    if process == 0 { _exit(clinux_set_link(errand.interface, errand.kind == .setUp ? 1 : 0)) }
    return process
  }

  private func run(_ kind: Errand.Kind, _ name: [UInt8]) throws(SystemFailure) -> Int32 {
    guard let hook = hook(kind) else { throw SystemFailure("run a hook that is not configured", .noEntry) }
    let action: StaticString = "run the hook"
    var process: Int32 = 0
    let failure = try unsafe withPath(hook.path, orThrow: { SystemFailure(action, hook.path, $0) }) {
      path throws(SystemFailure) in
      try unsafe withPath(hook.action, orThrow: { SystemFailure(action, hook.path, $0) }) {
        first throws(SystemFailure) in
        try unsafe withPath(name, orThrow: { SystemFailure(action, hook.path, $0) }) { second throws(SystemFailure) in
          unsafe clinux_spawn(&process, path, first, second)
        }
      }
    }
    if failure != 0 { throw SystemFailure(action, hook.path, Errno(rawValue: failure)) }
    return process
  }

  private func fetch(over socket: PassedDescriptor) throws(SystemFailure) -> Int32 {
    let action: StaticString = "run the fetcher"
    guard let fetcher = hooks.fetcher else { throw SystemFailure("run a fetcher that is not configured", .noEntry) }
    let roots = fetcher.roots ?? []
    return try unsafe withPath(fetcher.program, orThrow: { SystemFailure(action, fetcher.program, $0) }) {
      program throws(SystemFailure) in
      try unsafe withPath(fetcher.directory, orThrow: { SystemFailure(action, fetcher.directory, $0) }) {
        directory throws(SystemFailure) in
        try unsafe withPath(roots, orThrow: { SystemFailure(action, roots, $0) }) { roots throws(SystemFailure) in
          try valueOrFailure(action, fetcher.program) {
            unsafe clinux_run_fetcher(
              socket.descriptor.number, program, directory, roots, fetcher.user == nil ? 0 : 1, fetcher.user ?? 0,
              fetcher.group)
          }
        }
      }
    }
  }

  private func hook(_ kind: Errand.Kind) -> (path: [UInt8], action: [UInt8])? {
    switch kind {
    case .connectHook: hooks.connect.map { ($0, Array("connect".utf8)) }
    case .idleHook: hooks.idle.map { ($0, Array("idle".utf8)) }
    case .breakHook: hooks.break.map { ($0, Array("break".utf8)) }
    case .setUp, .setDown, .solicitRouter, .fetchInformation: nil
    }
  }

  private static func name(_ interface: UInt32) throws(SystemFailure) -> [UInt8] {
    var name = [CChar](repeating: 0, count: Int(IF_NAMESIZE))
    return try unsafe name.withUnsafeMutableBufferPointer { buffer throws(SystemFailure) in
      guard let base = buffer.baseAddress, unsafe if_indextoname(interface, base) != nil else {
        throw SystemFailure("run a hook for an interface that is gone", .current)
      }
      return unsafe bytes(ofCString: base)
    }
  }

  // MARK: Ending

  private mutating func finish(_ task: Task, _ status: Int32) {
    let errand = task.errand
    let isDone = clinux_wifexited(status) != 0 && clinux_wexitstatus(status) == 0
    if task.isKilled {
      log(task, " took too long and was killed")
    } else if errand.kind.isLinkChange {
      if isDone {
        Log.notice("interface \(errand.interface) was set \(errand.kind.direction)")
      } else {
        let reason = Errno(rawValue: clinux_wifexited(status) != 0 ? clinux_wexitstatus(status) : EINTR)
        Log.warning("cannot set interface \(errand.interface) \(errand.kind.direction): \(reason)")
      }
    } else if errand.kind.isFetch && isDone {
      // It says itself what it found.
    } else if clinux_wifexited(status) != 0 {
      log(task, " ended with status \(clinux_wexitstatus(status))")
    } else {
      log(task, " was ended by signal \(clinux_wtermsig(status))")
    }
    report(errand, task.isKilled ? .timedOut : isDone ? .done : .failed)
  }

  private func log(_ task: Task, _ end: LogLine) {
    if task.errand.kind.isFetch {
      Log.warning("\(hooks.fetcher?.program ?? [])\(end.text)")
    } else if let hook = hook(task.errand.kind) {
      Log.notice("\(hook.path) \(hook.action) \(task.name)\(end.text)")
    } else {
      Log.warning("a change of interface \(task.errand.interface)\(end.text)")
    }
  }
}

extension Errand.Kind {
  fileprivate var direction: StaticString { self == .setUp ? "up" : "down" }
}
