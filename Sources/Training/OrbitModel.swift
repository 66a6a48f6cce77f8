public import Autodiff
public import Canonicalization
public import Datasets
public import Layers
public import MessagePassing
public import Symmetry
public import TensorCore

/// A model that says of itself how good it is, where that is no error of predictions.
public protocol MeasuredModel: TrainableModel {
  /// Figures on the examples of a test part, with what they are.
  ///
  /// - Throws: `DatasetError` where the examples have not what is measured.
  func figures(on examples: Examples) throws(DatasetError) -> [(name: String, value: Double)]

  /// How far it is from equivariant, for each example: of what, and the distances.
  ///
  /// - Throws: `DatasetError` where the examples have not what is compared.
  func deviations(
    on examples: Examples
  ) throws(DatasetError) -> [(name: String, values: [Double])]

  /// What stands against a figure, or is left out of one, in sentences.
  func remarks(on examples: Examples) -> [String]
}

extension MeasuredModel {
  public func remarks(on examples: Examples) -> [String] { [] }
}

/// A model that shows what its latent space makes of a motion.
public protocol TraversableModel: MeasuredModel {
  /// For the first pairs of examples, what the inputs become when their codes are moved by the elements, as pictures.
  func traversed(_ examples: Examples, count: Int) -> Tensor
}

/// An encoder that learns a latent space from pairs of inputs and the elements between them.
public struct OrbitModel: TraversableModel {
  public let space: any LatentSpace
  public let domain: any Domain
  /// From codes to inputs; `nil` where nothing is drawn.
  public let decoder: (any Layer)?

  public init(_ space: any LatentSpace, domain: any Domain, decoder: (any Layer)? = nil) {
    (self.space, self.domain, self.decoder) = (space, domain, decoder)
  }

  public var parameters: [(name: String, parameter: Parameter)] {
    space.parameters.map { ("backbone.\($0.name)", $0.parameter) }
      + (decoder?.parameters ?? []).map { ("decoder.\($0.name)", $0.parameter) }
  }

  public var structure: [UInt8]? { space.network.structure }

  /// Elements from numbers of the algebra, one a row.
  private func elements(_ tensor: Tensor) -> [AmbientGroup.Element] {
    let (numbers, width) = (tensor.elements.map { Double($0) }, tensor.shape[1])
    return (0..<tensor.shape[0]).map {
      space.group.exp(Array(numbers[$0 * width..<($0 + 1) * width]))
    }
  }

  /// A tensor of pairs.
  private func tensor(
    _ name: String, in examples: Examples, _ shape: [Int]
  ) throws(DatasetError) -> Tensor {
    guard let found = examples[name] else {
      throw .lacking(
        "a model that learns from pairs needs '\(name)' beside 'inputs', and the data have none")
    }
    guard Array(found.shape.extents.dropFirst()) == shape else {
      throw .lacking(
        "'\(name)' has shape \(found.shape), and the model takes [\((["count"] + shape.map(String.init)).joined(separator: ", "))]"
      )
    }
    guard found.isFinite else {
      throw .lacking("'\(name)' holds values that are not numbers")
    }
    return found
  }

  public func prepared(_ examples: Examples) throws(DatasetError) -> Examples {
    _ = try tensor("partner", in: examples, domain.shape)
    let element = try tensor("element", in: examples, [space.group.dimension])
    let (numbers, width) = (element.elements, space.group.dimension)
    for place in space.group.places where place.factor != .line {
      let count = place.factor.numbers.algebra
      let largest = numbers.indices.filter {
        (place.algebra..<place.algebra + count).contains($0 % width)
      }.reduce(Float(0)) { max($0, abs(numbers[$1])) }
      guard largest <= 2 * .pi + 1e-3 else {
        throw .lacking(
          "'element' holds \(largest) where an angle stands, which is in radians, from −2π to 2π")
      }
    }
    _ = try actualPoses(in: examples)
    return examples
  }

  public func loss(_ examples: Examples, on tape: Tape) -> Variable {
    guard let partner = examples["partner"], let element = examples["element"] else {
      return Variable(Tensor(.nan))
    }
    // One pass for both: batch norm sees all of them.
    let both = Variable(Tensor.concatenated([examples.inputs, partner]))
    let (codes, losses) = space.pairLoss(of: both, elements: elements(element), on: tape)
    let loss = losses.mean()
    guard let decoder else { return loss }
    let drawn = decoder(codes, on: tape)
    return loss + (drawn - both.reshaped(drawn.shape.extents)).squared().mean()
  }

  /// The codes of many inputs.
  public func codes(of inputs: Tensor) -> Tensor {
    .concatenated(
      stride(from: 0, to: max(1, inputs.shape[0]), by: 256).map { start in
        let part = inputs.sliced(start..<min(inputs.shape[0], start + 256))
        return space.codes(of: Variable(part), on: .inference()).value
      })
  }

