// swift-format-ignore-file: AlwaysUseLowerCamelCase

// The functions have the names that mif.h gives them.
public import CLinux
public import CMIF
import Messages
import Platform
import Sessions
import Wire

/// What `struct mif_session` is: the session, and what it lends to the caller.
@safe
struct MIFHandle: ~Copyable {
  var session: MIFSession
  fileprivate let message = UnsafeMutablePointer<mif_message>.allocate(capacity: 1)
  /// What the message points to.
  private var lent: [UnsafeMutableRawPointer] = unsafe []

  init(_ session: consuming MIFSession) { self.session = session }
  deinit {
    for index in unsafe lent.indices { unsafe lent[index].deallocate() }
    unsafe message.deallocate()
  }

  static func at(_ session: OpaquePointer) -> UnsafeMutablePointer<MIFHandle> { unsafe UnsafeMutablePointer(session) }

  /// Makes the message that the caller gets to see.
  fileprivate mutating func tell(_ arrived: MIFMessage) {
    for index in unsafe lent.indices { unsafe lent[index].deallocate() }
    unsafe lent.removeAll(keepingCapacity: true)
    unsafe message.pointee = mif_message()
    unsafe message.pointee.msgtype = arrived.header.type
    unsafe message.pointee.error = arrived.header.error.rawValue
    unsafe message.pointee.flags = arrived.header.flags
    unsafe message.pointee.seq = arrived.header.sequence
    unsafe message.pointee.pid = arrived.header.pid
    unsafe message.pointee.has_socket = session.hasSocket ? 1 : 0
    switch arrived.content {
    case .announcement(let announcement): tell(announcement)
    case .configurationData(let pvd, let element, let items):
      tell(pvd, element)
      let array = unsafe allocate(mif_item.self, items.count)
      for index in items.indices { unsafe write(items[index], to: array + index) }
      unsafe message.pointee.items = UnsafePointer(array)
      unsafe message.pointee.item_count = items.count
    case .noConfigurationData(let pvd, let element): tell(pvd, element)
    case .statistics(let counters):
      let array = unsafe allocate(mif_counter.self, counters.count)
      for index in counters.indices {
        let name = unsafe lend(counters[index].name).assumingMemoryBound(to: CChar.self)
        unsafe (array + index).initialize(to: mif_counter(name: name, value: counters[index].value))
      }
      unsafe message.pointee.counters = UnsafePointer(array)
      unsafe message.pointee.counter_count = counters.count
    case .nameTranslation(let transaction, let address):
      unsafe message.pointee.transaction = transaction.identifier
      unsafe address.write(to: &message.pointee.address)
    case .nameTranslationEnded(let transaction, let failure), .notConnected(let transaction, let failure):
      unsafe message.pointee.transaction = transaction.identifier
      unsafe message.pointee.failure = mif_failure(failure)
    case .connected(let transaction): unsafe message.pointee.transaction = transaction.identifier
    case .snapshotEnd, .overrun, .answer, .other: break
    }
  }

  private func tell(_ announcement: MIFAnnouncement) {
    switch announcement {
    case .interface(let interface), .noInterface(let interface), .interfaceGoingAway(let interface),
      .interfaceGoingUp(let interface):
      unsafe interface.write(to: &message.pointee.interface)
    case .pvd(let interface, let pvd), .noPvD(let interface, let pvd):
      unsafe interface.write(to: &message.pointee.interface)
      unsafe pvd.write(to: &message.pointee.pvd)
    case .element(let pvd, let type), .noElement(let pvd, let type): tell(pvd, ElementReference(type))
    case .address(let pvd, let address), .noAddress(let pvd, let address):
      unsafe message.pointee.pvd.id = pvd
      unsafe address.write(to: &message.pointee.address)
    }
  }

  private func tell(_ pvd: UInt32, _ element: ElementReference) {
    unsafe message.pointee.pvd.id = pvd
    unsafe message.pointee.element = element.type
    unsafe message.pointee.information = element.identifier.rawValue
  }

