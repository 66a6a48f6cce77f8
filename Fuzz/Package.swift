// swift-tools-version: 6.3
import PackageDescription

let package = Package(
  name: "fuzz",
  dependencies: [
    .package(name: "canon", path: ".."),
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
  ],
  targets: [
    .executableTarget(
      name: "Fuzz",
      dependencies: [
        .product(name: "Canon", package: "canon"),
        .product(name: "CanonCommands", package: "canon"),
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: [.treatAllWarnings(as: .error)])
  ]
)
