// swift-tools-version: 6.3
import PackageDescription

let settings: [SwiftSetting] = [
  .treatAllWarnings(as: .error),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("MemberImportVisibility"),
]

// The server that `canon serve` starts: a package of its own, so that who needs no server builds none.
let package = Package(
  name: "serve",
  products: [.executable(name: "canon-serve", targets: ["canon-serve"])],
  dependencies: [
    .package(name: "canon", path: ".."),
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
    .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
  ],
  targets: [
    .target(
      name: "CanonServe",
      dependencies: [
        .product(name: "Canon", package: "canon"), .product(name: "Charts", package: "canon"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "NIOHTTP1", package: "swift-nio"),
      ],
      swiftSettings: settings),
    .executableTarget(
      name: "canon-serve",
      dependencies: [
        "CanonServe",
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: settings),
    .testTarget(
      name: "CanonServeTests",
      dependencies: ["CanonServe", .product(name: "Canon", package: "canon")],
      swiftSettings: settings),
  ]
)
