import Agent
import Platform
import Provisioning
import Resolving
import Subscribers
import Testing
import Text

/// docs/operators-guide.md, "Configuration".
@Suite struct ConfigurationTests {
  private func parse(_ text: String) throws(Configuration.Mistake) -> Configuration {
    try Configuration(parsing: Array(text.utf8))
  }

  struct Taken: Sendable, CustomTestStringConvertible {
    var testDescription: String
    var isAsExpected: @Sendable (Configuration) -> Bool
    init(_ text: String, _ isAsExpected: @escaping @Sendable (Configuration) -> Bool) {
      testDescription = text
      self.isAsExpected = isAsExpected
    }
  }

  static let taken: [Taken] = [
    Taken("hold-time = 1") { $0.limits.holdTime == 1_000_000_000 },
    Taken("hold-time = 86400") { $0.limits.holdTime == 86_400_000_000_000 },
    Taken("triggers = 0") { $0.limits.clientTriggers == 0 },
    Taken("triggers = 1048576") { $0.limits.clientTriggers == 1_048_576 },
    Taken("unreachable-paths = 65536") { $0.limits.unreachablePaths == 65_536 },
    Taken("unreachable = network") { $0.unreachableKinds == .network },
    Taken("unreachable = port, administrative,time-exceeded , packet-too-big,other") {
      $0.unreachableKinds == [.protocolOrPort, .administrative, .timeExceeded, .packetTooBig, .other]
    },
    Taken("") { $0.checksFlows },
    Taken("icmp-check = address") { !$0.checksFlows },
    Taken("icmp-check = address\nicmp-check = flow") { $0.checksFlows },
    Taken("unreachable =") { $0.unreachableKinds.isEmpty },
    Taken("") { !$0.busyPolls },
    Taken("busy-poll = yes") { $0.busyPolls },
    Taken("subscribers = 65536") { $0.subscribers.limit == 65_536 },
    Taken("ring-size = 0") { $0.subscribers.ringSize == 0 },
    Taken("ring-size = 67108864") { $0.subscribers.ringSize == 67_108_864 },
    Taken("subscriber-queue = 4096") { $0.subscribers.queueLimit == 4096 },
    Taken("subscriber-queue = 16777216") { $0.subscribers.queueLimit == 16_777_216 },
    Taken("trigger-write = user 1000\ntrigger-write = group 50: 7") {
      $0.subscribers.triggerWriters == [AccessRule(.user(1000)), AccessRule(.group(50), TriggerTypes([7...7]))]
        && $0.subscribers.triggerReaders == [AccessRule(.anybody)]
    },
    Taken("trigger-write = any:3 , 100-199,65535") {
      $0.subscribers.triggerWriters == [
        AccessRule(.anybody, TriggerTypes([3...3, 100...199, 65_535...65_535]))
      ]
    },
    Taken("trigger-write = user   4294967294") {
      $0.subscribers.triggerWriters == [AccessRule(.user(4_294_967_294))]
    },
    Taken("trigger-read = group 0: 1 - 6\ntrigger-read = any: 6") {
      $0.subscribers.triggerReaders == [
        AccessRule(.group(0), TriggerTypes([1...6])), AccessRule(.anybody, TriggerTypes([6...6])),
      ] && $0.subscribers.triggerWriters.isEmpty
    },
    Taken("subscribers-per-user = 65536") { $0.subscribers.limitPerUser == 65_536 },
    Taken("triggers-per-user = 0") { $0.limits.triggersPerUser == 0 },
    Taken("socket-mode = 0660") { $0.subscribers.socketMode == 0o660 },
    Taken("socket-mode = 777") { $0.subscribers.socketMode == 0o777 },
    Taken("socket-group = 0") { $0.subscribers.socketGroup == 0 },
    Taken("socket-group = 4294967294") { $0.subscribers.socketGroup == 4_294_967_294 },
    Taken("user = 0") { $0.identity == nil },
    Taken("user = 1000") { $0.identity.map { $0.user == 1000 && $0.group == 1000 } ?? false },
    Taken("control-ring = 16384") { $0.controlRing == 16_384 },
    Taken("error-ring = 67108864") { $0.errorRing == 67_108_864 },
    Taken("connectivity = user 7\nconnectivity = group 8\nconnectivity=any") {
      $0.subscribers.connectivityManagers == [AccessRule(.user(7)), AccessRule(.group(8)), AccessRule(.anybody)]
    },
    Taken("connect-interfaces = up0, wwan*\nconnect-interfaces = *") {
      $0.subscribers.connectivity.interfaces
        == ["up0", "wwan*", "*"].compactMap { InterfacePattern(Array($0.utf8)[...]) }
    },
    Taken("connect-hook = /a b\nidle-hook=/i\nbreak-hook = /x\nbreak-hook = /y") {
      $0.hooks.connect == Array("/a b".utf8) && $0.hooks.idle == Array("/i".utf8)
        && $0.hooks.break == Array("/y".utf8)
        && $0.subscribers.connectivity.hooks == [.connectHook, .idleHook, .breakHook]
    },
    Taken("hook-timeout = 3600") { $0.hooks.timeout == 3_600_000_000_000 },
    Taken("name-cache = 0") { $0.subscribers.resolver.cachedAnswers == 0 },
    Taken("grace-time = 0") { $0.subscribers.connectivity.graceTime == 0 },
    Taken("grace-time = 3600000") { $0.subscribers.connectivity.graceTime == 3_600_000_000_000 },
    Taken("# nothing of it") {
      $0.hooks == Hooks() && $0.subscribers.connectivity.graceTime == 1_000_000_000
        && $0.subscribers.connectivity.interfaces.isEmpty && $0.subscribers.connectivity.hooks.isEmpty
        && $0.subscribers.connectivityManagers.isEmpty
    },
    Taken("dhcp-clients = no") { !$0.followsDHCPClients },
    Taken("dhcp-clients = yes") { $0.followsDHCPClients },
    Taken("pvd-info = no") { !$0.fetchesInformation },
    Taken("pvd-info-program = /a b\npvd-info-roots = /c.pem") {
      $0.fetchesInformation && $0.informationProgram == Array("/a b".utf8)
        && $0.informationRoots == Array("/c.pem".utf8)
    },
    Taken("") { $0.limits.holdTime == 60_000_000_000 },
    Taken("# only = a comment\n\n   \t\r\n") { $0.subscribers.limit == 1024 },
    Taken("\t triggers=7# not 8\r\n") { $0.limits.clientTriggers == 7 },
    Taken("triggers = 1\ntriggers = 2") { $0.limits.clientTriggers == 2 },
  ]

