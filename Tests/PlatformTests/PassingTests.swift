import CLinux
import Testing

@testable import Platform

/// A descriptor to pass, and whether any copy of it is left in whichever process or queue: the writing end of a pipe,
/// whose reading end hears when the last copy is closed. That is how a leak shows, whatever other tests open meanwhile.
private final class Witness {
  private let reader: Descriptor
  private(set) var watched: PassedDescriptor?

  init() throws {
    var ends: [Int32] = [0, 0]
    _ = try valueOrErrno { unsafe pipe2(&ends, O_CLOEXEC) }
    reader = Descriptor(taking: ends[0])
    watched = PassedDescriptor(Descriptor(taking: ends[1]))
  }

  /// Gives up the copy that the test holds.
  func letGo() { watched = nil }

  /// Children that other tests start hold copies too, until they execute their program: it waits for that.
  var isAllClosed: Bool { isHungUp(milliseconds: 5000) }
  var isOpen: Bool { !isHungUp(milliseconds: 0) }

  private func isHungUp(milliseconds: Int32) -> Bool {
    var question = pollfd(fd: reader.number, events: 0, revents: 0)
    return unsafe poll(&question, 1, milliseconds) == 1 && Int32(question.revents) & Int32(POLLHUP) != 0
  }
}

/// Two ends of a connection, and what the far one took last.
private final class Pair {
  private final class End {
    let connection: Connection
    init(_ number: Int32) throws { connection = try Connection(taking: Descriptor(taking: number)) }
  }
  private var near: End?
  private var far: End?
  private var passed: Descriptor?

  init() throws {
    let ends = try socketPair()
    near = try End(ends.0)
    far = try End(ends.1)
  }

  func closeNear() { near = nil }
  func closeFar() { far = nil }
  func setSendBuffer(bytes: Int) throws { try near!.connection.setSendBuffer(bytes: bytes) }

  func send(_ bytes: [UInt8], _ witness: Witness? = nil) -> Connection.Sent {
    guard let watched = witness?.watched else { return unsafe near!.connection.send(bytes.span.bytes) }
    return unsafe near!.connection.send(bytes.span.bytes, passing: watched.descriptor)
  }

  func sendMany(_ bytes: [UInt8], _ witness: Witness, count: Int) {
    PlatformTests.sendMany(near!.connection.descriptor.number, bytes, witness.watched!.descriptor.number, count: count)
  }

  func receive(room: Int) -> Connection.Received {
    var buffer = [UInt8](repeating: 0, count: room)
    var bytes = buffer.mutableSpan
    var span = unsafe bytes.mutableBytes
    return far!.connection.receive(into: &span, descriptor: &passed)
  }

  func receiveWithoutAsking(room: Int) -> Connection.Received {
    var buffer = [UInt8](repeating: 0, count: room)
    var bytes = buffer.mutableSpan
    var span = unsafe bytes.mutableBytes
    return far!.connection.receive(into: &span)
  }

  /// The number of what was taken last, nil for nothing.
  var taken: Int32? { passed?.number }
  func drop() { passed = nil }
}

/// sendmsg(2) with many descriptors in one control message, which `Connection` never does.
private func sendMany(_ socket: Int32, _ bytes: [UInt8], _ number: Int32, count: Int) {
  var bytes = bytes
  var control = [UInt64](repeating: 0, count: 64)
  let sent = unsafe bytes.withUnsafeMutableBytes { bytes in
    unsafe control.withUnsafeMutableBytes { control in
      var part = unsafe iovec(iov_base: bytes.baseAddress, iov_len: bytes.count)
      return unsafe withUnsafeMutablePointer(to: &part) { part in
        var message = unsafe msghdr()
        unsafe message.msg_iov = part
        unsafe message.msg_iovlen = 1
        unsafe message.msg_control = control.baseAddress
        unsafe message.msg_controllen = clinux_cmsg_space(count * 4)
        let header = unsafe clinux_cmsg_first(&message)!
        unsafe header.pointee.cmsg_level = SOL_SOCKET
        unsafe header.pointee.cmsg_type = Int32(SCM_RIGHTS)
        unsafe header.pointee.cmsg_len = clinux_cmsg_length(count * 4)
        let data = UnsafeMutableRawPointer(unsafe clinux_cmsg_data(header)!)
        for index in 0..<count { unsafe data.storeBytes(of: number, toByteOffset: index * 4, as: Int32.self) }
        return unsafe sendmsg(socket, &message, 0)
      }
    }
  }
  #expect(sent == bytes.count)
}

