import Messages
import Testing
import Wire

/// Strangers' bytes: a message may be refused, and nothing else may happen.
@Suite struct RobustnessTests {
  /// Reads the bytes as everything that there is to read them as. Gives how many readers took them.
  @discardableResult
  static func readEverything(_ bytes: [UInt8]) -> Int {
    var taken = 0
    do {
      _ = try TriggerRequest(bytes.raw)
      taken += 1
    } catch {}
    do {
      _ = try TriggerMessage(bytes.raw)
      taken += 1
    } catch {}
    do {
      _ = try MIFRequest(bytes.raw)
      taken += 1
    } catch {}
    do {
      _ = try MIFMessage(bytes.raw)
      taken += 1
    } catch {}
    do {
      let frame = try Frame(bytes.raw, accepts: { _ in true })
      var payloads = frame.payloads
      while let payload = try payloads.next() {
        for reader in 0..<4 {
          do {
            switch reader {
            case 0: _ = try Endpoint(payload)
            case 1: _ = try Failure(payload)
            case 2: _ = try Transaction(payload)
            default: _ = try NodeName(payload)
            }
            taken += 1
          } catch {}
        }
      }
    } catch {}
    return taken
  }

  @Test("cut short at every byte it is refused", arguments: Vector.all)
  func truncation(_ vector: Vector) {
    let bytes = vector.bytes
    for count in 0..<bytes.count {
      #expect(RobustnessTests.readEverything(Array(bytes.prefix(count))) == 0, "\(count) bytes")
    }
  }

  @Test("a payload that claims less or more than it has never traps", arguments: Vector.all)
  func payloadLengths(_ vector: Vector) {
    var offset = 16
    for item in vector.payloads {
      for length in 0...12 {
        var bytes = vector.bytes
        bytes[offset] = UInt8(length)
        RobustnessTests.readEverything(bytes)
      }
      offset += item.bytes.count
    }
  }

  @Test("mutated at random it never traps, and what is taken reads back the same")
  func mutation() throws {
    var random = SplitMix(state: 0x6D69_6664)
    let originals = Vector.all.map { $0.bytes }
    var requests = 0
    for _ in 0..<60_000 {
      var bytes = originals[random.below(originals.count)]
      switch random.below(4) {
      case 0:
        // Cut, with the header's length made right again.
        bytes = Array(bytes.prefix(16 + 8 * random.below((bytes.count - 16) / 8 + 1)))
        bytes[4] = UInt8(bytes.count / 8)
      case 1:
        // One message's payloads behind another's.
        bytes += originals[random.below(originals.count)].dropFirst(16)
        bytes[4] = UInt8(truncatingIfNeeded: bytes.count / 8)
        bytes[5] = UInt8(truncatingIfNeeded: (bytes.count / 8) >> 8)
      default: break
      }
      for _ in 0..<random.below(6) {
        let index = random.below(bytes.count)
        switch random.below(3) {
        case 0: bytes[index] = UInt8(truncatingIfNeeded: random.next())
        case 1: bytes[index] ^= 1 << UInt8(random.below(8))
        default: bytes[index] = [0, 1, 2, 3, 0x7F, 0x80, 0xFF][random.below(7)]
        }
      }
      RobustnessTests.readEverything(bytes)
      if let request = try? MIFRequest(bytes.raw) {
        let again = try written { writer throws(MessageOverflow) in
          try writer.request(request, sequence: 1, pid: 2)
        }
        #expect(try MIFRequest(again.raw) == request)
        requests += 1
      }
      if case .add(let type, let addresses)? = try? TriggerRequest(bytes.raw) {
        let again = try written { writer throws(MessageOverflow) in
          try writer.triggerRequest(
            .add, TriggerPayload(type: type, identifier: 0), addresses: addresses.span, sequence: 1, pid: 2)
        }
        #expect(try TriggerRequest(again.raw) == .add(type: type, addresses))
        requests += 1
      }
      if case .announcement(let announcement)? = try? MIFMessage(bytes.raw).content {
        let again = try written { writer throws(MessageOverflow) in
          try writer.announcement(announcement, .news(sequence: 1))
        }
        #expect(try MIFMessage(again.raw).content == .announcement(announcement))
        requests += 1
      }
    }
    // The mutations are mild enough that a good part still is taken.
    #expect(requests > 5_000)
  }

  @Test("noise never traps")
  func noise() {
    var random = SplitMix(state: 42)
    for _ in 0..<20_000 {
      let count = random.below(200)
      var bytes = (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
      if count >= 16, random.below(4) > 0 {
        bytes.removeLast(count % 8)
        bytes[0] = 1
        bytes[1] = UInt8(random.below(42))
        bytes[4] = UInt8(bytes.count / 8)
        bytes[5] = 0
      }
      RobustnessTests.readEverything(bytes)
    }
  }
}

/// SplitMix64: the same numbers on every run.
struct SplitMix: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
  mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(max(bound, 1))) }
}
