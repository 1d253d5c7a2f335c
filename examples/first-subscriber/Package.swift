// swift-tools-version: 6.2
import PackageDescription

let package = Package(
  name: "first-subscriber",
  dependencies: [.package(name: "mifd", path: "../..")],
  targets: [
    .executableTarget(
      name: "first-subscriber", dependencies: [.product(name: "MIF", package: "mifd")], path: ".")
  ]
)
