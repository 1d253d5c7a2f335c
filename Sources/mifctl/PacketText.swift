/// Decoded packets as people read them: a line for the packet, and one for each option, indented.
enum PacketText {
  static func lines(_ members: [(String, JSON)]) -> [String] {
    var members = members
    var line = ""
    if case .number(let number)? = take("number", of: &members) { line += "#\(number)" }
    if case .number(let time)? = take("time_ns", of: &members) { line += " " + System.local(time).time }
    return PacketText.lines(line, members, indent: "  ")
  }

  /// The plain members behind `start`, then a line for each object in lists, with what is in it below.
  private static func lines(_ start: String, _ members: [(String, JSON)], indent: String) -> [String] {
    var line = start
    var below: [String] = []
    for (name, value) in members {
      switch value {
      case .object(let inner): below += lines(indent + name, inner, indent: indent + "  ")
      case .array(let values):
        var words: [String] = []
        for value in values {
          if case .object(let inner) = value {
            below += lines(indent + "-", inner, indent: indent + "  ")
          } else {
            words.append(text(value))
          }
        }
        if !words.isEmpty { line += "  \(name) \(words.joined(separator: ","))" }
      // What kind of thing it is needs no name.
      case .string(let text) where name == "packet" || name == "option": line += " " + Text.printable(text)
      default: line += "  \(name) \(text(value))"
      }
    }
    return [line] + below
  }

  private static func text(_ value: JSON) -> String {
    if case .string(let text) = value { return Text.printable(text) }
    return value.text
  }

  private static func take(_ name: String, of members: inout [(String, JSON)]) -> JSON? {
    guard let index = members.firstIndex(where: { $0.0 == name }) else { return nil }
    return members.remove(at: index).1
  }
}