  /// Codes as elements move them.
  public func moved(_ codes: Tensor, by elements: [AmbientGroup.Element]) -> Tensor {
    space.moved(Variable(codes), by: elements, on: .inference()).value
  }

  /// How often predicted codes are nearest to those of what was predicted, by the space's own measure.
  private func hits(_ predicted: Tensor, _ actual: Tensor) -> HitRate {
    HitRate(predicted: space.measured(predicted), actual: space.measured(actual))
  }

  /// One minus the hit-rate of the pairs, and the mean loss of batches of 32.
  public func quality(
    on examples: Examples, among processes: (any Communicator)?
  ) -> Quality {
    guard let partner = examples["partner"], let element = examples["element"] else {
      return Quality(loss: .nan)
    }
    let (x, y) = (codes(of: examples.inputs), codes(of: partner))
    let steps = elements(element)
    var (sum, count) = (0.0, 0)
    for start in stride(from: 0, to: examples.count, by: HitRate.batch) {
      let range = start..<min(examples.count, start + HitRate.batch)
      let losses = space.loss(
        Variable(x.sliced(range)), Variable(y.sliced(range)), elements: Array(steps[range]),
        on: .inference())
      sum += losses.value.elements.reduce(0) { $0 + Double($1) }
      count += range.count
    }
    let hits = self.hits(moved(x, by: steps), y)
    return Quality(
      error: 1 - hits.value, loss: sum / Double(max(1, count)), errorSampling: hits.sampling)
  }

  /// Hit-rates after 1, 10 and 20 steps, one step after the other in latent space; how often the nearest other
  /// code is of the same orbit; and how far poses are off, after each orbit's own translation from the right.
  public func figures(
    on examples: Examples
  ) throws(DatasetError) -> [(name: String, value: Double)] {
    let group = space.group
    let x = codes(of: examples.inputs)
    var figures: [(String, Double)] = []
    if let steps = examples["steps"] {
      guard steps.shape.rank == 3, steps.shape[1] > 0, steps.shape[2] == group.dimension else {
        throw .lacking(
          "'steps' has shape \(steps.shape), and the model takes [count, steps, \(group.dimension)]"
        )
      }
      var code = x
      for step in 1...steps.shape[1] {
        let row = steps.sliced(step - 1..<step, axis: 1).reshaped([x.shape[0], group.dimension])
        code = moved(code, by: elements(row))
        let name = step == 1 ? "partner" : "partner\(step)"
        guard examples[name] != nil else { continue }
        let seen = try tensor(name, in: examples, domain.shape)
        let hits = self.hits(code, codes(of: seen))
        figures.append(("hit-rate, \(step) \(step == 1 ? "step" : "steps")", hits.value))
      }
    } else {
      let partner = try tensor("partner", in: examples, domain.shape)
      let element = try tensor("element", in: examples, [group.dimension])
      let hits = self.hits(moved(x, by: elements(element)), codes(of: partner))
      figures.append(("hit-rate, 1 step", hits.value))
    }
    // Where no orbit is there twice there is nothing to be near to.
    if let orbits = space.orbits(x), !examples.labels.isEmpty,
      Set(examples.labels).count < examples.labels.count
    {
      figures.append(
        ("nearest code of the same orbit", sameOrbit(orbits, examples.labels)))
    }
    let found = space.poses(x)
    if let actual = try actualPoses(in: examples), !found.isEmpty, !examples.labels.isEmpty {
      let errors = PoseErrors(found: found, actual: actual, orbits: examples.labels, in: group)
      if !errors.sorted.isEmpty {
        figures.append(("pose error, median", errors.quantile(0.5)))
        figures.append(("pose error, 95 %", errors.quantile(0.95)))
      }
    }
    return figures
  }

  /// The poses that examples are in, told as numbers of elements or of the algebra.
  private func actualPoses(
    in examples: Examples
  ) throws(DatasetError) -> [AmbientGroup.Element]? {
    guard let pose = examples["pose"] else { return nil }
    let group = space.group
    let width = Array(pose.shape.extents.dropFirst())
    guard width == [group.elementCount] || width == [group.dimension] else {
      throw .lacking(
        "'pose' has shape \(pose.shape); of \(group.name) it is [count, \(group.dimension)], numbers of the algebra as 'element', "
          + "or [count, \(group.elementCount)], those of an element (of a turn of the plane cos and sin, of one of space its matrix)"
      )
    }
    guard width == [group.elementCount] else { return elements(pose) }
    let numbers = pose.elements.map { Double($0) }
    return (0..<pose.shape[0]).map {
      AmbientGroup.Element(Array(numbers[$0 * width[0]..<($0 + 1) * width[0]]))
    }
  }

