/// A date and time of RFC 3339, as seconds since 1970.
struct Timestamp {
  let seconds: Int64

  /// nil for anything but `YYYY-MM-DDThh:mm:ss[.fraction](Z|±hh:mm)` with a day that there is. The fraction is cut off; a
  /// leap second is the second after it.
  init?(_ text: String) {
    var rest = Array(text.utf8)[...]
    func number(_ digits: Int) -> Int64? {
      guard rest.count >= digits else { return nil }
      var value: Int64 = 0
      for byte in rest.prefix(digits) {
        guard byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") else { return nil }
        value = value * 10 + Int64(byte - UInt8(ascii: "0"))
      }
      rest = rest.dropFirst(digits)
      return value
    }
    func skip(_ letter: Unicode.Scalar, or other: Unicode.Scalar? = nil) -> Bool {
      guard let byte = rest.first, byte == UInt8(ascii: letter) || other.map({ byte == UInt8(ascii: $0) }) == true
      else {
        return false
      }
      rest = rest.dropFirst()
      return true
    }
    guard let year = number(4), skip("-"), let month = number(2), skip("-"), let day = number(2), skip("T", or: "t"),
      let hour = number(2), skip(":"), let minute = number(2), skip(":"), let second = number(2),
      (1...12).contains(month), day >= 1, day <= Timestamp.days(in: month, of: year), hour < 24, minute < 60,
      second <= 60
    else { return nil }
    if skip(".") {
      guard number(1) != nil else { return nil }
      while number(1) != nil {}
    }
    var offset: Int64 = 0
    if !skip("Z", or: "z") {
      let isWest = rest.first == UInt8(ascii: "-")
      guard skip("+", or: "-"), let hours = number(2), skip(":"), let minutes = number(2), hours < 24, minutes < 60
      else { return nil }
      offset = (hours * 3600 + minutes * 60) * (isWest ? -1 : 1)
    }
    if !rest.isEmpty { return nil }
    let days = Timestamp.daysSince1970(year, month, day)
    seconds = days * 86_400 + hour * 3600 + minute * 60 + second - offset
  }

  private static func isLeap(_ year: Int64) -> Bool { year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) }

  private static func days(in month: Int64, of year: Int64) -> Int64 {
    switch month {
    case 2: isLeap(year) ? 29 : 28
    case 4, 6, 9, 11: 30
    default: 31
    }
  }

  private static func daysSince1970(_ year: Int64, _ month: Int64, _ day: Int64) -> Int64 {
    let before = year - 1
    let leapDays = year == 0 ? -1 : before / 4 - before / 100 + before / 400
    let months = (1..<month).reduce(0) { $0 + days(in: $1, of: year) }
    return before * 365 + leapDays + months + day - 1 - 719_162
  }
}
