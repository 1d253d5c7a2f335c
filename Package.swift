// swift-tools-version: 6.2
import PackageDescription

/// `MIF_EMBEDDED=1` builds the agent, and only the agent, as Embedded Swift: the static gateway file.
/// Tests, the command line and the client library are ordinary Swift and are left out there.
let embedded = Context.environment["MIF_EMBEDDED"] != nil

let language: [SwiftSetting] = [
  .strictMemorySafety(),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableExperimentalFeature("Lifetimes"),
  .treatAllWarnings(as: .error),
]

/// What the agent links.
let agent: [SwiftSetting] =
  language
  + (embedded
    ? [
      .enableExperimentalFeature("Embedded"), .enableExperimentalFeature("DeferredCodeGen"),
      .unsafeFlags(["-wmo", "-Xfrontend", "-function-sections"]),
    ] : [])

let linux: [CSetting] = [.define("_GNU_SOURCE")]

/// What the static files have in place of parts of the C library.
let small: [Target.Dependency] = embedded ? ["CSmallLibrary"] : []

var products: [Product] = [
  .executable(name: "mifd", targets: ["mifd"]), .executable(name: "mif-mobike", targets: ["mif-mobike"]),
]

// In the order of a packet's life: a target imports only targets above it.
var targets: [Target] = [
  .target(name: "CLinux", cSettings: linux),
  .systemLibrary(name: "CNetlink", pkgConfig: "libnl-3.0", providers: [.apt(["libnl-3-dev"])]),
  .systemLibrary(name: "CAres", pkgConfig: "libcares", providers: [.apt(["libc-ares-dev"])]),
  .systemLibrary(name: "CCurl", pkgConfig: "libcurl", providers: [.apt(["libcurl4-openssl-dev"])]),
  .systemLibrary(name: "CPcap", pkgConfig: "libpcap", providers: [.apt(["libpcap-dev"])]),

  .target(name: "Text", swiftSettings: agent),
  .target(name: "Wire", swiftSettings: agent),
  .target(name: "Messages", dependencies: ["Wire"], swiftSettings: agent),
  .target(name: "Provisioning", dependencies: ["Wire", "Messages"], swiftSettings: agent),
  .target(name: "PathSelection", dependencies: ["Provisioning", "Wire"], swiftSettings: agent),
  .target(name: "VICI", dependencies: ["Text", "Wire"], swiftSettings: agent),
  .target(name: "Platform", dependencies: ["CLinux", "Text"], cSettings: linux, swiftSettings: agent),
  .target(name: "BroadcastRing", dependencies: ["CLinux", "Platform"], cSettings: linux, swiftSettings: agent),
  .target(
    name: "Capture",
    dependencies: [
      "CLinux", "Platform", "Wire", .target(name: "CPcap", condition: .when(traits: ["Pcap"])),
    ],
    cSettings: linux, swiftSettings: agent),
  .target(
    name: "Kernel", dependencies: ["CLinux", "CNetlink", "Platform", "Wire", "Provisioning"],
    cSettings: linux, swiftSettings: agent),
  .target(
    name: "Flows", dependencies: ["CLinux", "Platform", "Provisioning", "Wire"], cSettings: linux,
    swiftSettings: agent),
  .target(
    name: "Resolving", dependencies: ["CLinux", "CAres", "Platform", "Wire"], cSettings: linux, swiftSettings: agent),
  .target(
    name: "Connecting", dependencies: ["CLinux", "Platform", "Wire"], cSettings: linux, swiftSettings: agent),
  .target(
    name: "Subscribers",
    dependencies: [
      "BroadcastRing", "CLinux", "Connecting", "Messages", "Platform", "Provisioning", "Resolving", "Wire",
    ],
    cSettings: linux, swiftSettings: agent),
  .target(
    name: "Sessions", dependencies: ["BroadcastRing", "CLinux", "Platform", "Wire", "Messages"], cSettings: linux,
    swiftSettings: agent),
  .target(name: "CMIF"),
  .target(
    name: "LibMIF", dependencies: ["CLinux", "CMIF", "Sessions", "Platform", "Wire", "Messages"], cSettings: linux,
    swiftSettings: agent),
  .target(
    name: "Agent",
    dependencies: [
      "Platform", "Wire", "Messages", "Provisioning", "Capture", "Kernel", "Flows", "Resolving", "Subscribers",
      "Text",
    ],
    cSettings: linux, swiftSettings: agent),
  .target(
    name: "MobikeHelper",
    dependencies: [
      "CLinux", "Connecting", "Kernel", "Messages", "PathSelection", "Platform", "Provisioning", "Sessions", "Text",
      "VICI",
      "Wire",
    ],
    cSettings: linux, swiftSettings: agent),
  .executableTarget(
    name: "mif-mobike", dependencies: ["MobikeHelper", "Platform"] + small,
    cSettings: linux, swiftSettings: agent,
    linkerSettings: embedded ? [.linkedLibrary("m")] : []),
  .executableTarget(
    name: "mifd", dependencies: ["Agent", "Platform"] + small,
    cSettings: linux, swiftSettings: agent,
    linkerSettings: embedded ? [.linkedLibrary("m")] : []),
]

var dependencies: [Package.Dependency] = []

