import Foundation
import TensorCore
import Testing

private func temporary(_ name: String) -> String {
  FileManager.default.temporaryDirectory.path + "/canon-" + name
}

/// A file with a header of one's own.
private func file(_ header: String, body: Int, length: UInt64? = nil, _ name: String) throws
  -> String
{
  let json = Data(header.utf8)
  let size = length ?? UInt64(json.count)
  var data = Data((0..<8).map { UInt8(truncatingIfNeeded: size >> (8 * $0)) })
  data.append(json)
  data.append(Data(count: body))
  let path = temporary(name)
  try data.write(to: URL(fileURLWithPath: path))
  return path
}

@Suite struct SafetensorsTests {
  @Test("What is written is read back, bit for bit, with its texts") func roundTrip() throws {
    let path = temporary("round.safetensors")
    let tensors = [
      "a": Tensor([1, -0.0, .infinity, .leastNonzeroMagnitude], shape: [2, 2]),
      "b": Tensor.zeros([0, 3]),
      "c": Tensor(7).reshaped([]),
      "d": Tensor((0..<6).map(Float.init), shape: [2, 3]).transposed(),
    ]
    try Safetensors(tensors: tensors, metadata: ["k": "ü"]).write(to: path)
    let back = try Safetensors(path: path)
    #expect(back.metadata == ["k": "ü"])
    for (name, tensor) in tensors {
      #expect(back.tensors[name]?.shape == tensor.shape)
      #expect(back.tensors[name]?.elements.map(\.bitPattern) == tensor.elements.map(\.bitPattern))
    }
  }

  static let lies: [(header: String, body: Int, length: UInt64?, name: String)] = [
    ("{}", 0, UInt64.max, "length"),
    (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#, 4, nil, "truncated"),
    (
      #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[2,6]}}"#,
      6, nil, "overlap"
    ),
    (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#, 8, nil, "gap"),
    (#"{"a":{"dtype":"C64","shape":[1],"data_offsets":[0,8]}}"#, 8, nil, "dtype"),
    (#"{"a":{"dtype":"F16","shape":[2],"data_offsets":[0,8]}}"#, 8, nil, "half"),
    (#"{"a":{"dtype":"F32","shape":[-1,0],"data_offsets":[0,0]}}"#, 0, nil, "negative zero"),
    (
      #"{"a":{"dtype":"F32","shape":[0,1099511627776,1099511627776],"data_offsets":[0,0]}}"#, 0,
      nil,
      "hidden overflow"
    ),
    (#"{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}"#, 4, nil, "negative"),
    (
      #"{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}}"#, 0, nil,
      "overflow"
    ),
    (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#, 9, nil, "rest"),
    (#"{"a":3}"#, 0, nil, "entry"),
    ("not json", 0, nil, "json"),
  ]

  @Test("A lying header is an error that names the file", arguments: lies)
  func lie(header: String, body: Int, length: UInt64?, name: String) throws {
    let path = try file(header, body: body, length: length, "lie-\(name).safetensors")
    let error = #expect(throws: WeightsError.self) { try Safetensors(path: path) }
    #expect(error?.description.contains(path) == true)
  }

  @Test("A missing file is an error") func missing() {
    #expect(throws: WeightsError.self) { try Safetensors(path: "/nonexistent") }
  }

  @Test("Numbers of other types become floats") func types() throws {
    // Each type with its little-endian bytes, and the numbers that they are.
    let cases: [(type: String, bytes: [UInt8], numbers: [Float])] = [
      ("F16", [0x00, 0x3C, 0x00, 0xC0, 0x01, 0x00, 0x00, 0x7C], [1, -2, 0x1p-24, .infinity]),
      ("BF16", [0x80, 0x3F, 0x00, 0xC0], [1, -2]),
      ("F64", [0, 0, 0, 0, 0, 0, 0xF8, 0x3F], [1.5]),
      ("I64", [0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF], [-2]),
      ("I32", [3, 0, 0, 0], [3]), ("I16", [0xFF, 0xFF], [-1]), ("I8", [0x80], [-128]),
      ("U8", [200, 7], [200, 7]), ("BOOL", [1, 0], [1, 0]),
    ]
    for (type, bytes, numbers) in cases {
      let header =
        #"{"a":{"dtype":"\#(type)","shape":[\#(numbers.count)],"data_offsets":[0,\#(bytes.count)]}}"#
      let path = try file(header, body: 0, "type-\(type).safetensors")
      var data = try Data(contentsOf: URL(fileURLWithPath: path))
      data.append(contentsOf: bytes)
      try data.write(to: URL(fileURLWithPath: path))
      #expect(try Safetensors(path: path).tensors["a"]?.elements == numbers, "\(type)")
    }
  }

  @Test("Python's safetensors reads what is written here, where Python has it") func python() throws
  {
    let path = temporary("python.safetensors")
    try Safetensors(tensors: ["w": Tensor([1, 2, 3, 4], shape: [2, 2])], metadata: ["m": "x"])
      .write(to: path)
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = [
      "python3", "-c",
      """
      import sys
      try: from safetensors import safe_open
      except ImportError: sys.exit(77)
      with safe_open(sys.argv[1], framework="numpy") as f:
        assert f.metadata() == {"m": "x"} and f.get_tensor("w").tolist() == [[1, 2], [3, 4]]
      """, path,
    ]
    process.standardError = FileHandle.nullDevice
    try process.run()
    process.waitUntilExit()
    // 77: this Python has no safetensors; 127: there is no Python.
    #expect([0, 77, 127].contains(process.terminationStatus))
  }
}