  private mutating func allocate<T>(_ type: T.Type, _ count: Int) -> UnsafeMutablePointer<T> {
    let memory = UnsafeMutablePointer<T>.allocate(capacity: max(count, 1))
    unsafe lent.append(UnsafeMutableRawPointer(memory))
    return unsafe memory
  }

  /// Bytes with a zero behind them.
  private mutating func lend(_ bytes: [UInt8]) -> UnsafeRawPointer {
    let memory = unsafe allocate(UInt8.self, bytes.count + 1)
    for index in bytes.indices { unsafe memory[index] = bytes[index] }
    unsafe memory[bytes.count] = 0
    return UnsafeRawPointer(memory)
  }

  private mutating func write(_ item: ConfigurationItem, to place: UnsafeMutablePointer<mif_item>) {
    unsafe place.initialize(to: mif_item())
    unsafe place.pointee.information = item.identifier.rawValue
    unsafe place.pointee.kind = item.value.kind.rawValue
    unsafe place.pointee.preferred = item.preferredLifetime
    unsafe place.pointee.valid = item.validLifetime
    switch item.value {
    case .address(let address): unsafe place.pointee.address.store(address, scope: 0)
    case .text(let bytes), .bytes(let bytes):
      unsafe place.pointee.bytes = lend(bytes)
      unsafe place.pointee.length = bytes.count
    case .number(let number): unsafe place.pointee.number = number
    case .prefix(let prefix, let flags):
      unsafe place.pointee.address.store(prefix.address, scope: 0)
      unsafe place.pointee.prefix_length = prefix.length
      unsafe place.pointee.flags = UInt16(flags)
    case .route(let prefix, let gateway, let preference):
      unsafe place.pointee.address.store(prefix.address, scope: 0)
      unsafe place.pointee.prefix_length = prefix.length
      unsafe place.pointee.gateway.store(gateway, scope: 0)
      unsafe place.pointee.preference = preference
    case .router(let address, let preference):
      unsafe place.pointee.address.store(address, scope: 0)
      unsafe place.pointee.preference = preference
    case .pvd(let flags, let sequence):
      unsafe place.pointee.flags = flags
      unsafe place.pointee.number = UInt32(sequence)
    case .lease(let server, let renewal, let rebinding):
      unsafe place.pointee.address.store(server, scope: 0)
      unsafe place.pointee.number = renewal
      unsafe place.pointee.number2 = rebinding
    }
  }
}

// MARK: Values

extension InterfaceDescription {
  func write(to interface: UnsafeMutablePointer<mif_interface>) {
    unsafe interface.pointee.ifindex = identifier
    unsafe interface.pointee.flags = flags.rawValue
    unsafe withUnsafeMutableBytes(of: &interface.pointee.name) {
      for index in 0..<16 { unsafe $0[index] = name[index] }
    }
  }
}

extension PvDDescription {
  func write(to pvd: UnsafeMutablePointer<mif_pvd>) {
    unsafe pvd.pointee.id = identifier
    unsafe pvd.pointee.flags = isExplicit ? UInt32(bitPattern: MIF_PVD_EXPLICIT) : 0
    unsafe withUnsafeMutableBytes(of: &pvd.pointee.name) {
      for index in name.indices { unsafe $0[index] = name[index] }
    }
  }
}

extension AnnouncedAddress {
  fileprivate func write(to address: UnsafeMutablePointer<mif_address>) {
    unsafe address.pointee.address.store(self.address, scope: scope)
    unsafe address.pointee.prefix_length = prefixLength
    unsafe address.pointee.flags = UInt16(truncatingIfNeeded: flags.rawValue)
    unsafe address.pointee.preferred = preferredLifetime
    unsafe address.pointee.valid = validLifetime
  }
}