  @Test(arguments: taken) func `is taken`(_ taken: Taken) throws {
    #expect(taken.isAsExpected(try parse(taken.testDescription)))
  }

  static let mistakes: [(text: String, line: Int, message: String)] = [
    ("nonsense", 1, "expected 'key = value'"),
    ("triggers = 5\n\n# fine\n  nonsense  # what", 4, "expected 'key = value'"),
    ("= 5", 1, "unknown key ''"),
    ("Triggers = 5", 1, "unknown key 'Triggers'"),
    ("trigger = 5", 1, "unknown key 'trigger'"),
    ("hold-time = 0", 1, "'hold-time' wants a whole number from 1 to 86400, not '0'"),
    ("hold-time = 86401", 1, "'hold-time' wants a whole number from 1 to 86400, not '86401'"),
    ("hold-time = 60s", 1, "'hold-time' wants a whole number from 1 to 86400, not '60s'"),
    ("hold-time =", 1, "'hold-time' wants a whole number from 1 to 86400, not ''"),
    ("triggers = -1", 1, "'triggers' wants a whole number from 0 to 1048576, not '-1'"),
    ("\ntriggers = 1048577", 2, "'triggers' wants a whole number from 0 to 1048576, not '1048577'"),
    (
      "triggers = 99999999999999999999999", 1,
      "'triggers' wants a whole number from 0 to 1048576, not '99999999999999999999999'"
    ),
    ("unreachable-paths = 0", 1, "'unreachable-paths' wants a whole number from 1 to 65536, not '0'"),
    ("unreachable-paths = 65537", 1, "'unreachable-paths' wants a whole number from 1 to 65536, not '65537'"),
    (
      "unreachable = network, host", 1,
      "'unreachable' wants kinds of network, port, administrative, time-exceeded, packet-too-big, other, not 'network, host'"
    ),
    (
      "unreachable = network,", 1,
      "'unreachable' wants kinds of network, port, administrative, time-exceeded, packet-too-big, other, not 'network,'"
    ),
    ("subscribers = 0", 1, "'subscribers' wants a whole number from 1 to 65536, not '0'"),
    ("subscribers = 65537", 1, "'subscribers' wants a whole number from 1 to 65536, not '65537'"),
    ("ring-size = 67108865", 1, "'ring-size' wants a whole number from 0 to 67108864, not '67108865'"),
    ("subscriber-queue = 4095", 1, "'subscriber-queue' wants a whole number from 4096 to 16777216, not '4095'"),
    ("subscriber-queue = 16777217", 1, "'subscriber-queue' wants a whole number from 4096 to 16777216, not '16777217'"),
    ("pvd-info-program = mif-pvdinfo", 1, "'pvd-info-program' wants an absolute path, not 'mif-pvdinfo'"),
    ("trigger-writers = 1000", 1, "unknown key 'trigger-writers'"),
    // (uid_t) -1 is nobody.
    (
      "trigger-write =", 1,
      "'trigger-write' wants any, user N or group N, and perhaps a colon and trigger types, as in 'user 108: 3, 100-199', not ''"
    ),
    (
      "trigger-write = root", 1,
      "'trigger-write' wants any, user N or group N, and perhaps a colon and trigger types, as in 'user 108: 3, 100-199', not 'root'"
    ),
    (
      "trigger-write = user", 1,
      "'trigger-write' wants any, user N or group N, and perhaps a colon and trigger types, as in 'user 108: 3, 100-199', not 'user'"
    ),
    (
      "trigger-write = user root", 1,
      "'trigger-write' wants any, user N or group N, and perhaps a colon and trigger types, as in 'user 108: 3, 100-199', not 'user root'"
    ),
    (
      "trigger-write = group -1", 1,
      "'trigger-write' wants any, user N or group N, and perhaps a colon and trigger types, as in 'user 108: 3, 100-199', not 'group -1'"
    ),
    (
      "trigger-write = user 1 2", 1,
      "'trigger-write' wants any, user N or group N, and perhaps a colon and trigger types, as in 'user 108: 3, 100-199', not 'user 1 2'"
    ),
    (
      "trigger-write = user 4294967295", 1,
      "'trigger-write' wants any, user N or group N, and perhaps a colon and trigger types, as in 'user 108: 3, 100-199', not 'user 4294967295'"
    ),
    (
      "trigger-write = user1000", 1,
      "'trigger-write' wants any, user N or group N, and perhaps a colon and trigger types, as in 'user 108: 3, 100-199', not 'user1000'"
    ),
    (
      "trigger-write = any:", 1,
      "'trigger-write' wants any, user N or group N, and perhaps a colon and trigger types, as in 'user 108: 3, 100-199', not 'any:'"
    ),
    (
      "trigger-write = any: 0", 1,
      "'trigger-write' wants any, user N or group N, and perhaps a colon and trigger types, as in 'user 108: 3, 100-199', not 'any: 0'"
    ),
    (
      "trigger-write = any: 7-6", 1,
      "'trigger-write' wants any, user N or group N, and perhaps a colon and trigger types, as in 'user 108: 3, 100-199', not 'any: 7-6'"
    ),
    (
      "trigger-write = any: 1,,2", 1,
      "'trigger-write' wants any, user N or group N, and perhaps a colon and trigger types, as in 'user 108: 3, 100-199', not 'any: 1,,2'"
    ),
    (
      "trigger-write = any: 65536", 1,
      "'trigger-write' wants any, user N or group N, and perhaps a colon and trigger types, as in 'user 108: 3, 100-199', not 'any: 65536'"
    ),
    (
      "trigger-write = any: a-b", 1,
      "'trigger-write' wants any, user N or group N, and perhaps a colon and trigger types, as in 'user 108: 3, 100-199', not 'any: a-b'"
    ),
    (
      "trigger-write = any: 1-2-3", 1,
      "'trigger-write' wants any, user N or group N, and perhaps a colon and trigger types, as in 'user 108: 3, 100-199', not 'any: 1-2-3'"
    ),
    (
      "trigger-write = any: 5: 6", 1,
      "'trigger-write' wants any, user N or group N, and perhaps a colon and trigger types, as in 'user 108: 3, 100-199', not 'any: 5: 6'"
    ),
    ("subscribers-per-user = 0", 1, "'subscribers-per-user' wants a whole number from 1 to 65536, not '0'"),
    (
      "triggers-per-user = 1048577", 1, "'triggers-per-user' wants a whole number from 0 to 1048576, not '1048577'"
    ),
    ("socket-mode = 0680", 1, "'socket-mode' wants an octal mode such as 0660, not '0680'"),
    ("socket-mode = 1777", 1, "'socket-mode' wants an octal mode such as 0660, not '1777'"),
    ("socket-mode = rw", 1, "'socket-mode' wants an octal mode such as 0660, not 'rw'"),
    ("socket-mode =", 1, "'socket-mode' wants an octal mode such as 0660, not ''"),
    ("socket-group = mif", 1, "'socket-group' wants a whole number from 0 to 4294967294, not 'mif'"),
    ("control-ring = 16383", 1, "'control-ring' wants a whole number from 16384 to 67108864, not '16383'"),
    ("error-ring = 67108865", 1, "'error-ring' wants a whole number from 16384 to 67108864, not '67108865'"),
    ("connectivity = root", 1, "'connectivity' wants any, user N or group N, not 'root'"),
    ("connectivity = user 7: 3", 1, "'connectivity' wants any, user N or group N, not 'user 7: 3'"),
    (
      "connect-interfaces = up0,,up1", 1,
      "'connect-interfaces' wants names of interfaces, perhaps with * at the end, as in 'wlan0, wwan*', not 'up0,,up1'"
    ),
    (
      "connect-interfaces = a*b", 1,
      "'connect-interfaces' wants names of interfaces, perhaps with * at the end, as in 'wlan0, wwan*', not 'a*b'"
    ),
    ("idle-hook = radio", 1, "'idle-hook' wants the absolute path of a program, not 'radio'"),
    ("break-hook =", 1, "'break-hook' wants the absolute path of a program, not ''"),
    ("hook-timeout = 0", 1, "'hook-timeout' wants a whole number from 1 to 3600, not '0'"),
    ("grace-time = 2s", 1, "'grace-time' wants a whole number from 0 to 3600000, not '2s'"),
    ("dhcp-clients = true", 1, "'dhcp-clients' wants yes or no, not 'true'"),
    ("triggers = 5 = 6", 1, "'triggers' wants a whole number from 0 to 1048576, not '5 = 6'"),
  ]

  @Test(arguments: mistakes) func `is a mistake`(_ text: String, _ line: Int, _ message: String) throws {
    let mistake = try #require(throws: Configuration.Mistake.self) { try parse(text) }
    #expect(mistake.line == line)
    #expect(String(decoding: mistake.message, as: UTF8.self) == message)
  }

  @Test func `any bytes are a configuration or a mistake`() {
    var seed: UInt64 = 88_172_645_463_325_252
    for _ in 0..<5000 {
      var text: [UInt8] = []
      for _ in 0..<40 {
        seed ^= seed << 13
        seed ^= seed >> 7
        seed ^= seed << 17
        let words: [String] = ["triggers", "=", "\n", "#", ",", " ", "unreachable", "7", "\0", "socket-mode"]
        if seed % 3 == 0 { text.append(UInt8(seed >> 32 & 0xFF)) } else { text += words[Int(seed >> 8 % 10) % 10].utf8 }
      }
      _ = try? Configuration(parsing: text)
    }
  }
}