@Suite struct Passing {
  @Test func aDescriptorGoesWithItsMessage() throws {
    let pair = try Pair()
    let witness = try Witness()
    #expect(pair.send([1]) == .sent)
    #expect(pair.send([2, 2], witness) == .sent)
    #expect(pair.send([3]) == .sent)
    #expect(pair.receive(room: 8) == .message(length: 1))
    #expect(pair.taken == nil)
    #expect(pair.receive(room: 8) == .message(length: 2))
    let number = try #require(pair.taken)
    #expect(clinux_fcntl(number, F_GETFD, 0) == FD_CLOEXEC)
    witness.letGo()
    #expect(witness.isOpen)
    // The next message closes what the last one brought and nobody took.
    #expect(pair.receive(room: 8) == .message(length: 1))
    #expect(pair.taken == nil)
    #expect(witness.isAllClosed)
    #expect(pair.receive(room: 8) == .nothing)
  }

  @Test func ofACutMessageItIsClosed() throws {
    let pair = try Pair()
    let witness = try Witness()
    #expect(pair.send([UInt8](repeating: 7, count: 100), witness) == .sent)
    witness.letGo()
    #expect(pair.receive(room: 99) == .message(length: 100))
    #expect(pair.taken == nil)
    #expect(witness.isAllClosed)
  }

  @Test func whoeverDoesNotAskGetsNone() throws {
    let pair = try Pair()
    let witness = try Witness()
    #expect(pair.send([1, 2], witness) == .sent)
    witness.letGo()
    #expect(witness.isOpen)
    #expect(pair.receiveWithoutAsking(room: 8) == .message(length: 2))
    #expect(witness.isAllClosed)
  }

  @Test(arguments: [2, 3, 100]) func ofSeveralTheFirst(count: Int) throws {
    let pair = try Pair()
    let witness = try Witness()
    pair.sendMany([1, 2], witness, count: count)
    witness.letGo()
    #expect(pair.receive(room: 8) == .message(length: 2))
    #expect(pair.taken != nil)
    #expect(witness.isOpen)
    pair.drop()
    #expect(witness.isAllClosed)
  }

  @Test func besideAnEmptyMessageAndBeforeTheEnd() throws {
    let pair = try Pair()
    let witness = try Witness()
    pair.sendMany([], witness, count: 1)
    witness.letGo()
    #expect(pair.receive(room: 8) == .message(length: 0))
    #expect(pair.taken != nil)
    pair.closeNear()
    #expect(pair.receive(room: 8) == .closed)
    #expect(pair.taken == nil)
    #expect(witness.isAllClosed)
  }

  /// What waits in a socket's buffer goes with the socket.
  @Test func unread() throws {
    let pair = try Pair()
    let witness = try Witness()
    for _ in 0..<10 { #expect(pair.send([1], witness) == .sent) }
    witness.letGo()
    #expect(witness.isOpen)
    pair.closeFar()
    #expect(witness.isAllClosed)
  }

  @Test func aReaderThatIsSlowOrGone() throws {
    let pair = try Pair()
    let witness = try Witness()
    try pair.setSendBuffer(bytes: 8192)
    let message = [UInt8](repeating: 5, count: 1024)
    while pair.send(message, witness) == .sent {}
    #expect(pair.send(message, witness) == .wouldBlock)
    #expect(pair.send([UInt8](repeating: 5, count: 1 << 20), witness) == .tooLong)
    pair.closeFar()
    #expect(pair.send(message, witness) == .failed(Errno(rawValue: ECONNRESET)))
    #expect(pair.send(message, witness) == .failed(Errno(rawValue: EPIPE)))
    #expect(witness.isOpen)
    witness.letGo()
    #expect(witness.isAllClosed)
  }

  @Test func aHeldOneIsClosedWithItsLastHolder() throws {
    let witness = try Witness()
    var holders = [witness.watched, witness.watched]
    witness.letGo()
    holders.removeLast()
    #expect(witness.isOpen)
    holders.removeLast()
    #expect(witness.isAllClosed)
  }

  /// Passed and received until every number would be used up if one was lost each time.
  @Test func nothingIsLostOverTime() throws {
    let pair = try Pair()
    let witness = try Witness()
    for round in 0..<5000 {
      if round % 3 == 0 {
        pair.sendMany([1, 2], witness, count: 1 + round % 5)
      } else {
        #expect(pair.send([1, 2], witness) == .sent)
      }
      #expect(pair.receive(room: round % 2 == 0 ? 2 : 1) == .message(length: 2))
    }
    pair.drop()
    witness.letGo()
    #expect(witness.isAllClosed)
  }
}
