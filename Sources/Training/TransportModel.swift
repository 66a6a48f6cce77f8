public import Autodiff
public import Canonicalization
public import Datasets
public import Layers
public import MessagePassing
public import Symmetry
public import TensorCore

/// A model that keeps something of what it has learned from, such as references to compare with.
public protocol ReferringModel: TrainableModel {
  /// Takes what it keeps from the data, before it is measured.
  func remember(_ data: Dataset)
}

/// A classifier behind a latent canonicalizer: codes are moved back by the inverse of a given operator, and classified
/// where they come to lie (after Dinh & Deny, latent operators; reconstructed from their code and what others say of the
/// paper, which could not be read in full).
///
/// Of a pair of views, at steps *a* and *b* of a cycle, it makes the cross entropy of both codes *ρ*(*a*)⁻¹ *E* *x* small, and
/// how far the two are apart. Trained at a few steps it works at all of them as far as the encoder is equivariant there;
/// it was told by the operator what a further step does. Where the step is not known, it is the one that brings the
/// code nearest to references, codes of training examples in canonical pose.
public struct TransportModel: MeasuredModel, ReferringModel {
  public let domain: any Domain
  public let classNames: [String]
  public let encoder, classifier: any Layer
  public let representation: Regular<FiniteAbelian>
  /// `[count, dimension]`.
  public let references: Parameter
  public let neighbors: Int
  /// How much agreement of the two views counts beside the cross entropy.
  public let agreement: Float
  /// Made anew where the references change, not for each batch.
  private let made: Derived<TransportCanonicalizer<Regular<FiniteAbelian>>>

  /// - Parameter references: How many codes are kept.
  public init(
    encoder: any Layer, classifier: any Layer, representation: Regular<FiniteAbelian>,
    references: Int = 5000, neighbors: Int = 3, agreement: Float = 10, domain: any Domain,
    classNames: [String]
  ) {
    (self.encoder, self.classifier, self.domain) = (encoder, classifier, domain)
    (self.representation, self.classNames) = (representation, classNames)
    (self.neighbors, self.agreement) = (neighbors, agreement)
    let kept = Parameter(.zeros([references, representation.dimension]), isTrainable: false)
    self.references = kept
    made = Derived(from: [kept]) {
      TransportCanonicalizer(
        representation, references: TransportModel.distinct(kept.value), neighbors: neighbors,
        isDirectional: true)
    }
  }

  public var parameters: [(name: String, parameter: Parameter)] {
    encoder.parameters.map { ("encoder.\($0.name)", $0.parameter) }
      + classifier.parameters.map { ("backbone.\($0.name)", $0.parameter) }
      + [("references", references)]
  }

  private var group: FiniteAbelian { representation.group }

  /// The canonicalizer of codes, with what is remembered.
  public var canonicalizer: TransportCanonicalizer<Regular<FiniteAbelian>> { made.value }

  /// The elements that a tensor of steps names.
  private func elements(
    _ name: String, in examples: Examples
  ) throws(DatasetError) -> [FiniteAbelian.Element] {
    guard let tensor = examples[name] else {
      throw .lacking(
        "a latent canonicalizer learns from '\(name)', the steps that inputs were moved by, and the data have none"
      )
    }
    guard Array(tensor.shape.extents.dropFirst()) == [1],
      let elements = group.elements(steps: tensor)
    else {
      throw .lacking("'\(name)' of shape \(tensor.shape) must be one whole step an example")
    }
    return elements
  }

  public func prepared(_ examples: Examples) throws(DatasetError) -> Examples {
    _ = try elements("pose", in: examples)
    _ = try elements("partnerPose", in: examples)
    guard examples["partner"]?.shape == examples.inputs.shape else {
      throw .lacking("a latent canonicalizer needs 'partner', of the shape of 'inputs'")
    }
    guard examples.labels.count == examples.count,
      examples.labels.allSatisfy(classNames.indices.contains)
    else { throw .lacking("a classifier needs a label for each example") }
    return examples
  }

  /// Codes moved back by elements.
  private func forms(
    _ inputs: Variable, _ elements: [FiniteAbelian.Element], on tape: Tape
  ) -> Variable {
    encoder(inputs, on: tape).acted(by: representation, elements.map(group.inverse))
  }

  public func loss(_ examples: Examples, on tape: Tape) -> Variable {
    guard let partner = examples["partner"],
      let a = try? elements("pose", in: examples),
      let b = try? elements("partnerPose", in: examples)
    else { return Variable(Tensor(.nan)) }
    let both = Variable(Tensor.concatenated([examples.inputs, partner]))
    let forms = forms(both, a + b, on: tape)
    let entropy = -classifier(forms, on: tape).logSoftmax()
      .picked(examples.labels + examples.labels)
    let count = examples.count
    let apart = (forms.sliced(0..<count) - forms.sliced(count..<2 * count)).squared().mean()
    return entropy.mean() + apart * agreement
  }

