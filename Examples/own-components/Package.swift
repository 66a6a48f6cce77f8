// swift-tools-version: 6.3
import PackageDescription

let package = Package(
  name: "own-components",
  // From outside the repository: .package(url: "…", from: "…") in place of the path.
  dependencies: [.package(name: "canon", path: "../..")],
  targets: [
    .executableTarget(
      name: "my-canon",
      dependencies: [
        .product(name: "Canon", package: "canon"),
        .product(name: "CanonCommands", package: "canon"),
      ])
  ]
)
