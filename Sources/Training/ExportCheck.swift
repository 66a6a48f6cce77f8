import Autodiff
public import ONNX
public import TensorCore

/// How close an exported pipeline comes to its model, carried out here.
public struct ExportCheck: Sendable {
  /// How many inputs were tried, and of how many the pose is the same.
  public private(set) var inputs = 0
  public private(set) var samePoses = 0
  /// Of how many pose, results and form agree to a thousandth of the largest; what is no number agrees with nothing.
  public private(set) var agreeing = 0
  /// The largest difference of results where the pose is the same, and of forms, relative to the largest of all.
  public private(set) var largestDifference: Double = 0
  public private(set) var largestFormDifference: Double = 0

  /// How close results and forms have to be, relative to the largest.
  public static let tolerance = 1e-3

  /// Whether all but a tenth of the inputs agree: of those the model itself hardly decides between poses.
  public var isAccepted: Bool { agreeing * 10 >= inputs * 9 && agreeing > 0 }

  /// Compares a network with what it should give, some inputs at a time, the first ones alone too.
  ///
  /// - Throws: `ONNXError` where the network cannot be read again, or takes or gives another batch than is asked of it.
  public init(_ bytes: [UInt8], with reference: [String: Tensor]) throws(ONNXError) {
    let network = try ONNXModel(structure: bytes, path: "the exported network")
    let given = reference[network.inputs[0].name] ?? .zeros([0])
    let largest = reference.mapValues { tensor in
      tensor.elements.reduce(1e-6) { $1.isFinite ? max($0, Double(abs($1))) : $0 }
    }
    try ExportCheck.requireFreeBatch(network, given, largest)
    for start in stride(from: 0, to: given.shape[0], by: 64) {
      let range = start..<min(given.shape[0], start + 64)
      let found = try ExportCheck.results(of: network, given.sliced(range))
      add(found, reference.mapValues { $0.sliced(range) }, largest, count: range.count)
    }
  }

  private static func results(
    of network: ONNXModel, _ inputs: Tensor
  ) throws(ONNXError) -> [String: Tensor] {
    var found: [String: Tensor] = [:]
    for (port, value) in zip(network.outputs, try network.run([.floats(Variable(inputs))])) {
      switch value {
      case .floats(let variable): found[port.name] = variable.value
      case .integers(let integers):
        found[port.name] = Tensor(
          integers.elements.map { Float($0) }, shape: Shape(integers.shape))
      }
    }
    return found
  }

  /// Refuses a network in which an input's results depend on how many others there are, or which others.
  private static func requireFreeBatch(
    _ network: ONNXModel, _ given: Tensor, _ largest: [String: Double]
  ) throws(ONNXError) {
    guard given.shape[0] > 0 else { return }
    let (one, last) = (given.sliced(0..<1), given.sliced(given.shape[0] - 1..<given.shape[0]))
    do throws(ONNXError) {
      let alone = try results(of: network, one)
      let among = try results(of: network, .concatenated([one, last, last]))
      // Of an input that the network hardly decides, rounding may choose another pose.
      if let pose = alone["pose"], let other = among["pose"], other.shape[0] == 3,
        difference(pose[0], other[0]) >= 1e-2
      {
        return
      }
      for (name, value) in alone {
        guard let other = among[name], other.shape[0] == 3,
          difference(value[0], other[0]) <= tolerance * (largest[name] ?? 1)
        else {
          throw ONNXError("'\(name)' of an input depends on the others of its batch.")
        }
      }
    } catch {
      throw ONNXError(
        "It works for some sizes of a batch alone, which a wrapped network can bring about whose file fixes it: \(error.description)"
      )
    }
  }

  /// The largest difference; infinite where one is no number and the other is, or shapes differ.
  private static func difference(_ a: Tensor, _ b: Tensor) -> Double {
    guard a.shape == b.shape else { return .infinity }
    return zip(a.elements, b.elements).reduce(0) { largest, pair in
      if pair.0 == pair.1 || (pair.0.isNaN && pair.1.isNaN) { return largest }
      let apart = Double(abs(pair.0 - pair.1))
      return apart.isNaN ? .infinity : max(largest, apart)
    }
  }

  private mutating func add(
    _ found: [String: Tensor], _ expected: [String: Tensor], _ largest: [String: Double],
    count: Int
  ) {
    inputs += count
    for n in 0..<count {
      /// The largest difference of an output, where the model has it.
      func away(_ name: String) -> Double {
        guard let wanted = expected[name] else { return found[name] == nil ? 0 : .infinity }
        return found[name].map { ExportCheck.difference($0[n], wanted[n]) } ?? .infinity
      }
      // Shifts are in pixels.
      guard away("pose") < 1e-2, away("order") == 0 else { continue }
      samePoses += 1
      func relative(_ name: String) -> Double { away(name) / (largest[name] ?? 1) }
      let (result, form) = (max(relative("scores"), relative("restored")), relative("form"))
      largestDifference = max(largestDifference, result)
      largestFormDifference = max(largestFormDifference, form)
      let isSound = ["scores", "restored"].allSatisfy { name in
        expected[name]?[n].isFinite ?? true
      }
      if isSound && max(result, form) <= ExportCheck.tolerance { agreeing += 1 }
    }
  }
}
