import BroadcastRing
import CLinux
import Messages
import Platform
import Wire

// What it costs to publish, and how much reaches how many readers: lines of "name value", for tools/bench-ring.
//
//   ring publish READERS BATCH    nanoseconds for a record, with so many readers awake, who are looked at once in BATCH
//   ring deliver READERS          million records a second that reach so many readers in all, each a thread; nobody is
//                                 lapped, because the writer waits for the slowest, and who has read all sleeps
//   ring tell READERS             the same, each record a NOTIFY that is encoded anew

func number(_ text: [UInt8]) -> Int { text.reduce(0) { $0 * 10 + Int($1 & 0x0F) } }

func fail(_ message: StaticString) -> Never {
  print(message)
  exit(1)
}

func must<T: ~Copyable>(_ body: () throws(Errno) -> T) -> T {
  do throws(Errno) { return try body() } catch { fail("a system call failed") }
}

/// A NOTIFY of a path that can't be reached: 160 bytes.
func notify(_ writer: inout MessageWriter, _ number: UInt32) {
  var addresses = TriggerAddresses()
  do throws(MessageRefusal) {
    try addresses.append(TriggerAddress(.v6(IPv6Address(0x2001_0DB8_0000_0000, 1)), prefixLength: 128))
    try addresses.append(TriggerAddress(.v6(IPv6Address(0x2001_0DB8_0000_0001, UInt64(number))), prefixLength: 128))
  } catch { fail("two addresses fit") }
  do throws(MessageOverflow) {
    let notification = try writer.notification(
      TriggerPayload(type: .destinationUnreachable, identifier: number), addresses: addresses,
      origin: Origin(interface: 3, source: .icmp, icmpType: 1, timestamp: UInt64(number)), pid: 0)
    writer.prepare(notification, cause: .add, sequence: number, extensions: [.cause, .origin])
  } catch { fail("a message fits") }
}

/// Readers as the agent has them, and what each of them is given.
@safe struct Given {
  var ring: Int32
  var page: Int32
  var bell: Int32
  var offset: Int
  /// Where this reader says how far it has come.
  var progress: UnsafeMutableRawPointer
  var limit: UInt64
}

func seat(_ number: Int, _ ring: RingWriter, _ seats: inout RingSeats) -> (passed: [PassedDescriptor], offset: Int) {
  var pair: [2 of Int32] = [-1, -1]
  var span = pair.mutableSpan
  let result = unsafe span.withUnsafeMutableBufferPointer {
    unsafe socketpair(AF_UNIX, Int32(SOCK_SEQPACKET.rawValue), 0, $0.baseAddress!)
  }
  if result != 0 { fail("no socket") }
  let near = must { () throws(Errno) in try Connection(taking: Descriptor(taking: pair[0])) }
  let far = must { () throws(Errno) in try Connection(taking: Descriptor(taking: pair[1])) }
  let seat = must { () throws(Errno) in try RingSeat(number: number) }
  var buffer: [UInt8] = [0]
  guard seat.hand(ring, over: near, with: unsafe buffer.span.bytes) == .sent else { fail("nothing is passed") }
  var passed: [PassedDescriptor] = []
  var memory = buffer.mutableSpan
  var bytes = unsafe memory.mutableBytes
  _ = far.receive(into: &bytes, descriptors: &passed)
  guard passed.count == 3 else { fail("nothing came") }
  seats.append(seat)
  return (passed, seat.offset)
}

/// One reader: reads what is there, and sleeps when that is all.
func read(_ given: Given) {
  var reader = must { () throws(Errno) in try RingReader(Descriptor(taking: given.ring), from: 1) }
  var sleep = must { () throws(Errno) in
    try RingSleep(page: Descriptor(taking: given.page), offset: given.offset, bell: Descriptor(taking: given.bell))
  }
  var buffer = [UInt8](repeating: 0, count: RingLayout.longestRecord)
  while reader.position < given.limit {
    var memory = buffer.mutableSpan
    var bytes = unsafe memory.mutableBytes
    var outcome = reader.read(into: &bytes)
    while case .record = outcome { outcome = reader.read(into: &bytes) }
    unsafe clinux_store64_release(given.progress, reader.position)
    if outcome == .lapped { fail("lapped") }
    if reader.position < given.limit { sleep.wait(reader) }
  }
}

