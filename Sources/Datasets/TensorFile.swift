public import Settings
public import Symmetry
import TensorCore

extension Examples {
  /// The examples of a safetensors file: `inputs` (or `points`), `labels` and whatever else it holds.
  ///
  /// - Throws: `WeightsError` for a file that is none, `DatasetError` for one of other shapes.
  public init(tensorsAt path: String, for domain: any Domain) throws {
    var tensors: [String: Tensor]
    do { tensors = try Safetensors(path: path).tensors } catch {
      let reason = error.description.dropFirst(path.count).replacing(
        " is not a usable model file: ", with: "")
      throw DatasetError.malformed(path: path, reason: "\(reason.split(separator: ";")[0])")
    }
    guard let inputs = tensors["inputs"] ?? tensors["points"] else {
      throw DatasetError.malformed(
        path: path, reason: "it holds no tensor named 'inputs' or 'points'")
    }
    tensors["points"] = nil
    guard inputs.shape.rank == domain.shape.count + 1, inputs.shape[0] > 0,
      Array(inputs.shape.extents.dropFirst()) == domain.shape
    else {
      let wanted = domain.shape.map { "\($0)" }.joined(separator: ", ")
      throw DatasetError.malformed(
        path: path,
        reason: "its inputs have shape \(inputs.shape), but the model takes [count, \(wanted)]"
          + (domain is SetDomain ? " ('data.points' says how many points a set has)" : ""))
    }
    let labels = tensors.removeValue(forKey: "labels")?.elements ?? []
    for (name, tensor) in tensors where tensor.shape.rank == 0 || tensor.shape[0] != inputs.shape[0]
    {
      throw DatasetError.malformed(
        path: path, reason: "'\(name)' has shape \(tensor.shape) for inputs \(inputs.shape)")
    }
    guard labels.isEmpty || labels.count == inputs.shape[0],
      labels.allSatisfy({ $0 >= 0 && $0 < 10_000 && $0 == $0.rounded() })
    else {
      throw DatasetError.malformed(
        path: path, reason: "'labels' are not one whole number below 10,000 an example")
    }
    guard tensors.values.allSatisfy({ $0.isFinite }),
      inputs.isFinite
    else {
      throw DatasetError.malformed(path: path, reason: "it holds values that are not numbers")
    }
    self.init(inputs: inputs, labels: labels.map { Int($0) }, tensors)
  }
}

/// The settings of `{kind: tensors}`.
public struct TensorsOptions: SplitOptions {
  public static let kind = "tensors"
  public static let summary =
    "A safetensors file with 'inputs' and what a task needs: 'labels', 'image', 'mask', 'keypoints', …"
  public var path = ""
  public var split = Split()
  /// The dimension of space, for sets of points; 0 for images.
  public var dimension = 0
  public var points = 100
  public var images = ImageDomain()
  public init() {}

  public var domain: any Domain {
    dimension == 0 ? images : SetDomain(members: points, dimension: dimension)
  }
  public var task: String { "classify" }
  public var symmetries: [String] { dimension == 0 ? ["SO2"] : ["SO\(dimension)", "S"] }

  public mutating func read(_ keys: inout Keys, input: inout Keys) throws(SettingsError) {
    try keys.read("path", &path, "the file")
    try split.read(&keys)
    try keys.read(
      "dimension", &dimension, in: 0...3,
      "of the space of sets of points, of which 'points' says how many; 0 for images")
    if dimension == 0 { try input.read(&images) }
    if dimension > 0 || keys.lists {
      try keys.read("points", &points, in: 1...65_536, "how many points a set has")
    }
  }

  public func heap() throws -> Heap {
    let all = try Examples(tensorsAt: path, for: domain)
    let classes = (all.labels.max() ?? -1) + 1
    return Heap(all, classNames: (0..<classes).map { "\($0)" })
  }
}
