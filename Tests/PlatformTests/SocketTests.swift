import CLinux
import Testing

@testable import Platform

/// A directory that goes with its owner.
struct TemporaryDirectory: ~Copyable {
  let path: [UInt8]

  init() throws {
    var name: [CChar] = Array("/tmp/mifcap-XXXXXX".utf8CString)
    if unsafe mkdtemp(&name) == nil { throw Errno.current }
    path = name.dropLast().map { UInt8(bitPattern: $0) }
  }

  func entry(_ name: String) -> [UInt8] { path + Array("/\(name)".utf8) }

  deinit {
    for name in ["s", "lock", "f", "d"] { removeFile(entry(name)) }
    for directory in [entry("d"), path] { unsafe rmdir(text(directory)) }
  }
}

func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

private func status(_ path: [UInt8]) throws -> stat {
  var status = stat()
  _ = try valueOrErrno { unsafe lstat(text(path), &status) }
  return status
}

private func receive(_ connection: borrowing Connection, room: Int) -> (Connection.Received, [UInt8]) {
  var buffer = [UInt8](repeating: 0, count: room)
  var bytes = buffer.mutableSpan
  var span = unsafe bytes.mutableBytes
  let received = connection.receive(into: &span)
  return (received, buffer)
}

private func send(_ bytes: [UInt8], to connection: borrowing Connection) -> Connection.Sent {
  unsafe connection.send(bytes.span.bytes)
}

/// accept(2) of a connection that is known to wait.
private func accepted(by listener: borrowing Listener) throws -> Connection {
  guard let connection = try listener.accept() else { throw Errno.wouldBlock }
  return connection
}

@Suite struct Sockets {
  @Test func messagesKeepTheirBoundsAndTheirOrder() throws {
    let directory = try TemporaryDirectory()
    let listener = try Listener(path: directory.entry("s"), mode: 0o600)
    let nobody = try listener.accept() == nil
    #expect(nobody)
    let client = try Connection(to: directory.entry("s"))
    let server = try accepted(by: listener)
    #expect(receive(server, room: 8).0 == .nothing)
    #expect(send([1, 2, 3], to: client) == .sent)
    #expect(send([], to: client) == .sent)
    #expect(send([4], to: client) == .sent)
    #expect(receive(server, room: 8) == (.message(length: 3), [1, 2, 3, 0, 0, 0, 0, 0]))
    // An empty message is a message, not the end.
    #expect(receive(server, room: 8).0 == .message(length: 0))
    #expect(receive(server, room: 8).0 == .message(length: 1))
    #expect(receive(server, room: 8).0 == .nothing)
    #expect(send([9, 9], to: server) == .sent)
    #expect(receive(client, room: 2) == (.message(length: 2), [9, 9]))
  }

  @Test func whatIsLongerThanTheBufferShowsItsTrueLength() throws {
    let ends = try socketPair()
    let near = try Connection(taking: Descriptor(taking: ends.0))
    let far = try Connection(taking: Descriptor(taking: ends.1))
    #expect(send([UInt8](1...100), to: far) == .sent)
    #expect(send([7], to: far) == .sent)
    #expect(receive(near, room: 4) == (.message(length: 100), [1, 2, 3, 4]))
    #expect(receive(near, room: 4).0 == .message(length: 1))
  }

  @Test func whoIsThere() throws {
    let directory = try TemporaryDirectory()
    let listener = try Listener(path: directory.entry("s"), mode: 0o600)
    let client = try Connection(to: directory.entry("s"))
    let server = try accepted(by: listener)
    let me = PeerCredentials(pid: Process.id, uid: geteuid(), gid: getegid())
    #expect(server.peer == me)
    #expect(client.peer == me)
  }

  @Test func aReaderThatIsSlowGoneOrTooSmall() throws {
    let ends = try socketPair()
    let near = try Connection(taking: Descriptor(taking: ends.0))
    try near.setSendBuffer(bytes: 8192)
    let message = [UInt8](repeating: 5, count: 1024)
    var sent = 0
    while send(message, to: near) == .sent { sent += 1 }
    // Bounded by twice the buffer, whatever a message is charged.
    #expect((1...16).contains(sent))
    #expect(send(message, to: near) == .wouldBlock)
    #expect(send([UInt8](repeating: 5, count: 1 << 20), to: near) == .tooLong)
    close(ends.1)
    // It went without having read everything (ECONNRESET, once); it is gone (EPIPE, ever after).
    #expect(send(message, to: near) == .failed(Errno(rawValue: ECONNRESET)))
    #expect(send(message, to: near) == .failed(Errno(rawValue: EPIPE)))
  }

