// swift-tools-version: 6.2
import PackageDescription

/// Parts of the agent once more, compiled as the gateway file has them but for its profile: Embedded Swift, optimised.
/// `Sources` is a link to the project's.
let agent: [SwiftSetting] = [
  .strictMemorySafety(),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableExperimentalFeature("Lifetimes"),
  .enableExperimentalFeature("Embedded"), .enableExperimentalFeature("DeferredCodeGen"),
  .unsafeFlags(["-wmo"]),
  .treatAllWarnings(as: .error),
]

let package = Package(
  name: "Benchmarks",
  targets: [
    .target(name: "CLinux", cSettings: [.define("_GNU_SOURCE")]),
    .target(name: "Text", swiftSettings: agent),
    .target(name: "Wire", swiftSettings: agent),
    .target(name: "Messages", dependencies: ["Wire"], swiftSettings: agent),
    .target(name: "Provisioning", dependencies: ["Messages", "Wire"], swiftSettings: agent),
    .target(
      name: "Platform", dependencies: ["CLinux", "Text"], cSettings: [.define("_GNU_SOURCE")], swiftSettings: agent),
    .target(
      name: "BroadcastRing", dependencies: ["CLinux", "Platform"], cSettings: [.define("_GNU_SOURCE")],
      swiftSettings: agent),
    .executableTarget(
      name: "ring", dependencies: ["BroadcastRing", "CLinux", "Messages", "Platform", "Wire"], path: "ring",
      cSettings: [.define("_GNU_SOURCE")], swiftSettings: agent),
    .target(name: "CAllocations", path: "allocations"),
    .executableTarget(
      name: "decoders", dependencies: ["CAllocations", "CLinux", "Platform", "Wire"], path: "decoders",
      exclude: ["libtins.cpp", "packets.txt"],
      cSettings: [.define("_GNU_SOURCE")], swiftSettings: agent),
    .executableTarget(
      name: "encode", dependencies: ["Messages", "Platform", "Wire"], path: "encode",
      cSettings: [.define("_GNU_SOURCE")], swiftSettings: agent),
    .executableTarget(
      name: "timers", dependencies: ["Platform", "Provisioning"], path: "timers",
      cSettings: [.define("_GNU_SOURCE")], swiftSettings: agent, linkerSettings: [.linkedLibrary("m")]),
    .systemLibrary(name: "CAres", pkgConfig: "libcares"),
    .target(
      name: "Resolving", dependencies: ["CAres", "CLinux", "Platform", "Wire"],
      cSettings: [.define("_GNU_SOURCE")], swiftSettings: agent),
    .target(
      name: "Connecting", dependencies: ["CLinux", "Platform", "Wire"], cSettings: [.define("_GNU_SOURCE")],
      swiftSettings: agent),
    .target(
      name: "Subscribers",
      dependencies: [
        "BroadcastRing", "CLinux", "Connecting", "Messages", "Platform", "Provisioning", "Resolving", "Wire",
      ],
      cSettings: [.define("_GNU_SOURCE")], swiftSettings: agent),
    .target(
      name: "Traffic", dependencies: ["Messages", "Provisioning", "Wire"], path: "traffic", swiftSettings: agent),
    .executableTarget(
      name: "steady",
      dependencies: [
        "CAllocations", "CLinux", "Messages", "Platform", "Provisioning", "Subscribers", "Traffic", "Wire",
      ],
      path: "steady", cSettings: [.define("_GNU_SOURCE")], swiftSettings: agent,
      linkerSettings: [.linkedLibrary("m")]),
    .executableTarget(
      name: "state", dependencies: ["Messages", "Platform", "Provisioning", "Traffic", "Wire"], path: "state",
      cSettings: [.define("_GNU_SOURCE")], swiftSettings: agent, linkerSettings: [.linkedLibrary("m")]),
  ],
  swiftLanguageModes: [.v6]
)