  /// How far poses of partners are from the moved poses, in the group's metric, and orbits from one another, 0…2.
  public func deviations(
    on examples: Examples
  ) throws(DatasetError) -> [(name: String, values: [Double])] {
    let partner = try tensor("partner", in: examples, domain.shape)
    let steps = elements(try tensor("element", in: examples, [space.group.dimension]))
    let (moved, reached) = (
      self.moved(codes(of: examples.inputs), by: steps), codes(of: partner)
    )
    let (a, b) = (space.poses(moved), space.poses(reached))
    guard !a.isEmpty, let e = space.orbits(moved), let f = space.orbits(reached) else {
      return [("code, relative", relativeDistances(moved, reached))]
    }
    let apart = (e - f).squared().sum([1]).elements.map { Double($0).squareRoot() }
    return [("pose", zip(a, b).map(space.group.distance)), ("orbit", apart)]
  }

  public func remarks(on examples: Examples) -> [String] {
    var few: [String] = []
    let count = examples.count
    if count < HitRate.batch {
      few = ["There are \(count) pairs: a hit is among so many, and by chance one in \(count)."]
    } else if count % HitRate.batch > 0 {
      few = [
        "Hits are counted among 32: the last \(count % HitRate.batch) of the \(count) pairs are left out of hit-rates."
      ]
    }
    return poseRemarks(on: examples) + few
  }

  private func poseRemarks(on examples: Examples) -> [String] {
    if examples["pose"] == nil || examples.labels.isEmpty {
      return ["No pose error is told: that needs 'pose' and 'labels', the orbits."]
    }
    guard !space.poses(codes(of: examples.inputs.sliced(0..<1))).isEmpty
    else { return [] }
    let single = PoseErrors.single(examples.labels)
    guard single > 0 else { return [] }
    return [
      "Of \(single) \(single == 1 ? "orbit" : "orbits") there is a single example: its frame is free, so that its pose says nothing. "
        + "Pose errors are of the others, where there are any."
    ]
  }

  /// How the pose goes along an orbit that the group's first circle closes; `nil` where the space has no such pose.
  ///
  /// - Parameter orbit: An input moved once around in even steps.
  public func trace(_ orbit: Tensor) -> OrbitTrace? {
    angles(orbit).map(OrbitTrace.init(angles:))
  }

  /// How the pose goes from an input to the same one half a turn on, through their mean; `nil` where the space has no such
  /// pose.
  ///
  /// - Precondition: The orbit is an input moved once around in an even number of even steps, by a group that acts on inputs
  ///   linearly.
  public func crossing(_ orbit: Tensor) -> SymmetryCrossing? {
    require(orbit.shape[0] % 2 == 0, "half of an orbit of \(orbit.shape[0]) steps")
    let half = orbit.shape[0] / 2
    return angles(
      SymmetryCrossing.way(from: orbit.sliced(0..<1), to: orbit.sliced(half..<half + 1))
    ).map(SymmetryCrossing.init(angles:))
  }

  /// The angles on the group's first circle that the poses of inputs have, in radians; `nil` where the space has none.
  public func angles(_ inputs: Tensor) -> [Double]? {
    guard let place = space.group.places.first(where: { $0.factor == .circle }) else { return nil }
    let poses = space.poses(codes(of: inputs))
    return poses.isEmpty ? nil : poses.map { space.group.log($0)[place.algebra] }
  }

  /// The fraction of codes whose nearest other one has the same label.
  private func sameOrbit(_ codes: Tensor, _ labels: [Int]) -> Double {
    let count = min(codes.shape[0], 1024)
    let some = codes.sliced(0..<count)
    let similar = some.matmul(some.transposed()).elements
    guard similar.allSatisfy(\.isFinite) else { return .nan }
    let same = (0..<count).count { n in
      let best = (0..<count).filter { $0 != n }.max {
        similar[n * count + $0] < similar[n * count + $1]
      }
      return best.map { labels[$0] == labels[n] } ?? false
    }
    return Double(same) / Double(max(1, count))
  }

  /// What the decoder draws, or without one the partners whose codes are nearest.
  public func traversed(_ examples: Examples, count: Int) -> Tensor {
    guard let partner = examples["partner"], let element = examples["element"] else {
      return examples.inputs.sliced(0..<count)
    }
    let some = examples.selecting(0..<count)
    let reached = moved(
      codes(of: some.inputs), by: elements(element.sliced(0..<count).contiguous))
    if let decoder { return decoder.predict(reached).reshaped(some.inputs.shape.extents) }
    let all = codes(of: partner)
    guard (reached.elements + all.elements).allSatisfy(\.isFinite) else {
      return Tensor(repeating: .nan, shape: some.inputs.shape)
    }
    // |a − b|² = |a|² + |b|² − 2 a·b, of which the first is the same for all b.
    let distances =
      all.squared().sum([1]).reshaped([1, -1]) - reached.matmul(all.transposed()) * 2
    return partner.gathered((-distances).largestColumn())
  }

  public var summary: [(name: String, value: String)] {
    [
      ("input", domain.text),
      ("group", space.group.factors.map(\.rawValue).joined(separator: " × ")),
      ("encoder parameters", "\(trainableCount())"),
    ]
  }
}
