import Capture

/// Runs a classic BPF program as the kernel would, over bytes that start at the network header. Written from
/// "The BSD Packet Filter" (McCanne and Jacobson, 1993, section 3.3) and linux/filter.h, with its own numbers: a
/// wrong constant in the filters must not agree with itself.
struct Interpreter {
  var packet: [UInt8]
  /// sll_pkttype: 0 host, 1 broadcast, 2 multicast, 3 other host, 4 outgoing.
  var packetType: UInt32 = 0
  var etherType: UInt32 = 0
  var hasVLANTag = false
  /// Priority and VLAN.
  var vlanTag: UInt32 = 0

  /// How many bytes are kept; 0 refuses the packet. nil if the program is one that the kernel would not take.
  func run(_ filter: Filter) -> UInt32? {
    var steps = 0
    return run(filter, steps: &steps)
  }

  /// The same, adding the number of instructions that ran to `steps`.
  func run(_ filter: Filter, steps: inout Int) -> UInt32? {
    var a: UInt32 = 0
    var x: UInt32 = 0
    var memory = [UInt32](repeating: 0, count: 16)
    var counter = 0
    while counter < filter.instructions.count {
      let instruction = filter.instructions[counter]
      let k = instruction.operand
      counter += 1
      steps += 1
      switch instruction.code {
      case 0x20, 0x28, 0x30:  // ld, ldh, ldb [k]
        guard let value = load(Int(k), size: instruction.code) else { return 0 }
        a = value
      case 0x48, 0x50:  // ldh, ldb [x + k]
        guard let value = load(Int(x) + Int(k), size: instruction.code) else { return 0 }
        a = value
      case 0x00: a = k  // ld #k
      case 0x01: x = k  // ldx #k
      case 0x60: a = memory[Int(k)]  // ld M[k]
      case 0x02: memory[Int(k)] = a  // st M[k]
      case 0xB1:  // ldxb 4 * ([k] & 15)
        guard Int(k) < packet.count else { return 0 }
        x = UInt32(packet[Int(k)] & 15) * 4
      case 0x04: a = a &+ k  // add #k
      case 0x0C: a = a &+ x  // add x
      case 0x64: a = a << k  // lsh #k
      case 0x07: x = a  // tax
      case 0x05: counter += Int(k)  // ja
      case 0x15: counter += Int(a == k ? instruction.whenTrue : instruction.whenFalse)  // jeq
      case 0x45: counter += Int(a & k != 0 ? instruction.whenTrue : instruction.whenFalse)  // jset
      case 0x06: return k  // ret #k
      default: return nil
      }
    }
    return nil
  }

  private func load(_ offset: Int, size code: UInt16) -> UInt32? {
    if code == 0x20 || code == 0x28 || code == 0x30 {
      // SKF_AD_OFF is -0x1000: protocol + 0, packet type + 4, VLAN tag + 44, VLAN tag present + 48.
      switch UInt32(truncatingIfNeeded: offset) {
      case 0xFFFF_F000: return etherType
      case 0xFFFF_F004: return packetType
      case 0xFFFF_F02C: return vlanTag
      case 0xFFFF_F030: return hasVLANTag ? 1 : 0
      default: break
      }
    }
    let width = code & 0x18 == 0x00 ? 4 : code & 0x18 == 0x08 ? 2 : 1
    guard offset + width <= packet.count else { return nil }
    return packet[offset..<(offset + width)].reduce(0) { $0 << 8 | UInt32($1) }
  }
}