  @Test func thePeerCloses() throws {
    let ends = try socketPair()
    let near = try Connection(taking: Descriptor(taking: ends.0))
    #expect(unsafe CLinux.send(ends.1, "bye", 3, 0) == 3)
    close(ends.1)
    // What it said before is still heard.
    #expect(receive(near, room: 3).0 == .message(length: 3))
    #expect(receive(near, room: 3).0 == .closed)
    #expect(receive(near, room: 3).0 == .closed)
  }

  @Test(arguments: [0o600, 0o660, 0o666]) func theFileHasItsMode(_ mode: UInt32) throws {
    let directory = try TemporaryDirectory()
    let listener = try Listener(path: directory.entry("s"), mode: mode, group: getegid())
    let status = try status(directory.entry("s"))
    #expect(status.st_mode & 0o7777 == mode)
    #expect(clinux_is_socket(status.st_mode) != 0)
    listener.remove()
    #expect(throws: SystemFailure.self) { _ = try Connection(to: directory.entry("s")) }
  }

  @Test func aStaleSocketMakesWayAndNothingElseDoes() throws {
    let directory = try TemporaryDirectory()
    do { _ = try Listener(path: directory.entry("s"), mode: 0o600) }
    // The first is closed, its file is still there.
    let second = try Listener(path: directory.entry("s"), mode: 0o600)
    _ = try Connection(to: directory.entry("s"))
    #expect(second.path == directory.entry("s"))

    let path = directory.entry("f")
    close(try valueOrErrno { unsafe clinux_open(text(path), O_CREAT | O_WRONLY | O_CLOEXEC, 0o600) })
    let refusal = #expect(throws: SystemFailure.self) { _ = try Listener(path: path, mode: 0o600) }
    #expect(refusal?.errno == .exists)
    #expect(try status(path).st_size == 0)
  }

  @Test(arguments: [
    ("too long", [UInt8](repeating: 97, count: 108), Errno.nameTooLong),
    ("just short enough, but nowhere", Array("/nowhere/".utf8) + [UInt8](repeating: 97, count: 98), Errno.noEntry),
    ("a zero byte", [47, 116, 0, 97], Errno.invalidArgument),
  ])
  func impossiblePaths(_ name: String, _ path: [UInt8], _ errno: Errno) {
    let refusal = #expect(throws: SystemFailure.self) { _ = try Listener(path: path, mode: 0o600) }
    #expect(refusal?.errno == errno)
    #expect(refusal?.subject == path)
  }
}

@Suite struct Directories {
  @Test func createdWithItsModeAndUsedAgain() throws {
    let directory = try TemporaryDirectory()
    let path = directory.entry("d")
    try RuntimeDirectory.create(path, mode: 0o775)
    #expect(try status(path).st_mode & 0o7777 == 0o775)
    #expect(throws: SystemFailure.self) { try RuntimeDirectory.create(path) }
    _ = try valueOrErrno { unsafe chmod(text(path), 0o711) }
    try RuntimeDirectory.create(path)
    #expect(try status(path).st_mode & 0o7777 == 0o711)
  }

  @Test func whatIsNoDirectoryOrNowhereIsRefused() throws {
    let directory = try TemporaryDirectory()
    let path = directory.entry("f")
    close(try valueOrErrno { unsafe clinux_open(text(path), O_CREAT | O_WRONLY | O_CLOEXEC, 0o600) })
    let file = #expect(throws: SystemFailure.self) { try RuntimeDirectory.create(path) }
    #expect(file?.errno == .notDirectory)
    let nowhere = #expect(throws: SystemFailure.self) { try RuntimeDirectory.create(Array("/nowhere/d".utf8)) }
    #expect(nowhere?.errno == .noEntry)
  }

  @Test func oneInstanceADirectory() throws {
    let directory = try TemporaryDirectory()
    do {
      let first = try InstanceLock(directory: directory.path)
      var holder: Int32?
      do throws(LockRefusal) {
        _ = try InstanceLock(directory: directory.path)
        Issue.record("a second instance was let in")
      } catch {
        if case .held(let pid) = error { holder = pid }
      }
      #expect(holder == Process.id)
      _ = first
    }
    _ = try InstanceLock(directory: directory.path)
  }

  @Test func aLockThatCannotBeOpenedSaysWhy() {
    do throws(LockRefusal) {
      _ = try InstanceLock(directory: Array("/nowhere".utf8))
      Issue.record("a lock in no directory")
    } catch {
      guard case .failed(let failure) = error else {
        Issue.record("it is not held")
        return
      }
      #expect(failure.errno == .noEntry)
      #expect(text(failure.subject) == "/nowhere/lock")
    }
  }
}
