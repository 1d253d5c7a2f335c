// swift-format-ignore-file: AlwaysUseLowerCamelCase

// The functions have the names that mif.h gives them.
import CLinux
public import CMIF
import Messages
import Platform
import Sessions
import Wire

/// What `struct mif_connector` is.
@safe
private struct ConnectorHandle: ~Copyable {
  var connection: HostConnection
  var isNonblocking: Bool

  static func at(_ connector: OpaquePointer) -> UnsafeMutablePointer<ConnectorHandle> {
    unsafe UnsafeMutablePointer(connector)
  }

  /// Makes the handle, or ends.
  static func start(
    _ host: UnsafePointer<CChar>?, _ port: UInt16, _ options: UnsafePointer<mif_connect_options>?, _ timeout: Int32
  ) throws(Errno) -> UnsafeMutablePointer<ConnectorHandle> {
    let (order, flags) = try unsafe HostConnection.Order.taking(host, port, options, timeout)
    let path = unsafe socketPath(options?.pointee.runtime_dir, "/mif.sock")
    let handle = UnsafeMutablePointer<ConnectorHandle>.allocate(capacity: 1)
    do throws(SystemFailure) {
      unsafe handle.initialize(
        to: ConnectorHandle(
          connection: try HostConnection(path: path, order),
          isNonblocking: flags & UInt32(bitPattern: MIF_CONNECT_NONBLOCK) != 0))
    } catch {
      unsafe handle.deallocate()
      throw error.errno
    }
    return unsafe handle
  }

  static func end(_ handle: UnsafeMutablePointer<ConnectorHandle>) {
    unsafe handle.deinitialize(count: 1)
    unsafe handle.deallocate()
  }

  mutating func step() throws(Errno) -> HappyEyeballs.Winner? {
    switch connection.step() {
    case .underWay: return nil
    case .connected(let winner): return winner
    case .failed(let error): throw error
    }
  }

  /// Begins the next connection.
  mutating func next(
    _ host: UnsafePointer<CChar>?, _ port: UInt16, _ options: UnsafePointer<mif_connect_options>?, _ timeout: Int32
  ) throws(Errno) {
    let (order, flags) = try unsafe HostConnection.Order.taking(host, port, options, timeout)
    do throws(SystemFailure) {
      try connection.connect(order)
    } catch {
      throw error.errno
    }
    isNonblocking = flags & UInt32(bitPattern: MIF_CONNECT_NONBLOCK) != 0
  }

  /// Takes the socket of a connection that has ended.
  mutating func finish(_ route: UnsafeMutablePointer<mif_route>?) throws(Errno) -> Int32 {
    guard let winner = try step() else { throw .wouldBlock }
    guard let socket = connection.takeSocket() else { throw .noEntry }
    if isNonblocking {
      _ = try valueOrErrno { clinux_fcntl(socket.number, F_SETFL, O_RDWR | O_NONBLOCK) }
    }
    if let route = unsafe route {
      unsafe route.pointee = mif_route()
      unsafe route.pointee.ifindex = winner.domain.interface
      unsafe winner.domain.pvd.write(to: &route.pointee.pvd)
      unsafe route.pointee.destination.store(winner.destination)
    }
    return socket.release()
  }
}

extension HostConnection.Order {
  /// An order and its MIF_CONNECT_...
  fileprivate static func taking(
    _ host: UnsafePointer<CChar>?, _ port: UInt16, _ options: UnsafePointer<mif_connect_options>?, _ timeout: Int32
  ) throws(Errno) -> (HostConnection.Order, flags: UInt32) {
    guard let host = unsafe host else { throw .invalidArgument }
    var order = HostConnection.Order(host: unsafe bytes(ofCString: host), port: port)
    order.timeout = timeout < 0 ? nil : UInt64(timeout) * 1_000_000
    var flags: UInt32 = 0
    if let options = unsafe options { flags = try unsafe order.take(options) }
    order.isKept = flags & UInt32(bitPattern: MIF_CONNECT_KEEP) != 0
    return (order, flags)
  }

