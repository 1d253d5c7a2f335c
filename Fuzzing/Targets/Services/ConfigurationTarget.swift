import Fuzzing
import Messages
import Platform
import Provisioning
import Subscribers
import Text
import Wire

/// The agent's configuration file: taken, or refused with the line and what to do there.
struct ConfigurationTarget: FuzzTarget {
  static let name = "configuration"
  static let maximumLength = 400
  static let vectors = ""

  static var seeds: [(name: String, input: [UInt8])] {
    let files = [
      "hold-time = 30\ntriggers=1000\nunreachable-paths = 512\n",
      "unreachable = network, port, other\nicmp-check = flow\n",
      "subscribers = 10\nsubscriber-queue = 65536\nsubscribers-per-user = 4 # few\n",
      "trigger-read = user 108: 3, 100-199\ntrigger-read = any\ntrigger-write = group 7\n",
      "connectivity = any\nconnect-interfaces = wlan0, wwan*\nconnect-hook = /bin/true\nhook-timeout = 5\n",
      "socket-mode = 0660\nsocket-group = 0\nuser = 65534\ncontrol-ring = 131072\ndhcp-clients = no\n",
    ]
    return files.enumerated().map { ("\($0)", Array($1.utf8)) }
  }

  func run(_ bytes: RawSpan) {
    let text = unsafe bytes.withUnsafeBytes { unsafe Array($0) }
    let lines = text.count { $0 == UInt8(ascii: "\n") } + 1
    do throws(Configuration.Mistake) {
      let configuration = try Configuration(parsing: text)
      check(configuration.limits.unreachablePaths >= 1 && configuration.subscribers.limit >= 1, "a limit of nothing")
      check(configuration.subscribers.socketMode <= 0o777, "a mode of \(configuration.subscribers.socketMode)")
      check(configuration.controlRing >= 16_384 && configuration.errorRing >= 16_384, "no rings")
    } catch {
      check((1...lines).contains(error.line) && !error.message.isEmpty, "a mistake in line \(error.line) of \(lines)")
    }
  }
}
