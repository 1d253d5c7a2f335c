/// Punycode (RFC 3492), the direction that is needed: a label's code points to its ASCII form. Nothing overflows: a
/// label has at most 255 code points below 2^21.
func appendPunycode(_ scalars: [UInt32], to text: inout [UInt8]) {
  // The parameters of section 5.
  let base: UInt32 = 36
  let least: UInt32 = 1
  let most: UInt32 = 26

  var handled: UInt32 = 0
  for scalar in scalars where scalar < 0x80 {
    text.append(UInt8(truncatingIfNeeded: scalar))
    handled += 1
  }
  let basic = handled
  if basic > 0 { text.append(UInt8(ascii: "-")) }

  var next: UInt32 = 0x80
  var delta: UInt32 = 0
  var bias: UInt32 = 72
  while handled < UInt32(scalars.count) {
    // The smallest code point that is not handled yet.
    var smallest: UInt32 = .max
    for scalar in scalars where scalar >= next { smallest = min(smallest, scalar) }
    delta &+= (smallest &- next) &* (handled + 1)
    next = smallest
    for scalar in scalars {
      if scalar < next { delta &+= 1 }
      guard scalar == next else { continue }
      var quotient = delta
      var position = base
      while true {
        let threshold = position <= bias ? least : position >= bias + most ? most : position - bias
        if quotient < threshold { break }
        text.append(digit(threshold + (quotient - threshold) % (base - threshold)))
        quotient = (quotient - threshold) / (base - threshold)
        position += base
      }
      text.append(digit(quotient))
      bias = adapted(delta, handled + 1, isFirst: handled == basic)
      delta = 0
      handled += 1
    }
    delta &+= 1
    next += 1
  }

  /// Section 6.1.
  func adapted(_ delta: UInt32, _ points: UInt32, isFirst: Bool) -> UInt32 {
    var delta = isFirst ? delta / 700 : delta / 2
    delta += delta / points
    var steps: UInt32 = 0
    while delta > ((base - least) * most) / 2 {
      delta /= base - least
      steps += base
    }
    return steps + (base - least + 1) * delta / (delta + 38)
  }
}

private func digit(_ value: UInt32) -> UInt8 {
  UInt8(truncatingIfNeeded: value < 26 ? value + 0x61 : value - 26 + 0x30)
}

/// UTF-8 (RFC 3629) to code points; nil for anything else: overlong forms, surrogates, past U+10FFFF, cut off.
func decodeUTF8(_ bytes: ArraySlice<UInt8>) -> [UInt32]? {
  var scalars: [UInt32] = []
  var index = bytes.startIndex
  while index < bytes.endIndex {
    let first = bytes[index]
    index += 1
    if first < 0x80 {
      scalars.append(UInt32(first))
      continue
    }
    let (more, least): (Int, UInt32)
    switch first {
    case 0xC2...0xDF: (more, least) = (1, 0x80)
    case 0xE0...0xEF: (more, least) = (2, 0x800)
    case 0xF0...0xF4: (more, least) = (3, 0x10000)
    default: return nil
    }
    guard bytes.endIndex - index >= more else { return nil }
    var scalar = UInt32(first) & (0x3F >> UInt32(more))
    for _ in 0..<more {
      guard bytes[index] & 0xC0 == 0x80 else { return nil }
      scalar = scalar << 6 | UInt32(bytes[index] & 0x3F)
      index += 1
    }
    guard scalar >= least, scalar <= 0x10FFFF, !(0xD800...0xDFFF).contains(scalar) else { return nil }
    scalars.append(scalar)
  }
  return scalars
}
