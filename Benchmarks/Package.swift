// swift-tools-version: 6.3
import PackageDescription

let settings: [SwiftSetting] = [.treatAllWarnings(as: .error)]

let package = Package(
  name: "benchmarks",
  dependencies: [
    .package(name: "canon", path: ".."),
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
  ],
  targets: [
    .target(name: "CBLASReference", linkerSettings: [.linkedLibrary("openblas")]),
    .executableTarget(
      name: "SpeedBenchmark",
      dependencies: [
        "CBLASReference", .product(name: "Canon", package: "canon"),
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: settings),
    .executableTarget(
      name: "LatentBenchmark",
      dependencies: [
        .product(name: "Charts", package: "canon"), .product(name: "Canon", package: "canon"),
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: settings),
    .executableTarget(
      name: "LearningBenchmark",
      dependencies: [
        .product(name: "Charts", package: "canon"), .product(name: "Canon", package: "canon"),
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: settings),
  ]
)