  /// Gives MIF_CONNECT_...
  fileprivate mutating func take(_ options: UnsafePointer<mif_connect_options>) throws(Errno) -> UInt32 {
    try unsafe checkSize(of: options, options.pointee.size)
    let given = unsafe options.pointee
    let known = UInt32(bitPattern: MIF_CONNECT_NONBLOCK | MIF_CONNECT_WAIT | MIF_CONNECT_KEEP)
    guard unsafe given.flags & ~known == 0, unsafe given.reserved == 0, unsafe given.reserved2 == 0 else {
      throw .invalidArgument
    }
    pvd = unsafe given.pvd
    interface = unsafe given.ifindex
    transport = try Endpoint.Transport(number: Int32(unsafe given.transport))
    switch Int32(unsafe given.family) {
    case AF_UNSPEC: family = nil
    case AF_INET: family = .v4
    case AF_INET6: family = .v6
    default: throw Errno(rawValue: EAFNOSUPPORT)
    }
    if unsafe given.attempt_delay != 0 { settings.attemptDelay = UInt64(unsafe given.attempt_delay) * 1_000_000 }
    settings.waitsForNetwork = unsafe given.flags & UInt32(bitPattern: MIF_CONNECT_WAIT) != 0
    return unsafe given.flags
  }
}

@c @implementation
public func mif_connect(
  _ host: UnsafePointer<CChar>!, _ port: UInt16, _ options: UnsafePointer<mif_connect_options>!,
  _ route: UnsafeMutablePointer<mif_route>!, _ timeout: Int32
) -> Int32 {
  valueOrMinusOne { () throws(Errno) in
    let handle = try unsafe ConnectorHandle.start(host, port, options, timeout)
    defer { unsafe ConnectorHandle.end(handle) }
    while try unsafe handle.pointee.step() == nil {
      // Its own timer ends it; before that only a signal does.
      if try unsafe !handle.pointee.connection.wait(milliseconds: -1) { throw .interrupted }
    }
    return try unsafe handle.pointee.finish(route)
  }
}

@c @implementation
public func mif_connect_start(
  _ host: UnsafePointer<CChar>!, _ port: UInt16, _ options: UnsafePointer<mif_connect_options>!, _ timeout: Int32
) -> OpaquePointer! {
  do throws(Errno) {
    return OpaquePointer(try unsafe ConnectorHandle.start(host, port, options, timeout))
  } catch {
    clinux_set_errno(error.rawValue)
    return nil
  }
}

@c @implementation
public func mif_connect_fd(_ connector: OpaquePointer!) -> Int32 {
  unsafe ConnectorHandle.at(connector).pointee.connection.descriptor
}

@c @implementation
public func mif_connect_step(_ connector: OpaquePointer!) -> Int32 {
  let handle = unsafe ConnectorHandle.at(connector)
  return valueOrMinusOne { () throws(Errno) in try unsafe handle.pointee.step() == nil ? 0 : 1 }
}

@c @implementation
public func mif_connect_attempt(
  _ connector: OpaquePointer!, _ index: Int, _ attempt: UnsafeMutablePointer<mif_attempt>!
) -> Int32 {
  let trials = unsafe ConnectorHandle.at(connector).pointee.connection.trials
  guard index < trials.count else { return 0 }
  let trial = trials[index]
  unsafe attempt.pointee = mif_attempt()
  unsafe attempt.pointee.ifindex = trial.domain.interface
  unsafe attempt.pointee.is_connected = trial.isConnected ? 1 : 0
  unsafe trial.domain.pvd.write(to: &attempt.pointee.pvd)
  if let destination = trial.destination { unsafe attempt.pointee.destination.store(destination) }
  if let failure = trial.failure { unsafe attempt.pointee.failure = mif_failure(failure) }
  return 1
}

@c @implementation
public func mif_connect_finish(_ connector: OpaquePointer!, _ route: UnsafeMutablePointer<mif_route>!) -> Int32 {
  let handle = unsafe ConnectorHandle.at(connector)
  return valueOrMinusOne { () throws(Errno) in
    defer { unsafe ConnectorHandle.end(handle) }
    return try unsafe handle.pointee.finish(route)
  }
}

@c @implementation
public func mif_connect_take(_ connector: OpaquePointer!, _ route: UnsafeMutablePointer<mif_route>!) -> Int32 {
  let handle = unsafe ConnectorHandle.at(connector)
  return valueOrMinusOne { () throws(Errno) in try unsafe handle.pointee.finish(route) }
}

@c @implementation
public func mif_connect_next(
  _ connector: OpaquePointer!, _ host: UnsafePointer<CChar>!, _ port: UInt16,
  _ options: UnsafePointer<mif_connect_options>!, _ timeout: Int32
) -> Int32 {
  let handle = unsafe ConnectorHandle.at(connector)
  return valueOrMinusOne { () throws(Errno) in
    try unsafe handle.pointee.next(host, port, options, timeout)
    return 0
  }
}

@c @implementation
public func mif_connect_cancel(_ connector: OpaquePointer!) {
  guard let connector = unsafe connector else { return }
  let before = clinux_errno()
  unsafe ConnectorHandle.end(ConnectorHandle.at(connector))
  clinux_set_errno(before)
}
