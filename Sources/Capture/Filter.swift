import CLinux

/// A classic BPF program (Linux: Documentation/networking/filter.rst), as a list of its instructions. On the cooked
/// sockets that it is for, offset 0 is the first byte of the network header.
package struct Filter: Sendable {
  /// `struct sock_filter`: operation, how many instructions to skip if true and if false, operand.
  package struct Instruction: Hashable, Sendable {
    package var code: UInt16
    package var whenTrue: UInt8
    package var whenFalse: UInt8
    package var operand: UInt32
  }

  package let instructions: [Instruction]

  /// How many bytes of an accepted packet are kept: more than any packet has.
  package static var keepAll: UInt32 { 0x40000 }
}

/// Writes a `Filter` from top to bottom. Jumps go forward only, to labels that are placed later; where a condition
/// does not hold, the next instruction runs. A load past the packet's end refuses the packet: no length needs asking.
struct FilterAssembler {
  struct Label {
    fileprivate var index: Int
  }

  enum Size {
    case byte, half
    fileprivate var code: UInt16 {
      switch self {
      case .byte: UInt16(BPF_B)
      case .half: UInt16(BPF_H)
      }
    }
  }

  /// What the kernel knows of a packet beside its bytes.
  enum Ancillary {
    /// PACKET_HOST, PACKET_OUTGOING and so on.
    case packetType
    /// The EtherType, in host order.
    case etherType
    /// 1 where the packet has an 802.1Q tag (that the card or the kernel has taken out of the frame).
    case vlanTagPresent
    /// That tag: priority and VLAN; 0 without.
    case vlanTag

    fileprivate var operand: UInt32 {
      let offset =
        switch self {
        case .packetType: SKF_AD_PKTTYPE
        case .etherType: SKF_AD_PROTOCOL
        case .vlanTagPresent: SKF_AD_VLAN_TAG_PRESENT
        case .vlanTag: SKF_AD_VLAN_TAG
        }
      return UInt32(bitPattern: SKF_AD_OFF + offset)
    }
  }

  enum Condition {
    case equal(UInt32)
    case anyBitSet(UInt32)

    fileprivate var code: UInt16 {
      switch self {
      case .equal: UInt16(BPF_JMP | BPF_JEQ | BPF_K)
      case .anyBitSet: UInt16(BPF_JMP | BPF_JSET | BPF_K)
      }
    }
    fileprivate var operand: UInt32 {
      switch self {
      case .equal(let value), .anyBitSet(let value): value
      }
    }
  }

  private enum Branch { case whenTrue, whenFalse, always }

  private var instructions: [Filter.Instruction] = []
  /// Where each label stands, once it is placed.
  private var labels: [Int?] = []
  private var jumps: [(instruction: Int, branch: Branch, label: Label)] = []

  let accept: Label
  let refuse: Label

  init() {
    accept = Label(index: 0)
    refuse = Label(index: 1)
    labels = [nil, nil]
  }

  mutating func newLabel() -> Label {
    labels.append(nil)
    return Label(index: labels.count - 1)
  }

  /// The next instruction is where jumps to `label` go.
  mutating func place(_ label: Label) { labels[label.index] = instructions.count }

  /// A = packet[offset]
  mutating func load(_ size: Size, at offset: UInt32) {
    emit(UInt16(BPF_LD | BPF_ABS) | size.code, offset)
  }

  /// A = packet[X + offset]
  mutating func load(_ size: Size, atXPlus offset: UInt32) {
    emit(UInt16(BPF_LD | BPF_IND) | size.code, offset)
  }

  mutating func load(_ ancillary: Ancillary) {
    emit(UInt16(BPF_LD | BPF_W | BPF_ABS), ancillary.operand)
  }

  /// A = value
  mutating func load(_ value: UInt32) { emit(UInt16(BPF_LD | BPF_IMM), value) }

  /// X = value
  mutating func setX(_ value: UInt32) { emit(UInt16(BPF_LDX | BPF_IMM), value) }

  /// X = 4 * (packet[0] & 15): the length of an IPv4 header with its options.
  mutating func setXToIPv4HeaderLength() { emit(UInt16(BPF_LDX | BPF_MSH | BPF_B), 0) }

  /// X += (A + 1) * 8: past an IPv6 extension header whose length byte is in A (RFC 8200 4.3 to 4.6).
  mutating func advanceXByUnitsOfEight() {
    emit(UInt16(BPF_ALU | BPF_ADD | BPF_K), 1)
    emit(UInt16(BPF_ALU | BPF_LSH | BPF_K), 3)
    emit(UInt16(BPF_ALU | BPF_ADD | BPF_X), 0)
    emit(UInt16(BPF_MISC | BPF_TAX), 0)
  }

  /// Puts A aside, and back.
  mutating func storeA() { emit(UInt16(BPF_ST), 0) }
  mutating func restoreA() { emit(UInt16(BPF_LD | BPF_MEM), 0) }

  mutating func jump(if condition: Condition, to label: Label) {
    jumps.append((instructions.count, .whenTrue, label))
    emit(condition.code, condition.operand)
  }

  mutating func jump(unless condition: Condition, to label: Label) {
    jumps.append((instructions.count, .whenFalse, label))
    emit(condition.code, condition.operand)
  }

  mutating func jump(to label: Label) {
    jumps.append((instructions.count, .always, label))
    emit(UInt16(BPF_JMP | BPF_JA), 0)
  }

  /// Ends the program with its two verdicts, and fills the jumps in. What falls out of the text above is refused.
  consuming func assembled() -> Filter {
    place(refuse)
    emit(UInt16(BPF_RET | BPF_K), 0)
    place(accept)
    emit(UInt16(BPF_RET | BPF_K), Filter.keepAll)
    for jump in jumps {
      guard let target = labels[jump.label.index], target > jump.instruction else {
        fatalError("a jump to a label that is not placed below it")
      }
      let distance = target - jump.instruction - 1
      switch jump.branch {
      case .whenTrue: instructions[jump.instruction].whenTrue = UInt8(distance)
      case .whenFalse: instructions[jump.instruction].whenFalse = UInt8(distance)
      case .always: instructions[jump.instruction].operand = UInt32(distance)
      }
    }
    return Filter(instructions: instructions)
  }

  private mutating func emit(_ code: UInt16, _ operand: UInt32) {
    instructions.append(Filter.Instruction(code: code, whenTrue: 0, whenFalse: 0, operand: operand))
  }
}
