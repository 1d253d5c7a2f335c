import Messages
import PathSelection
import Platform
import Wire

/// What is logged of a path, a move and what it rests on.
extension LogLine.StringInterpolation {
  mutating func appendInterpolation(_ address: IPAddress) {
    var text: [UInt8] = []
    address.append(to: &text)
    appendInterpolation(text)
  }

  /// As in "10.1.0.10 on up0 by 10.1.0.1".
  mutating func appendInterpolation(_ path: Path, _ names: InterfaceNames) {
    appendInterpolation(path.source)
    appendInterpolation(" on ")
    appendInterpolation(names[path.interface])
    if let gateway = path.gateway {
      appendInterpolation(" by ")
      appendInterpolation(gateway)
    }
  }

  /// As in "0.4 ms".
  mutating func appendInterpolation(nanoseconds: UInt64) {
    let tenths = (nanoseconds + 50_000) / 100_000
    appendInterpolation(tenths / 10)
    appendInterpolation(".")
    appendInterpolation(tenths % 10)
    appendInterpolation(" ms")
  }

  mutating func appendInterpolation(_ doubt: Doubt) {
    let text: StaticString =
      switch doubt {
      case .unknown: "the IKE_SA is new"
      case .unreachable: "an ICMP error came"
      case .connectionLost: "the connection was lost"
      case .pathGone: "its path is gone"
      case .silence: "it was silent"
      case .stuck: "no path answered before"
      }
    appendInterpolation(text)
  }

  mutating func appendInterpolation(_ outcome: ProbeOutcome?) {
    switch outcome {
    case nil: appendInterpolation("there was no path")
    case .waiting: appendInterpolation("the probe has no answer yet")
    case .answered(let time):
      appendInterpolation("the probe was answered in ")
      appendInterpolation(nanoseconds: time)
    case .unreachable(let type, let code):
      appendInterpolation("an ICMP error (type ")
      appendInterpolation(type)
      appendInterpolation(", code ")
      appendInterpolation(code)
      appendInterpolation(") quotes the probe")
    case .unsendable(let errno):
      appendInterpolation("the probe could not be sent (")
      appendInterpolation(Errno(rawValue: errno))
      appendInterpolation(")")
    case .silent: appendInterpolation("the probe was not answered in time")
    }
  }

  mutating func appendInterpolation(_ reason: Restoration) {
    let text: StaticString =
      switch reason {
      case .pathIsBack: "the usual path is back"
      case .needless: "it has become the usual path"
      case .pathGone: "that path is gone"
      case .pathFailed: "that path failed, and the usual one answers"
      case .peerGone: "there is no IKE_SA any more"
      }
    appendInterpolation(text)
  }
}

/// The names of interfaces, for people.
struct InterfaceNames {
  private var names: [UInt32: InterfaceName] = [:]

  mutating func set(_ name: InterfaceName, _ index: UInt32) { names[index] = name }
  mutating func remove(_ index: UInt32) { names[index] = nil }

  subscript(_ index: UInt32) -> [UInt8] { names[index]?.bytes ?? Array("an unknown interface".utf8) }
}
