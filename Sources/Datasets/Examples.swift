import CZlib
public import Images
public import Symmetry
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

  /// What inputs are by their shape: images `[count, height, width, channels]`, or sets of points `[count, members, dimension]`.
  public var geometry: any Domain {
    inputs.shape.rank == 4
      ? ImageDomain(size: inputs.shape[1], channels: inputs.shape[3])
      : SetDomain(members: inputs.shape[1], dimension: inputs.shape[2])
  }

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

/// Examples that are made when they are asked for, and kept by nobody: as many as one likes.
public struct ExampleStream: Sendable {
  /// How many an epoch has.
  public let count: Int
  /// What they are made of, as far as that is data that may change; `nil` where it is not.
  let source: Tensor?
  private let make: @Sendable (_ places: [Int], _ epoch: Int) -> Examples

  /// Examples that a function makes.
  ///
  /// - Parameters:
  ///   - source: What they are made of, so that a run is not resumed on other data.
  ///   - make: The examples at places of an epoch, which follow from the two alone: a run that is resumed sees the same.
  public init(
    count: Int, source: Tensor? = nil,
    _ make: @escaping @Sendable (_ places: [Int], _ epoch: Int) -> Examples
  ) {
    (self.count, self.source, self.make) = (count, source, make)
  }

  public func callAsFunction(_ places: [Int], epoch: Int) -> Examples { make(places, epoch) }
}

/// What a run learns from.
public struct Dataset: Sendable {
  /// To learn from; where they are streamed the first few of them.
  public var train: Examples
  /// To choose by.
  public var valid: Examples
  /// Where what is learned from is made as it is asked for; `nil` where `train` is all.
  public let stream: ExampleStream?
  /// The classes' names; empty where there are none.
  public let classNames: [String]

  /// Why some examples could not be read, and are in no part.
  public let errors: [ImageError]

  public init(
    train: Examples, valid: Examples, classNames: [String] = [], errors: [ImageError] = [],
    stream: ExampleStream? = nil
  ) {
    (self.train, self.valid, self.classNames, self.errors) = (train, valid, classNames, errors)
    self.stream = stream
  }

  /// Streamed examples to learn from, of which the first 64 of epoch 0 stand for all where they are looked at.
  public init(
    stream: ExampleStream, valid: Examples, classNames: [String] = [], errors: [ImageError] = []
  ) {
    self.init(
      train: stream(Array(0..<min(64, stream.count)), epoch: 0), valid: valid,
      classNames: classNames, errors: errors, stream: stream)
  }

  /// How many examples there are to learn from.
  public var trainCount: Int { stream?.count ?? train.count }

  /// The first so many of them, all where there are fewer.
  public func limited(to count: Int) -> Dataset {
    guard let stream, count < stream.count else {
      var copy = self
      copy.train = train.prefix(count)
      return copy
    }
    return Dataset(
      stream: ExampleStream(count: count, source: stream.source) { stream($0, epoch: $1) },
      valid: valid,
      classNames: classNames, errors: errors)
  }

  /// CRC-32 of what is learned from and selected on: inputs, labels and names of the classes.
  ///
  /// Data whose parts follow from all there is have other parts when anything comes or goes.
  public var fingerprint: String {
    var sum = crc32(0, nil, 0)
    func add(_ bytes: [UInt8]) { sum = unsafe crc32(sum, bytes, UInt32(bytes.count)) }
    for name in classNames { add(Array(name.utf8) + [0]) }
    func add(_ tensor: Tensor) {
      let (tensor, count) = (tensor.contiguous, tensor.shape.count * 4)
      unsafe tensor.withElements { numbers in
        unsafe numbers.withMemoryRebound(to: UInt8.self, capacity: count) { bytes in
          for start in stride(from: 0, to: count, by: 1 << 30) {
            unsafe sum = crc32(sum, bytes + start, UInt32(min(1 << 30, count - start)))
          }
        }
      }
    }
    for part in [train, valid] {
      add(part.labels.map { UInt8(truncatingIfNeeded: $0) } + [255])
      add(part.inputs)
    }
    if let stream {
      add(Array("\(stream.count)".utf8))
      if let source = stream.source { add(source) }
    }
    return String(sum, radix: 16)
  }
}
