// swift-tools-version: 6.2
import PackageDescription

/// The project's sources once more, as targets of this package: so they are instrumented, and what they keep to their
/// package is within reach. `Sources` and `Tests` are links to the project's.
///
/// libFuzzer looks at every counter of the program after each execution: the less a program links, the faster are its
/// targets. So there are several.
let language: [SwiftSetting] = [
  .strictMemorySafety(),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableExperimentalFeature("Lifetimes"),
  .treatAllWarnings(as: .error),
]

let linux: [CSetting] = [.define("_GNU_SOURCE")]

let package = Package(
  name: "Fuzzing",
  targets: [
    .target(name: "CLinux", cSettings: linux),
    .systemLibrary(name: "CAres", pkgConfig: "libcares", providers: [.apt(["libc-ares-dev"])]),
    .systemLibrary(name: "CNetlink", pkgConfig: "libnl-3.0", providers: [.apt(["libnl-3-dev"])]),
    .target(name: "Text", swiftSettings: language),
    .target(name: "Wire", swiftSettings: language),
    .target(name: "Messages", dependencies: ["Wire"], swiftSettings: language),
    .target(name: "Provisioning", dependencies: ["Wire", "Messages"], swiftSettings: language),
    .target(name: "Platform", dependencies: ["CLinux", "Text"], cSettings: linux, swiftSettings: language),
    .target(
      name: "Kernel", dependencies: ["CLinux", "CNetlink", "Platform", "Wire", "Provisioning"], cSettings: linux,
      swiftSettings: language),
    .target(
      name: "Resolving", dependencies: ["CLinux", "CAres", "Platform", "Wire"], cSettings: linux,
      swiftSettings: language),
    .target(
      name: "Connecting", dependencies: ["CLinux", "Platform", "Wire"], cSettings: linux, swiftSettings: language),
    .target(
      name: "BroadcastRing", dependencies: ["CLinux", "Platform"], cSettings: linux, swiftSettings: language),
    .target(
      name: "Subscribers",
      dependencies: [
        "BroadcastRing", "CLinux", "Connecting", "Messages", "Platform", "Provisioning", "Resolving", "Wire",
      ],
      cSettings: linux, swiftSettings: language),
    .target(
      name: "Flows", dependencies: ["CLinux", "Platform", "Provisioning", "Wire"], cSettings: linux,
      swiftSettings: language),
    .target(
      name: "PvDInformation", dependencies: ["Messages", "Wire"], path: "Sources/mif-pvdinfo",
      exclude: ["Download.swift", "Location.swift", "Main.swift"], swiftSettings: language),
    .target(name: "VICI", dependencies: ["Text", "Wire"], swiftSettings: language),
    .target(name: "CFuzzer", path: "Targets/CFuzzer", cSettings: linux),
    .target(
      name: "Fuzzing", dependencies: ["CFuzzer", "Wire"], path: "Targets/Support", cSettings: linux,
      swiftSettings: language),
    .executableTarget(
      name: "fuzz-packets", dependencies: ["Fuzzing", "Wire"], path: "Targets/Packets",
      swiftSettings: language + [.define("Pcap")]),
    .executableTarget(
      name: "fuzz-messages", dependencies: ["Fuzzing", "Messages", "Wire"], path: "Targets/Messages",
      swiftSettings: language),
    .executableTarget(
      name: "fuzz-names", dependencies: ["CAres", "CFuzzer", "Fuzzing", "Resolving", "Wire"], path: "Targets/Names",
      cSettings: linux, swiftSettings: language),
    .executableTarget(
      name: "fuzz-state",
      dependencies: ["CLinux", "CNetlink", "Fuzzing", "Kernel", "Messages", "Provisioning", "Wire"],
      path: "Targets/State", cSettings: linux, swiftSettings: language),
    .executableTarget(
      name: "fuzz-flows", dependencies: ["CLinux", "Flows", "Fuzzing", "Platform", "Wire"], path: "Targets/Flows",
      cSettings: linux, swiftSettings: language),
    .executableTarget(
      name: "fuzz-information", dependencies: ["Fuzzing", "Messages", "PvDInformation", "Wire"],
      path: "Targets/Information", swiftSettings: language),
    .executableTarget(
      name: "fuzz-vici", dependencies: ["Fuzzing", "VICI", "Wire"], path: "Targets/VICI", swiftSettings: language),
    .executableTarget(
      name: "fuzz-services",
      dependencies: [
        "CFuzzer", "CLinux", "Connecting", "Fuzzing", "Messages", "Platform", "Provisioning", "Resolving",
        "Subscribers", "Text", "Wire",
      ],
      path: "Targets/Services", cSettings: linux, swiftSettings: language),
  ],
  swiftLanguageModes: [.v6]
)
