import CLinux
import Testing

@testable import Platform

@Suite struct Files {
  @Test func readWholeUpToTheLimit() throws {
    let directory = try TemporaryDirectory()
    let path = directory.entry("f")
    let contents = [UInt8]((0..<5000).map { UInt8(truncatingIfNeeded: $0) })
    let file = Descriptor(
      taking: try valueOrErrno { unsafe clinux_open(text(path), O_CREAT | O_WRONLY | O_CLOEXEC, 0o600) })
    #expect(unsafe write(file.number, contents, contents.count) == contents.count)
    #expect(try File.read(path, limit: 5000) == contents)
    #expect(try File.read(path, limit: 1 << 20) == contents)
    let refusal = #expect(throws: SystemFailure.self) { try File.read(path, limit: 4999) }
    #expect(refusal?.errno == .fileTooBig)
    #expect(refusal?.subject == path)
  }

  @Test(arguments: [("/nowhere", Errno.noEntry), ("/tmp", Errno(rawValue: EISDIR)), ("", Errno.noEntry)])
  func whatCannotBeReadSaysWhy(_ path: String, _ errno: Errno) {
    let refusal = #expect(throws: SystemFailure.self) { try File.read(Array(path.utf8), limit: 10) }
    #expect(refusal?.errno == errno)
  }

  /// Files of /proc say that they are empty.
  @Test func filesWithoutASize() throws {
    #expect(try !File.read(Array("/proc/self/stat".utf8), limit: 4096).isEmpty)
  }
}

@Suite struct Processes {
  @Test func argumentsAreThoseOfTheCommandLine() throws {
    #expect(try Process.arguments().map(text) == Array(CommandLine.arguments.dropFirst()))
  }
}

@Suite struct LogLines {
  struct Case: Sendable {
    var line: LogLine
    var expected: String
    init(_ line: LogLine, _ expected: String) {
      self.line = line
      self.expected = expected
    }
  }

  @Test(arguments: [
    Case("plain", "plain"),
    Case("", ""),
    Case("\(Array("/run/mifd".utf8)): \(Errno.noEntry)", "/run/mifd: No such file or directory"),
    Case("\(0) \(-1) \(UInt64.max) \(Int64.min)", "0 -1 18446744073709551615 -9223372036854775808"),
    Case("forged \(Array("a\nerror: b\u{7F}\t".utf8))", "forged a?error: b??"),
    Case("Grüße \(Array("ü".utf8))", "Grüße ü"),
    Case("\(Errno(rawValue: 4711))", "unknown error"),
    Case("\(SystemFailure("open", Array("/f".utf8), .accessDenied))", "cannot open /f: Permission denied"),
    Case(
      "\(SystemFailure("open a socket", .notPermitted, hint: "it needs root"))",
      "cannot open a socket: Operation not permitted (it needs root)"
    ),
  ])
  func areWhatTheySay(_ testCase: Case) {
    #expect(text(testCase.line.text) == testCase.expected)
  }

  @Test func areCutAtTheirLimit() {
    let line: LogLine = "\([UInt8](repeating: 97, count: 5000))\(1)"
    #expect(line.text == [UInt8](repeating: 97, count: LogLine.limit))
  }
}

@Suite struct Errors {
  @Test func interruptedCallsAreRepeatedIfAsked() throws {
    var calls = 0
    let value = try valueOrErrno { () -> Int32 in
      calls += 1
      return calls < 3 ? interrupted() : 5
    }
    #expect(value == 5)
    #expect(calls == 3)
    #expect(throws: Errno.interrupted) {
      _ = try valueOrErrno(retryOnInterrupt: false) { () -> Int32 in interrupted() }
    }
  }

  /// Fails with EINTR.
  private func interrupted() -> Int32 {
    unsafe __errno_location().pointee = EINTR
    return -1
  }
}

@Suite struct SignalTests {
  @Test func signalsAreReadInsteadOfDelivered() throws {
    // This thread's mask is put back; the others never see a signal that is sent to this thread alone.
    var before = sigset_t()
    unsafe pthread_sigmask(SIG_BLOCK, nil, &before)
    defer { unsafe pthread_sigmask(SIG_SETMASK, &before, nil) }
    let signals = try Signals()
    #expect(signals.next() == nil)
    for number in [SIGHUP, SIGTERM, SIGINT] { raise(number) }
    var read: [Signals.Signal] = []
    while let signal = signals.next() { read.append(signal) }
    #expect(Set(read) == [.hangup, .terminate, .interrupt])
    #expect(read.count == 3)
  }
}
