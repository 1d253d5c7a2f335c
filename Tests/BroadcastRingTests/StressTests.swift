import BroadcastRing
import CLinux
import Dispatch
import Platform
import Synchronization
import Testing

/// One writer and readers at the speed that they have: whatever a reader accepts was published so, and in this order.
@Suite(.serialized) struct StressTests {
  private final class Shared: Sendable {
    let accepted = Atomic(0)
    let lapped = Atomic(0)
    let wrong = Atomic(0)
  }

  /// The length of a record, of the sizes that messages have, by its number.
  private static func length(_ number: UInt64) -> Int { 24 + Int(number &* 0x9E37_79B9 % 90) * 8 }

  /// Reads until it has so many records; each is checked by its sum.
  private static func read(_ descriptor: borrowing Descriptor, until limit: Int, _ shared: Shared) throws {
    var reader = try RingReader(descriptor, from: 1)
    var last: UInt64 = 0
    var accepted = 0
    let deadline = Clock.bootTime() + 60_000_000_000
    while accepted < limit, Clock.bootTime() < deadline {
      switch reader.next() {
      case .record(let bytes):
        let number = unsafe bytes.withUnsafeBytes { unsafe $0.load(fromByteOffset: 8, as: UInt64.self) }
        if number <= last || bytes != record(number, length: length(number)) {
          shared.wrong.add(1, ordering: .relaxed)
        }
        last = number
        accepted += 1
        shared.accepted.add(1, ordering: .relaxed)
      case .nothing: sched_yield()
      case .lapped:
        shared.lapped.add(1, ordering: .relaxed)
        reader.move(to: try written(descriptor))
      }
    }
  }

  /// The writer's position, out of the ring's header.
  private static func written(_ descriptor: borrowing Descriptor) throws -> UInt64 {
    var position: UInt64 = 0
    #expect(unsafe pread(descriptor.number, &position, 8, 64) == 8)
    return position
  }

  // 16 slots are overwritten within a few records: nearly every read races with the writer, and few win. So that some do,
  // however the machine is busy, the writer rests a moment after each burst.
  @Test(arguments: [(4096, 20), (65_536, 2_000)])
  func `a torn record is never accepted`(_ size: Int, _ records: Int) throws {
    let shared = Shared()
    let ring = try RingWriter(size: size)
    let number = ring.descriptor.number
    let done = DispatchGroup()
    let readers = 3
    for _ in 0..<readers {
      let descriptor = try Descriptor.duplicate(of: number).release()
      done.enter()
      DispatchQueue(label: "reader").async {
        do { try Self.read(Descriptor(taking: descriptor), until: records, shared) } catch {
          shared.wrong.add(1, ordering: .relaxed)
        }
        done.leave()
      }
    }
    var next: UInt64 = 1
    while done.wait(timeout: .now()) == .timedOut {
      for _ in 0..<64 {
        ring.publish(record(next, length: Self.length(next)))
        next += 1
      }
      let before = shared.accepted.load(ordering: .relaxed)
      let rest = Clock.bootTime() + 1_000_000
      while shared.accepted.load(ordering: .relaxed) == before, Clock.bootTime() < rest { sched_yield() }
      ring.publish(record(next, length: Self.length(next)))
      next += 1
    }
    #expect(shared.wrong.load(ordering: .relaxed) == 0)
    #expect(shared.accepted.load(ordering: .relaxed) == readers * records)
    #expect(shared.lapped.load(ordering: .relaxed) > 0, "else nothing was tried")
  }

  @Test(arguments: [false, true]) func `nobody sleeps through a record`(_ byFutex: Bool) throws {
    let shared = Shared()
    // Room for all of them: nobody is lapped, however slow.
    let ring = try RingWriter(size: 8 << 20)
    let table = try Table(ring, readers: 2)
    let records = 20_000
    let done = DispatchGroup()
    for reader in table.readers {
      done.enter()
      DispatchQueue(label: "reader").async {
        let heard = reader.hear(records, byFutex: byFutex)
        shared.accepted.add(heard, ordering: .relaxed)
        done.leave()
      }
    }
    for number in 1...UInt64(records) {
      ring.publish(record(number, length: 160))
      _ = table.wake(before: ring.position)
      if number % 64 == 0 { sched_yield() }
    }
    #expect(done.wait(timeout: .now() + 60) == .success, "a reader was not woken")
    #expect(shared.accepted.load(ordering: .relaxed) == 2 * records)
  }
}

extension Handed {
  /// How many records came, up to `limit`, sleeping in between; fewer if nothing came for ten seconds.
  func hear(_ limit: Int, byFutex: Bool) -> Int {
    var heard = 0
    let deadline = Clock.bootTime() + 50_000_000_000
    while heard < limit, Clock.bootTime() < deadline {
      sleep.rise()
      switch reader.next() {
      case .record: heard += 1
      case .lapped: return heard
      case .nothing:
        if byFutex {
          let begin = Clock.bootTime()
          sleep.wait(reader)
          // Its own time-out, with something to read: it was not woken.
          if Clock.bootTime() - begin > 900_000_000, reader.hasMore { return heard }
        } else if sleep.lieDown(reader) {
          guard (try? sleep.bell.wait(for: .read, milliseconds: 10_000)) == true else { return heard }
        }
      }
    }
    return heard
  }
}
