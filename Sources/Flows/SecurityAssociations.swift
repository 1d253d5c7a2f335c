import CLinux
package import Platform
import Wire

/// Whether the kernel has an ESP state with an SPI and a destination (NETLINK_XFRM). Only who has CAP_NET_ADMIN when it
/// asks may ask, so that a socket opened earlier is of no use: the keeper asks.
package struct SecurityAssociations: ~Copyable {
  enum Answer: Hashable, Sendable {
    case found
    case none
    /// There are no states of any kind: if anybody does ESP here, then not the kernel.
    case noneAtAll
    /// Nobody here has the right to ask.
    case unaskable
  }

  // MARK: The engine's side

  static func find(spi: UInt32, destination: IPAddress, _ keeper: Keeper) -> Answer {
    var argument = Keeper.Argument(number: spi)
    switch destination {
    case .v4(let v4): argument.low = 0xFFFF_0000_0000 | UInt64(v4.value)
    case .v6(let v6): (argument.high, argument.low) = (v6.high, v6.low)
    }
    do throws(SystemFailure) {
      _ = try keeper.ask(.findSecurityAssociation, argument)
      return .found
    } catch {
      switch error.errno.rawValue {
      case ENOENT: return .none
      case ESRCH: return .noneAtAll
      default: return .unaskable
      }
    }
  }

  // MARK: The keeper's side

  /// Returns where there is such a state, else throws what the request says.
  package static func answer(_ argument: Keeper.Argument) throws(SystemFailure) {
    let isMapped = argument.high == 0 && argument.low >> 32 == 0xFFFF
    let destination: IPAddress =
      isMapped
      ? .v4(IPv4Address(UInt32(truncatingIfNeeded: argument.low))) : .v6(IPv6Address(argument.high, argument.low))
    let answer: Answer
    do throws(Errno) {
      var associations = try SecurityAssociations()
      answer = try associations.find(spi: argument.number, destination: destination)
    } catch {
      // A kernel without XFRM has no states.
      answer = error.rawValue == EPROTONOSUPPORT ? .noneAtAll : .unaskable
    }
    switch answer {
    case .found: return
    case .none: throw SystemFailure("find an ESP state", Errno(rawValue: ENOENT))
    case .noneAtAll: throw SystemFailure("find an ESP state", Errno(rawValue: ESRCH))
    case .unaskable: throw SystemFailure("find an ESP state", .notPermitted)
    }
  }

  private let descriptor: Descriptor
  private var sequence: UInt32 = 0
  private var buffer = [UInt8].zeros(32_768)

  init() throws(Errno) {
    self.init(
      taking: Descriptor(
        taking: try valueOrErrno {
          socket(AF_NETLINK, Int32(SOCK_RAW.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), NETLINK_XFRM)
        }))
  }

  /// Asks whoever is at the other end.
  init(taking descriptor: consuming Descriptor) { self.descriptor = descriptor }

  mutating func find(spi: UInt32, destination: IPAddress) throws(Errno) -> Answer {
    if try hasState(spi, destination) { return .found }
    if try count() == 0 { return .noneAtAll }
    return try listHasState(spi, destination) ? .found : .none
  }

  /// The look-up by which the kernel finds a packet's state; it passes over states with a mark.
  private mutating func hasState(_ spi: UInt32, _ destination: IPAddress) throws(Errno) -> Bool {
    let identity = Identity(
      destination: SocketDiagnosis.words(destination), spi: spi.bigEndian,
      family: SecurityAssociations.family(destination))
    var isFound = false
    do throws(Errno) {
      try unsafe exchange(XFRM_MSG_GETSA, identity, 0) { type, _ in isFound = type == XFRM_MSG_NEWSA }
    } catch {
      if error.rawValue != ESRCH { throw error }
    }
    return isFound
  }

  /// How many states of any kind there are.
  private mutating func count() throws(Errno) -> UInt32 {
    var count: UInt32?
    try unsafe exchange(XFRM_MSG_GETSADINFO, UInt32(0), 0) { type, body in
      // Flags of 32 bits, then attributes, each a length of 16 bits, a type of 16 bits, a value.
      var offset = 4
      while type == XFRM_MSG_NEWSADINFO, offset + 8 <= body.count {
        let length = unsafe Int(body.loadUnaligned(fromByteOffset: offset, as: UInt16.self))
        let number = unsafe body.loadUnaligned(fromByteOffset: offset + 2, as: UInt16.self)
        if number == UInt16(XFRMA_SAD_CNT.rawValue), length == 8 {
          count = unsafe body.loadUnaligned(fromByteOffset: offset + 4, as: UInt32.self)
        }
        offset += max(4, (length + 3) & ~3)
      }
    }
    guard let count else { throw .protocolError }
    return count
  }

  /// Looks through all ESP states with that destination, whatever their mark.
  private mutating func listHasState(_ spi: UInt32, _ destination: IPAddress) throws(Errno) -> Bool {
    let filter = Filter(
      destination: SocketDiagnosis.words(destination), family: SecurityAssociations.family(destination),
      destinationLength: destination.family.width)
    var isFound = false
    try unsafe exchange(XFRM_MSG_GETSA, filter, NLM_F_DUMP) { type, body in
      guard type == XFRM_MSG_NEWSA, body.count >= MemoryLayout<xfrm_usersa_info>.size else { return }
      // Behind the selector stands struct xfrm_id: the destination, then the SPI.
      let offset = MemoryLayout<xfrm_selector>.size + MemoryLayout<xfrm_address_t>.size
      if unsafe body.loadUnaligned(fromByteOffset: offset, as: UInt32.self) == spi.bigEndian { isFound = true }
    }
    return isFound
  }

  /// struct xfrm_usersa_id.
  private struct Identity: BitwiseCopyable {
    var destination: Words
    var spi: UInt32
    var family: UInt16
    var number = UInt8(IPPROTO_ESP)
    var padding: UInt8 = 0
  }

  /// The attributes of a dump, which has no header of its own: XFRMA_ADDRESS_FILTER (struct xfrm_address_filter), and
  /// XFRMA_PROTO.
  private struct Filter: BitwiseCopyable {
    var filterLength: UInt16 = 40
    var filterType = UInt16(XFRMA_ADDRESS_FILTER.rawValue)
    var source: Words = (0, 0, 0, 0)
    var destination: Words
    var family: UInt16
    var sourceLength: UInt8 = 0
    var destinationLength: UInt8
    var numberLength: UInt16 = 5
    var numberType = UInt16(XFRMA_PROTO.rawValue)
    var number = UInt8(IPPROTO_ESP)
    var padding: (UInt8, UInt8, UInt8) = (0, 0, 0)
  }

  private typealias Words = (UInt32, UInt32, UInt32, UInt32)

  private struct Request<Body: BitwiseCopyable>: BitwiseCopyable {
    var header: nlmsghdr
    var body: Body
  }

  /// Asks, and calls `heard` with the type and the body of each message of the answer; throws what the kernel answers
  /// instead. Everything is there when send(2) returns, or for a dump after each recv(2).
  private mutating func exchange<Body: BitwiseCopyable>(
    _ type: Int, _ body: Body, _ flags: Int32, _ heard: (Int, UnsafeRawBufferPointer) -> Void
  ) throws(Errno) {
    sequence += 1
    let size = MemoryLayout<Request<Body>>.size
    var request = Request(
      header: nlmsghdr(
        nlmsg_len: UInt32(size), nlmsg_type: UInt16(type), nlmsg_flags: UInt16(NLM_F_REQUEST | flags),
        nlmsg_seq: sequence, nlmsg_pid: 0), body: body)
    _ = try valueOrErrno { unsafe send(descriptor.number, &request, size, 0) }
    let isDump = flags != 0
    // A bound on what a full database can cost: some 6,000 states with one destination.
    for _ in 0..<64 {
      let length = try valueOrErrno {
        unsafe buffer.withUnsafeMutableBytes { unsafe recv(descriptor.number, $0.baseAddress, $0.count, 0) }
      }
      var failure: Errno?
      var isEnd = !isDump
      unsafe buffer.withUnsafeBytes { bytes in
        var offset = 0
        while offset + MemoryLayout<nlmsghdr>.size <= length {
          let header = unsafe bytes.loadUnaligned(fromByteOffset: offset, as: nlmsghdr.self)
          let end = offset + Int(header.nlmsg_len)
          let start = offset + MemoryLayout<nlmsghdr>.size
          guard header.nlmsg_seq == sequence, start <= end, end <= length else { break }
          let content = unsafe UnsafeRawBufferPointer(rebasing: bytes[start..<end])
          switch Int32(header.nlmsg_type) {
          case NLMSG_ERROR:
            let status = unsafe content.count >= 4 ? content.loadUnaligned(as: Int32.self) : -EPROTO
            failure = Errno(rawValue: 0 &- status)
          case NLMSG_DONE: isEnd = true
          default: unsafe heard(Int(header.nlmsg_type), content)
          }
          offset = (end + 3) & ~3
        }
      }
      if let failure { throw failure }
      if isEnd { return }
    }
    throw .messageTooLong
  }

  private static func family(_ address: IPAddress) -> UInt16 {
    UInt16(address.family == .v4 ? AF_INET : AF_INET6)
  }
}
