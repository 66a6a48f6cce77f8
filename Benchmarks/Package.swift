// swift-tools-version: 6.3
import PackageDescription

let package = Package(
  name: "benchmarks",
  dependencies: [.package(name: "canon", path: "..")],
  targets: [
    .executableTarget(
      name: "SpeedBenchmark", dependencies: [.product(name: "Canon", package: "canon")],
      swiftSettings: [.treatAllWarnings(as: .error)])
  ]
)
