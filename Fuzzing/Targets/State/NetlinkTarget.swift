import CLinux
import CNetlink
import Fuzzing
import Messages
import Provisioning
import Wire

@testable import Kernel

/// rtnetlink's datagrams, as the kernel's side of the socket: decoded, kept in tables, told as differences, and a state
/// made of these, of which everybody can be told. Dumps run and end as the messages say.
///
/// An input is a row of datagrams, each with its length, 2 bytes, before it; the length's highest bit lets 5 seconds
/// pass first.
struct NetlinkTarget: FuzzTarget {
  static let name = "netlink"
  static let maximumLength = 1024
  static let vectors = ""
  private static let patience: UInt64 = 6_000_000_000
  private static let datagramLimit = 2048

  static var seeds: [(name: String, input: [UInt8])] { NetlinkSeeds.all }

  private let buffer = Buffer(size: datagramLimit)

  func run(_ bytes: RawSpan) {
    var tables = Tables()
    var told = Told()
    var now: UInt64 = 1_000_000_000
    Self.advance(&tables, now, &told)
    var program = Program(bytes)
    while !program.isAtEnd {
      let length = program.word()
      if length & 0x8000 != 0 { now += Self.patience }
      buffer.fill(program.bytes(min(Int(length & 0x7FFF), Self.datagramLimit)))
      buffer.forEachMessage { message in tables.handle(message, port: 0, at: now) { told.take($0) } }
      Self.advance(&tables, now, &told)
    }
    check(told.links == told.links.union(told.named), "events of links that nobody was told of")
    var telling = Telling()
    for event in told.events { telling.apply(event) }
    telling.checkItems()
  }

  /// As `KernelState` drives them; each dump's sequence number is 1.
  private static func advance(_ tables: inout Tables, _ now: UInt64, _ told: inout Told) {
    _ = tables.resync.stalled(at: now)
    if tables.resync.isDone { tables.endCycle(at: now) { told.take($0) } }
    tables.beginCycle(at: now)
    for _ in 0..<64 {
      guard let dump = tables.resync.next(at: now) else { return }
      tables.resync.started(dump, sequence: 1, at: now)
    }
    check(false, "dumps without an end")
  }

  func mend(_ input: UnsafeMutableBufferPointer<UInt8>) {
    func word(_ offset: Int) -> Int { unsafe Int(input[offset]) | Int(input[offset + 1]) << 8 }
    func put(_ value: Int, _ offset: Int) {
      unsafe input[offset] = UInt8(value & 0xFF)
      unsafe input[offset + 1] = UInt8(value >> 8)
    }
    var offset = 0
    while offset + 2 < input.count {
      let end = min(offset + 2 + word(offset) & 0x7FFF, input.count)
      var message = offset + 2
      while message + 16 <= end {
        let length = max(16, min(word(message), end - message))
        put(length, message)
        put(0, message + 2)
        message += (length + 3) & ~3
      }
      offset = max(end, offset + 2)
    }
  }
}

/// What events may say: nothing of a link before the link, everything of it gone before it goes.
private struct Told {
  private(set) var events: [KernelEvent] = []
  private(set) var links: Set<UInt32> = []
  private(set) var named: Set<UInt32> = []
  private var addresses: [UInt32: Set<IPPrefix>] = [:]

  mutating func take(_ event: KernelEvent) {
    events.append(event)
    switch event {
    case .link(let link): links.insert(link.index)
    case .linkRemoved(let index):
      check(links.remove(index) != nil, "removed before it was told: \(index)")
      check(addresses[index, default: []].isEmpty, "a link before its addresses")
      named.remove(index)
    case .address(let address):
      name(address.interface)
      addresses[address.interface, default: []].insert(address.prefix)
    case .addressRemoved(let interface, let prefix):
      name(interface)
      check(addresses[interface]?.remove(prefix) != nil, "removed before it was told: \(prefix)")
    case .defaultRoute(let route), .defaultRouteRemoved(let route): name(route.interface)
    case .neighbour(let interface, _, _): name(interface)
    case .snapshotComplete: break
    }
  }

  private mutating func name(_ interface: UInt32) {
    check(links.contains(interface), "interface \(interface) before its link")
    named.insert(interface)
  }
}

/// Where datagrams are received: what lies at its end is the datagram, aligned as the kernel's is.
@safe private final class Buffer {
  private let memory: UnsafeMutableRawBufferPointer
  private var start: UnsafeMutableRawPointer
  private var count = 0

  init(size: Int) {
    unsafe memory = .allocate(byteCount: size, alignment: 16)
    unsafe start = memory.baseAddress!
  }

  deinit { unsafe memory.deallocate() }

  func fill(_ bytes: [UInt8]) {
    count = bytes.count
    // Up to 3 bytes stay between its end and the memory's: libnl reads aligned headers.
    unsafe start = memory.baseAddress! + (memory.count - (count + 3) & ~3)
    unsafe bytes.withUnsafeBytes {
      unsafe start.copyMemory(from: $0.baseAddress ?? UnsafeRawPointer(start), byteCount: $0.count)
    }
  }

  func forEachMessage(_ body: (Message) -> Void) {
    var next = unsafe start.assumingMemoryBound(to: nlmsghdr.self)
    var remaining = Int32(count)
    while remaining >= MemoryLayout<nlmsghdr>.size, unsafe nlmsg_ok(next, remaining) != 0 {
      body(unsafe Message(unsafe: next))
      guard let following = unsafe nlmsg_next(next, &remaining) else { break }
      unsafe next = following
    }
  }
}
