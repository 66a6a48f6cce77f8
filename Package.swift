// swift-tools-version: 6.3
import PackageDescription

let settings: [SwiftSetting] = [
  .treatAllWarnings(as: .error),
  .strictMemorySafety(),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
]
// Kernels are optimized in debug builds too, so that debug tests stay fast.
// Without errno a square root is an instruction, of vectors too.
let kernelSettings: [CSetting] = [.unsafeFlags(["-O3", "-fno-math-errno", "-Wno-psabi"])]

let argumentParser: Target.Dependency = .product(
  name: "ArgumentParser", package: "swift-argument-parser")

// What computes is optimized in a release whatever the command line says: `make` says -Onone, which is for what only
// reads and tells, here and in other packages. Optimizing those takes half of the time that a first build has.
let computing =
  settings + [
    .unsafeFlags(["-Xfrontend", "-O"], .when(configuration: .release))
  ]

// What loops over numbers in Swift is optimized in debug builds too: tests there take half the time.
let optimized = computing + [.unsafeFlags(["-O"], .when(configuration: .debug))]

// Large tests that leave the loops to what they test: optimized they take twice as long to build.
let plain = settings + [.unsafeFlags(["-Onone"], .when(configuration: .release))]

func library(
  _ name: String, _ dependencies: [Target.Dependency], _ swiftSettings: [SwiftSetting]
) -> Target {
  .target(name: name, dependencies: dependencies, swiftSettings: swiftSettings)
}
func tests(
  _ name: String, _ dependencies: [Target.Dependency], fixtures: [String] = [],
  settings: [SwiftSetting] = settings
) -> Target {
  .testTarget(
    name: name + "Tests", dependencies: dependencies + ["TestSupport"], exclude: fixtures,
    swiftSettings: settings)
}

// Strictly downward: a module imports only modules above it in this list.
let package = Package(
  name: "canon",
  products: [
    .executable(name: "canon", targets: ["canon"]),
    .library(name: "Canon", targets: ["Canon"]),
    .library(name: "CanonCommands", targets: ["CanonCommands"]),
    .library(name: "Charts", targets: ["Charts"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
    .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0", traits: []),
    .package(url: "https://github.com/jpsim/Yams", from: "6.2.0"),
    .package(url: "https://github.com/swiftlang/swift-docc-plugin", from: "1.5.0"),
  ],
  targets: [
    .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
    .target(name: "CPNG", linkerSettings: [.linkedLibrary("png"), .linkedLibrary("z")]),
    .target(name: "CLibraries"),
    .target(name: "CJPEG", dependencies: ["CLibraries"]),
    .target(name: "CTIFF", dependencies: ["CLibraries"]),
    .target(name: "CWebP", dependencies: ["CLibraries"]),
    .target(name: "CKernels", cSettings: kernelSettings),
    library("TensorCore", ["CKernels"], optimized),
    library("Settings", ["Yams"], settings),
    library("Charts", [], settings),
    library("Disentanglement", ["TensorCore"], optimized),
    library("Images", ["TensorCore", "CPNG", "CJPEG", "CTIFF", "CWebP", "CZlib"], computing),
    library("Symmetry", ["TensorCore"], optimized),
    library("Autodiff", ["TensorCore"], optimized),
    library("Layers", ["TensorCore", "Settings", "Symmetry", "Autodiff"], computing),
    // Generated from the public schema: see CONTRIBUTING.md.
    .target(
      name: "ONNXFormat",
      dependencies: [.product(name: "SwiftProtobuf", package: "swift-protobuf")],
      exclude: ["onnx.proto"],
      // Messages are read once, and most of a file is bytes: optimizing this costs more than it gives.
      swiftSettings: [.unsafeFlags(["-Onone"])]),
    library(
      "ONNX",
      [
        "TensorCore", "Settings", "Symmetry", "Autodiff", "Layers", "ONNXFormat",
        .product(name: "SwiftProtobuf", package: "swift-protobuf"),
      ], computing),
    library("MessagePassing", [], settings),
    library("Optimizers", ["TensorCore", "Autodiff", "CKernels"], computing),
    library(
      "Datasets", ["TensorCore", "Settings", "Images", "Symmetry", "CZlib"], optimized),
    library(
      "Canonicalization", ["TensorCore", "Settings", "Symmetry", "Autodiff", "Layers"], computing),
    library(
      "Training",
      [
        "TensorCore", "Images", "Symmetry", "Autodiff", "Layers", "ONNX", "Optimizers",
        "Datasets", "Canonicalization", "Settings", "Charts", "MessagePassing", "Disentanglement",
      ], settings),
    library(
      "Canon",
      [
        "TensorCore", "Settings", "Images", "Symmetry", "Autodiff", "Layers", "ONNX",
        "Optimizers", "Datasets", "Canonicalization", "Training", "MessagePassing",
        "Disentanglement",
      ], settings),
    library(
      "CanonCommands",
      [
        "MessagePassing", "TensorCore", "Settings", "Images", "Symmetry", "Layers", "ONNX",
        "Datasets",
        "Canonicalization", "Training", "Charts", "Disentanglement", argumentParser,
      ], settings),
    .executableTarget(
      name: "canon", dependencies: ["CanonCommands", argumentParser], swiftSettings: settings),
    .target(
      name: "TestSupport", dependencies: ["TensorCore", "Autodiff"], path: "Tests/TestSupport",
      swiftSettings: optimized),
    tests("TensorCore", ["TensorCore"]),
    tests("Settings", ["Settings"]),
    tests("Disentanglement", ["Disentanglement", "TensorCore"]),
    tests(
      "Images", ["Images", "TensorCore", "CLibraries"], fixtures: ["Fixtures"], settings: plain),
    tests("Symmetry", ["Symmetry", "TensorCore"]),
    tests("Autodiff", ["Autodiff", "TensorCore"], settings: optimized),
    tests("Layers", ["Layers", "Optimizers", "Autodiff", "TensorCore", "Symmetry"]),
    .testTarget(
      name: "ONNXTests",
      dependencies: [
        "ONNX", "ONNXFormat", "Training", "Settings", "Layers", "Autodiff", "TensorCore",
        "TestSupport",
        .product(name: "SwiftProtobuf", package: "swift-protobuf"),
      ], exclude: ["Fixtures", "export-nodes", "export-networks"], swiftSettings: settings),
    tests("Datasets", ["Datasets", "Settings", "Symmetry", "Images", "TensorCore"]),
    tests(
      "Canonicalization",
      ["Canonicalization", "Layers", "Optimizers", "Autodiff", "TensorCore", "Symmetry"],
      settings: plain),
    tests(
      "Training",
      [
        "Training", "Settings", "Images", "Symmetry", "Autodiff", "Layers", "ONNX", "Optimizers",
        "Datasets", "MessagePassing",
        "Canonicalization", "TensorCore",
      ], settings: plain),
    tests(
      "CanonCommands",
      ["CanonCommands", "Training", "Datasets", "Images", "Autodiff", "TensorCore", "canon"],
      fixtures: ["Fixtures"], settings: plain),
  ]
)
