public import Autodiff
import Foundation
import ONNXFormat
import SwiftProtobuf
import TensorCore

/// Writes a computation of variables as an ONNX network, whose batch is free.
///
///     let bytes = try ONNXExport(input: "images", shape: [28, 28, 1]) { images in
///       [.init("scores", network(images, on: .inference()))]
///     }.serialized()
///
/// The computation is carried out twice, on batches of 2 and of 3 random inputs, and what was done is written down. What
/// differs between the two beyond the batch's size cannot be: numbers that follow from the input by other ways than
/// operations of variables.
public struct ONNXExport {
  /// A result of the computation.
  public struct Output {
    public let name: String
    public let value: Variable
    /// Whether its numbers are whole and are given as `int64`.
    public let isWhole: Bool

    public init(_ name: String, _ value: Variable, isWhole: Bool = false) {
      (self.name, self.value, self.isWhole) = (name, value, isWhole)
    }
  }

  private let model: Onnx_ModelProto

  /// The version of the operators that is written where a network within does not ask for a later one.
  public static let opset = 17

  /// - Parameters:
  ///   - shape: The extents of an input, without the batch.
  ///   - metadata: What is said of the network beside.
  ///   - computation: Gives the outputs for a batch `[batch] + shape`; on an inference tape.
  /// - Throws: `ONNXError` for an operation that is not known; else what the computation throws.
  public init(
    input: String, shape: [Int], metadata: [String: String] = [:],
    _ computation: (Variable) throws -> [Output]
  ) throws {
    var random = RandomStream(seed: 1, name: "export")
    func traced(_ batch: Int) throws -> (input: Variable, outputs: [Output]) {
      let leaf = Variable(traced: .uniform(Shape([batch] + shape), using: &random))
      return (leaf, try computation(leaf))
    }
    let (two, three) = (try traced(2), try traced(3))
    var writer = try GraphWriter(two.outputs.map(\.value), three.outputs.map(\.value))
    model = try writer.model(
      input: (input, two.input), outputs: two.outputs, metadata: metadata)
  }

  /// The file's bytes.
  ///
  /// - Throws: `ONNXError` for a network of 2 GB or more, which the format cannot hold in one file.
  public func serialized() throws(ONNXError) -> [UInt8] {
    do { return try model.serializedBytes() } catch {
      throw ONNXError("The network cannot be written in one file: \(error)")
    }
  }

  /// The version of the operators that it is written for.
  public var opset: Int { model.opsetImport.first.map { Int($0.version) } ?? Self.opset }

  /// How many nodes there are of each operator.
  public var operators: [String: Int] {
    model.graph.node.reduce(into: [:]) { $0[$1.opType, default: 0] += 1 }
  }
}

/// An extent of a value: a number, or so many times the batch.
enum Extent: Equatable {
  case fixed(Int)
  case batches(Int)

  /// From what it is for batches of 2 and of 3.
  init?(_ two: Int, _ three: Int) {
    if two == three {
      self = .fixed(two)
    } else if two * 3 == three * 2 {
      self = .batches(two / 2)
    } else {
      return nil
    }
  }
}

/// Two traces of a computation, side by side.
struct TracePair {
  let two, three: Variable

  /// - Throws: `ONNXError` where an extent does not follow from the batch's size.
  func extents() throws(ONNXError) -> [Extent] {
    guard two.shape.rank == three.shape.rank else {
      throw ONNXError("A shape depends on the batch: \(two.shape) and \(three.shape).")
    }
    var extents: [Extent] = []
    for (a, b) in zip(two.shape.extents, three.shape.extents) {
      guard let extent = Extent(a, b) else {
        throw ONNXError("A shape depends on the batch: \(two.shape) and \(three.shape).")
      }
      extents.append(extent)
    }
    return extents
  }
}
