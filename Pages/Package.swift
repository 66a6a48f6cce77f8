// swift-tools-version: 6.3
import PackageDescription

let settings: [SwiftSetting] = [.treatAllWarnings(as: .error)]

// What the model `pages` came about by: a generator of pages of text, and the measurement of what it learned.
let package = Package(
  name: "pages",
  dependencies: [
    .package(name: "canon", path: ".."),
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
  ],
  targets: [
    .systemLibrary(
      name: "CPango", pkgConfig: "pangocairo", providers: [.apt(["libpango1.0-dev"])]),
    .target(
      name: "CDrawing", dependencies: ["CPango"], linkerSettings: [.linkedLibrary("turbojpeg")]),
    .executableTarget(
      name: "GeneratedPages",
      dependencies: [
        "CDrawing", .product(name: "Canon", package: "canon"),
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: settings),
  ]
)
