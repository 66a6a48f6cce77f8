import CZlib
public import Images
public import TensorCore

/// Examples to learn from, or to be measured on: named tensors, whose first axis counts the examples.
///
/// A task takes those that it needs by name: `inputs` always, then `image`, `mask`, `keypoints`, `boxes`,
/// `vectors`, `field`, `displacements`, or names of one's own, such as partners and group elements.
public struct Examples: Sendable {
  /// All tensors by name, `inputs` among them.
  public private(set) var tensors: [String: Tensor]
  /// The classes; empty where the data have none.
  public private(set) var labels: [Int]

  /// - Precondition: All tensors, and the labels if there are any, are for as many examples.
  public init(inputs: Tensor, labels: [Int] = [], _ others: [String: Tensor] = [:]) {
    tensors = others
    tensors["inputs"] = inputs
    self.labels = labels
    for (name, tensor) in tensors {
      require(
        tensor.shape[0] == inputs.shape[0], "'\(name)' \(tensor.shape) for inputs \(inputs.shape)")
    }
    require(
      labels.isEmpty || labels.count == inputs.shape[0],
      "\(labels.count) labels for inputs \(inputs.shape)")
  }

  /// What a model is given.
  public var inputs: Tensor { tensors["inputs"] ?? .zeros([0]) }

  /// A tensor by name.
  public subscript(name: String) -> Tensor? { tensors[name] }

  public var count: Int { inputs.shape[0] }

  /// Some of the examples, in order.
  public func selecting(_ range: Range<Int>) -> Examples {
    changed(labels.isEmpty ? [] : Array(labels[range])) { $0.sliced(range) }
  }

  /// The first examples, all of them where there are fewer.
  public func prefix(_ count: Int) -> Examples {
    count < self.count ? selecting(0..<count) : self
  }

  /// Examples by their places.
  public func gathered(_ places: [Int]) -> Examples {
    changed(labels.isEmpty ? [] : places.map { labels[$0] }) { $0.gathered(places) }
  }

  /// The same with other inputs and tensors.
  public func replacing(_ others: [String: Tensor]) -> Examples {
    var copy = self
    copy.tensors.merge(others) { $1 }
    return copy
  }

  private func changed(_ labels: [Int], _ change: (Tensor) -> Tensor) -> Examples {
    var copy = self
    copy.tensors = tensors.mapValues(change)
    copy.labels = labels
    return copy
  }
}

/// What a run learns from.
public struct Dataset: Sendable {
  public var train, valid: Examples
  /// The classes' names; empty where there are none.
  public let classNames: [String]

  /// Why some examples could not be read, and are in no part.
  public let errors: [ImageError]

  public init(
    train: Examples, valid: Examples, classNames: [String] = [], errors: [ImageError] = []
  ) {
    (self.train, self.valid, self.classNames, self.errors) = (train, valid, classNames, errors)
  }

  /// CRC-32 of what is learned from and selected on: inputs, labels and names of the classes.
  ///
  /// Data whose parts follow from all there is have other parts when anything comes or goes.
  public var fingerprint: String {
    var sum = crc32(0, nil, 0)
    func add(_ bytes: [UInt8]) { sum = unsafe crc32(sum, bytes, UInt32(bytes.count)) }
    for name in classNames { add(Array(name.utf8) + [0]) }
    for part in [train, valid] {
      add(part.labels.map { UInt8(truncatingIfNeeded: $0) } + [255])
      let (inputs, count) = (part.inputs.contiguous, part.inputs.shape.count * 4)
      unsafe inputs.withElements { numbers in
        unsafe numbers.withMemoryRebound(to: UInt8.self, capacity: count) { bytes in
          for start in stride(from: 0, to: count, by: 1 << 30) {
            unsafe sum = crc32(sum, bytes + start, UInt32(min(1 << 30, count - start)))
          }
        }
      }
    }
    return String(sum, radix: 16)
  }
}