  public func remember(_ data: Dataset) {
    let (count, all) = (references.value.shape[0], data.trainCount)
    // Evenly over all there are: their order may be that of the classes. Of too few each is there several times.
    let places = (0..<count).map { count <= all ? $0 * all / count : $0 % all }
    var codes: [Tensor] = []
    for start in stride(from: 0, to: count, by: 512) {
      let some = Array(places[start..<min(count, start + 512)])
      let examples = data.stream.map { $0(some, epoch: 0) } ?? data.train.gathered(some)
      guard let steps = try? elements("pose", in: examples) else { return }
      codes.append(forms(Variable(examples.inputs), steps, on: .inference()).value)
    }
    references.value = .concatenated(codes)
  }

  /// References, each once.
  private static func distinct(_ all: Tensor) -> Tensor {
    let first = all.sliced(0..<1).elements
    let again = (1..<all.shape[0]).first { all.sliced($0..<$0 + 1).elements == first }
    return again.map { all.sliced(0..<$0).contiguous } ?? all
  }

  /// What it says of inputs: class probabilities, and the step that it finds.
  public func predict(
    _ inputs: Tensor
  ) -> (probabilities: Tensor, poses: [Pose<FiniteAbelian.Element>]) {
    let found = canonicalizer.canonicalize(encoder.predict(inputs))
    return (probabilities(Variable(found.form)), found.poses)
  }

  private func probabilities(_ forms: Variable) -> Tensor {
    classifier(forms, on: .inference()).logSoftmax().exp().value
  }

  /// The classes of inputs whose steps are known; −1 where an output is no number.
  private func classes(_ inputs: Tensor, _ elements: [FiniteAbelian.Element]) -> [Int] {
    classes(probabilities(forms(Variable(inputs), elements, on: .inference())))
  }

  private func classes(_ output: Tensor) -> [Int] {
    let (numbers, width) = (output.elements, output.shape[1])
    return output.largestColumn().enumerated().map { n, best in
      numbers[n * width..<(n + 1) * width].allSatisfy(\.isFinite) ? best : -1
    }
  }

  /// The error with steps known, cross entropy and calibration.
  public func quality(
    on examples: Examples, among processes: (any Communicator)?
  ) -> Quality {
    guard let steps = try? elements("pose", in: examples) else { return Quality(loss: .nan) }
    var meter = QualityMeter()
    for start in stride(from: 0, to: examples.count, by: 512) {
      let part = examples.selecting(start..<min(examples.count, start + 512))
      let forms = forms(
        Variable(part.inputs), Array(steps[start..<start + part.count]), on: .inference())
      meter.add(probabilities: probabilities(forms), labels: part.labels)
    }
    return meter.quality
  }

  /// The parts of right classes with the step known and found, over all steps and at the worst of them, and how
  /// often the step is found.
  public func figures(
    on examples: Examples
  ) throws(DatasetError) -> [(name: String, value: Double)] {
    let steps = try elements("pose", in: examples)
    let order = group.order
    var counts = [[Double]](repeating: [0, 0, 0, 0], count: order)
    var isSound = true
    for start in stride(from: 0, to: examples.count, by: 256) {
      let part = examples.selecting(start..<min(examples.count, start + 256))
      let own = Array(steps[start..<start + part.count])
      let known = classes(part.inputs, own)
      let (output, poses) = predict(part.inputs)
      let found = classes(output)
      for n in 0..<part.count {
        let step = group.index(of: own[n])
        isSound = isSound && known[n] >= 0 && found[n] >= 0 && !poses[n].margin.isNaN
        counts[step][0] += 1
        counts[step][1] += known[n] == part.labels[n] ? 1 : 0
        counts[step][2] += found[n] == part.labels[n] ? 1 : 0
        counts[step][3] += poses[n].element == own[n] ? 1 : 0
      }
    }
    // Outputs that are no numbers are no errors: they have no figure.
    let there = isSound ? counts.filter { $0[0] > 0 } : [[.nan, .nan, .nan, .nan]]
    func all(_ i: Int) -> Double {
      there.reduce(0) { $0 + $1[i] } / there.reduce(0) { $0 + $1[0] }
    }
    func worst(_ i: Int) -> Double { there.map { $0[i] / $0[0] }.min() ?? .nan }
    let single = counts.enumerated().filter { isSound && $0.element[0] > 0 }.flatMap {
      step, count in
      [
        ("accuracy at step \(step), pose known", count[1] / count[0]),
        ("accuracy at step \(step), pose found", count[2] / count[0]),
      ]
    }
    return [
      ("accuracy, pose known", all(1)), ("accuracy, pose found", all(2)),
      ("accuracy at the worst step, pose known", worst(1)),
      ("accuracy at the worst step, pose found", worst(2)), ("step found", all(3)),
    ] + single
  }

  /// How far forms of partners are from those of the inputs, relative to their length.
  public func deviations(
    on examples: Examples
  ) throws(DatasetError) -> [(name: String, values: [Double])] {
    let (a, b) = (try elements("pose", in: examples), try elements("partnerPose", in: examples))
    guard let partner = examples["partner"] else { return [] }
    let first = forms(Variable(examples.inputs), a, on: .inference()).value
    return [
      (
        "form, relative",
        relativeDistances(first, forms(Variable(partner), b, on: .inference()).value)
      )
    ]
  }

  public var summary: [(name: String, value: String)] {
    [
      ("input", domain.text),
      ("steps around", "\(group.order)"), ("latent numbers", "\(representation.dimension)"),
      ("references", "\(references.value.shape[0])"),
    ]
  }
}
