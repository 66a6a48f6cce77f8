import Canon
import Foundation

/// Networks of ONNX files: each of ONNX's own node tests that are packed here, changed, read, and carried out.
let networks = Kind(
  name: "onnx",
  seeds: { folder in
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = ["tar", "xzf", "Tests/ONNXTests/Fixtures/nodes.tar.gz", "-C", folder]
    try process.run()
    process.waitUntilExit()
    let names = try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
    return names.filter { $0.hasPrefix("test_") }.compactMap { name in
      FileManager.default.contents(atPath: "\(folder)/\(name)/model.onnx").map { Bytes($0) }
    }
  },
  mutate: { seed, other, dice in mutated(seed, with: other, &dice) },
  use: { input, folder, n in
    MemoryLimit.bytes = memoryLimit << 20
    try Data(input).write(to: URL(fileURLWithPath: "\(folder)/model.onnx"))
    guard let model = try? ONNXModel(path: "\(folder)/model.onnx") else { return }
    var random = RandomStream(seed: UInt64(n), name: "onnx")
    let inputs = model.inputs.compactMap { port -> Value? in
      let shape = (port.shape ?? [2]).map { $0 ?? 2 }
      // A file may say any size; who calls it would have to have as many numbers.
      let count = shape.reduce(1.0) { $0 * Double($1) }
      guard count < 1e5 else { return nil }
      if port.type == .float {
        return .floats(Variable(.uniform(Shape(shape), from: -2, to: 2, using: &random)))
      }
      let numbers = (0..<Int(count)).map { _ in
        Int.random(in: port.type == .bool ? 0...1 : -1...3, using: &random)
      }
      return .integers(Integers(numbers, shape: shape, type: port.type))
    }
    if (try? model.run(inputs)) != nil { completed += 1 }
  })