extension mif_failure {
  init(_ failure: Failure) {
    self.init(
      error: Int32(failure.error), from: failure.from.rawValue, icmp_type: failure.icmpType,
      icmp_code: failure.icmpCode, reserved: 0, resolver_status: failure.resolverStatus)
  }
}

// MARK: Functions

private func open(_ options: UnsafePointer<mif_options>?) throws(Errno) -> OpaquePointer {
  if let options = unsafe options {
    try unsafe checkSize(of: options, options.pointee.size)
    guard unsafe options.pointee.flags == 0, unsafe options.pointee.reserved == 0 else { throw .invalidArgument }
  }
  let path = unsafe socketPath(options?.pointee.runtime_dir, "/mif.sock")
  let handle = UnsafeMutablePointer<MIFHandle>.allocate(capacity: 1)
  do throws(SystemFailure) {
    unsafe handle.initialize(to: MIFHandle(try MIFSession(path: path)))
  } catch {
    unsafe handle.deallocate()
    throw error.errno
  }
  return OpaquePointer(handle)
}

@c @implementation
public func mif_open(_ options: UnsafePointer<mif_options>!) -> OpaquePointer! {
  do throws(Errno) {
    return try unsafe open(options)
  } catch {
    clinux_set_errno(error.rawValue)
    return nil
  }
}

@c @implementation
public func mif_close(_ session: OpaquePointer!) {
  guard let session = unsafe session else { return }
  let before = clinux_errno()
  let handle = unsafe MIFHandle.at(session)
  unsafe handle.deinitialize(count: 1)
  unsafe handle.deallocate()
  clinux_set_errno(before)
}

@c @implementation
public func mif_fd(_ session: OpaquePointer!) -> Int32 { unsafe MIFHandle.at(session).pointee.session.descriptor }

@c @implementation
public func mif_check(
  _ session: OpaquePointer!, _ descriptors: UnsafeMutablePointer<pollfd>!, _ count: Int, _ timeout: Int32
) -> Int32 {
  valueOrMinusOne { () throws(Errno) in
    guard count >= 0, count < 1 << 20 else { throw .invalidArgument }
    // poll(2) passes over a negative one.
    let own = unsafe session.map { unsafe MIFHandle.at($0).pointee.session.descriptor } ?? -1
    var questions = [pollfd(fd: own, events: Int16(POLLIN), revents: 0)]
    questions.reserveCapacity(count + 1)
    for index in 0..<count { questions.append(unsafe descriptors[index]) }
    let ready = try valueOrErrno(retryOnInterrupt: false) {
      unsafe questions.withUnsafeMutableBufferPointer { unsafe poll($0.baseAddress, nfds_t($0.count), timeout) }
    }
    for index in 0..<count { unsafe descriptors[index].revents = questions[index + 1].revents }
    guard ready > 0 else { return 0 }
    let isMessage = questions[0].revents != 0
    return (isMessage ? MIF_CHECK_MESSAGE : 0) | (ready > (isMessage ? 1 : 0) ? MIF_CHECK_DESCRIPTOR : 0)
  }
}

@c @implementation
public func mif_get(
  _ session: OpaquePointer!, _ message: UnsafeMutablePointer<UnsafePointer<mif_message>?>!
) -> Int32 {
  let handle = unsafe MIFHandle.at(session)
  return valueOrMinusOne { () throws(Errno) in
    do throws(MIFFailure) {
      guard let arrived = try unsafe handle.pointee.session.next() else { return 0 }
      unsafe handle.pointee.tell(arrived)
    } catch {
      throw error.errno
    }
    unsafe message.pointee = UnsafePointer(handle.pointee.message)
    return 1
  }
}

@c @implementation
public func mif_take_socket(_ session: OpaquePointer!) -> Int32 {
  let handle = unsafe MIFHandle.at(session)
  return valueOrMinusOne { () throws(Errno) in
    guard let socket = unsafe handle.pointee.session.takeSocket() else { throw .noEntry }
    return socket.release()
  }
}