func deliver(to readers: Int, encoding: Bool) {
  let size = 8 << 20
  let slots = UInt64(size / RingLayout.slotSize)
  let ring = must { () throws(Errno) in try RingWriter(size: size) }
  var seats = RingSeats()
  let records = UInt64(max(32_000_000 / readers / (encoding ? 2 : 1), 200_000))
  let progress = UnsafeMutableRawPointer.allocate(byteCount: 64 * readers, alignment: 64)
  var threads: [pthread_t] = []
  for index in 0..<readers {
    unsafe clinux_store64(progress + 64 * index, 1)
    let (passed, offset) = seat(index, ring, &seats)
    let given = UnsafeMutablePointer<Given>.allocate(capacity: 1)
    func own(_ place: Int) -> Int32 {
      must { () throws(Errno) in try Descriptor.duplicate(of: passed[place].descriptor.number) }.release()
    }
    unsafe given.initialize(
      to: Given(
        ring: own(0), page: own(1), bell: own(2), offset: offset,
        progress: progress + 64 * index, limit: records + 1))
    var thread = pthread_t()
    let result = unsafe pthread_create(
      &thread, nil,
      { argument in
        unsafe read(argument!.assumingMemoryBound(to: Given.self).pointee)
        return nil
      }, given)
    if result != 0 { fail("no thread") }
    threads.append(thread)
  }
  var memory = [UInt8](repeating: 0, count: 1024)
  var span = memory.mutableSpan
  var writer = MessageWriter(unsafe span.mutableBytes)
  notify(&writer, 1)
  let batch: UInt64 = 1024
  let begin = Clock.bootTime()
  while ring.position <= records {
    for _ in 0..<min(batch, records + 1 - ring.position) {
      if encoding { notify(&writer, UInt32(truncatingIfNeeded: ring.position)) }
      ring.publish(writer.message)
    }
    _ = seats.wake(before: ring.position)
    // Where the slowest is three quarters of the ring behind, it has its turn.
    while true {
      var slowest = UInt64.max
      for index in 0..<readers { slowest = min(slowest, unsafe clinux_load64_acquire(progress + 64 * index)) }
      if ring.position - slowest + batch < slots / 4 * 3 { break }
      sched_yield()
      _ = seats.wake(before: ring.position)
    }
  }
  for thread in threads {
    _ = seats.wake(before: ring.position)
    _ = pthread_join(thread, nil)
  }
  let seconds = Double(Clock.bootTime() - begin) / 1e9
  show(encoding ? "tell" : "deliver", Double(records) * Double(readers) / seconds / 1e6)
}

func publish(to readers: Int, batch: Int) {
  let ring = must { () throws(Errno) in try RingWriter(size: 128 << 10) }
  var seats = RingSeats()
  for index in 0..<readers { _ = seat(index, ring, &seats) }
  var memory = [UInt8](repeating: 0, count: 1024)
  var span = memory.mutableSpan
  var writer = MessageWriter(unsafe span.mutableBytes)
  notify(&writer, 1)
  let records = 2_000_000
  let begin = Clock.bootTime()
  for _ in 0..<records / batch {
    for _ in 0..<batch { ring.publish(writer.message) }
    _ = seats.wake(before: ring.position)
  }
  show("publish", Double(Clock.bootTime() - begin) / Double(records))
}

/// With two digits behind the point.
func show(_ name: StaticString, _ value: Double) {
  let hundredths = Int(value * 100)
  var rest = String(hundredths % 100)
  if hundredths % 100 < 10 { rest = "0" + rest }
  print("\(name) \(hundredths / 100).\(rest)")
}

// Three descriptors for each reader.
clinux_raise_descriptor_limit()
let words: [[UInt8]]
do throws(SystemFailure) { words = try Process.arguments() } catch { fail("no arguments") }
guard words.count >= 2 else { fail("usage: ring publish|deliver|tell READERS [BATCH]") }
let readers = max(number(words[1]), 1)
switch words[0].first {
case 0x70: publish(to: readers, batch: words.count > 2 ? max(number(words[2]), 1) : 1)
case 0x64: deliver(to: readers, encoding: false)
default: deliver(to: readers, encoding: true)
}
