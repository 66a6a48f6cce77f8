// swift-tools-version: 6.3
import PackageDescription

// From outside the repository canon is named by its address; so does the test of this example, of a clone.
let canon: Package.Dependency =
  Context.environment["CANON_ADDRESS"].map { .package(url: $0, from: "0.2.0") }
  ?? .package(name: "canon", path: "../..")

let package = Package(
  name: "own-components",
  dependencies: [canon],
  targets: [
    .executableTarget(
      name: "my-canon",
      dependencies: [
        .product(name: "Canon", package: "canon"),
        .product(name: "CanonCommands", package: "canon"),
      ])
  ]
)