if embedded {
  // The C library's names, to be found before its archive is searched: nothing else links it.
  targets.append(
    .target(
      name: "CSmallLibrary", exclude: ["no-unwind-tables.ld"],
      cSettings: linux
        + [.unsafeFlags(["-Os", "-ffreestanding", "-ffunction-sections", "-Wall", "-Wno-unused-parameter", "-Werror"])])
  )
  // libpftrigger.so, which tools/build-clients links: its C half has names of the C library, so nothing else links it.
  targets += [
    .target(
      name: "CPFTrigger",
      cSettings: linux + [.unsafeFlags(["-fexceptions", "-fvisibility=hidden", "-Wall", "-Wextra", "-Werror"])]),
    .target(name: "PFTrigger", dependencies: ["CPFTrigger"], cSettings: linux, swiftSettings: agent),
  ]
}

if !embedded {
  products += [
    .executable(name: "mifctl", targets: ["mifctl"]),
    .executable(name: "mif-pvdinfo", targets: ["mif-pvdinfo"]),
    .library(name: "MIF", targets: ["MIF"]),
  ]
  dependencies = [.package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2")]
  targets += [
    .target(
      name: "MIF", dependencies: ["CLinux", "Platform", "Wire", "Messages", "Sessions"], cSettings: linux,
      swiftSettings: language),
    .executableTarget(
      name: "mifctl",
      dependencies: [
        "Capture", "CLinux", "MIF", "Wire", .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      cSettings: linux, swiftSettings: language),
    .executableTarget(
      name: "mif-pvdinfo", dependencies: ["CCurl", "CLinux", "MIF", "Messages", "Platform", "Wire"], cSettings: linux,
      swiftSettings: language),
  ]
  targets += [
    .target(
      name: "PacketBuilders", dependencies: ["Wire"], path: "Tests/PacketBuilders", swiftSettings: language),
    .testTarget(name: "WireTests", dependencies: ["PacketBuilders", "Wire"], swiftSettings: language),
    .testTarget(name: "MessagesTests", dependencies: ["Messages", "Wire"], swiftSettings: language),
    .testTarget(
      name: "MIFTests",
      dependencies: ["CLinux", "MIF", "Messages", "Platform", "Provisioning", "Subscribers", "Wire", "mifctl"],
      cSettings: linux, swiftSettings: language),
    .testTarget(
      name: "ProvisioningTests", dependencies: ["PacketBuilders", "Provisioning", "Messages", "Wire"],
      swiftSettings: language),
    .testTarget(name: "VICITests", dependencies: ["VICI", "Wire"], swiftSettings: language),
    .testTarget(
      name: "PathSelectionTests", dependencies: ["PathSelection", "Provisioning", "Messages", "Wire"],
      swiftSettings: language),
    .testTarget(
      name: "MobikeHelperTests", dependencies: ["MobikeHelper", "PathSelection", "Text", "Wire"],
      swiftSettings: language),
    .testTarget(name: "PvDInfoTests", dependencies: ["mif-pvdinfo", "Messages", "Wire"], swiftSettings: language),
    .testTarget(
      name: "PlatformTests", dependencies: ["Platform", "CLinux"], cSettings: linux, swiftSettings: language),
    .testTarget(
      name: "BroadcastRingTests", dependencies: ["BroadcastRing", "CLinux", "Platform"], cSettings: linux,
      swiftSettings: language),
    .testTarget(
      name: "CaptureTests", dependencies: ["Capture", "Platform", "Wire", "CLinux"], cSettings: linux,
      swiftSettings: language),
    .testTarget(
      name: "ResolvingTests", dependencies: ["CLinux", "Resolving", "Platform", "Wire"], cSettings: linux,
      swiftSettings: language),
    .testTarget(
      name: "ConnectingTests", dependencies: ["CLinux", "Connecting", "PacketBuilders", "Platform", "Wire"],
      cSettings: linux, swiftSettings: language),
    .testTarget(
      name: "SubscribersTests",
      dependencies: ["BroadcastRing", "Subscribers", "Platform", "Provisioning", "Resolving", "Messages", "Wire"],
      cSettings: linux, swiftSettings: language),
    .testTarget(
      name: "SessionsTests",
      dependencies: ["CLinux", "Sessions", "Subscribers", "Platform", "Provisioning", "Messages", "Wire"],
      cSettings: linux, swiftSettings: language),
    .testTarget(
      name: "AgentTests", dependencies: ["Agent", "Platform", "Provisioning", "Resolving", "Subscribers", "Text"],
      cSettings: linux,
      swiftSettings: language),
    .testTarget(
      name: "FlowsTests", dependencies: ["CLinux", "Flows", "PacketBuilders", "Platform", "Provisioning", "Wire"],
      cSettings: linux, swiftSettings: language),
    .testTarget(
      name: "KernelTests", dependencies: ["CLinux", "CNetlink", "Kernel", "Provisioning", "Messages", "Wire"],
      cSettings: linux, swiftSettings: language),
  ]
}

let package = Package(
  name: "mifd",
  products: products,
  traits: [
    .trait(name: "Pcap", description: "Capture files through libpcap: mifd --replay."),
    .default(enabledTraits: ["Pcap"]),
  ],
  dependencies: dependencies,
  targets: targets,
  swiftLanguageModes: [.v6]
)
