/// What a message is made of, one after another; names and values are bytes of the message, without ends of their own.
package enum Element: Equatable, Sendable {
  case sectionStart(name: ArraySlice<UInt8>)
  case sectionEnd
  case keyValue(key: ArraySlice<UInt8>, value: ArraySlice<UInt8>)
  case listStart(name: ArraySlice<UInt8>)
  case listItem(ArraySlice<UInt8>)
  case listEnd
}

/// Goes through a message once. Sections and lists are properly nested in what comes out: lists hold items only, and
/// what was begun has ended where there is nothing more.
package struct Elements {
  private enum Kind {
    static let sectionStart: UInt8 = 1
    static let sectionEnd: UInt8 = 2
    static let keyValue: UInt8 = 3
    static let listStart: UInt8 = 4
    static let listItem: UInt8 = 5
    static let listEnd: UInt8 = 6
  }

  private var rest: ArraySlice<UInt8>
  /// Sections that have begun and not ended.
  package private(set) var depth = 0
  private var isInList = false

  package init(_ message: ArraySlice<UInt8>) { rest = message }

  package mutating func next() throws(VICIRefusal) -> Element? {
    guard let kind = rest.popFirst() else {
      if depth > 0 || isInList { throw .nesting }
      return nil
    }
    guard isInList == (kind == Kind.listItem || kind == Kind.listEnd) else {
      throw kind < Kind.sectionStart || kind > Kind.listEnd ? .elementType : .nesting
    }
    switch kind {
    case Kind.sectionStart:
      depth += 1
      return .sectionStart(name: try name())
    case Kind.sectionEnd:
      if depth == 0 { throw .nesting }
      depth -= 1
      return .sectionEnd
    case Kind.keyValue: return .keyValue(key: try name(), value: try value())
    case Kind.listStart:
      isInList = true
      return .listStart(name: try name())
    case Kind.listItem: return .listItem(try value())
    case Kind.listEnd:
      isInList = false
      return .listEnd
    default: throw .elementType
    }
  }

  /// Behind its length in one byte.
  private mutating func name() throws(VICIRefusal) -> ArraySlice<UInt8> {
    guard let length = rest.popFirst() else { throw .elementTruncated }
    return try take(Int(length))
  }

  /// Behind its length in two bytes.
  private mutating func value() throws(VICIRefusal) -> ArraySlice<UInt8> {
    guard let high = rest.popFirst(), let low = rest.popFirst() else { throw .elementTruncated }
    return try take(Int(high) << 8 | Int(low))
  }

  private mutating func take(_ count: Int) throws(VICIRefusal) -> ArraySlice<UInt8> {
    guard rest.count >= count else { throw .elementTruncated }
    let taken = rest.prefix(count)
    rest = rest[taken.endIndex...]
    return taken
  }
}
