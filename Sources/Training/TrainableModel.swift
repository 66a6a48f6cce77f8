public import Autodiff
public import Canonicalization
public import Datasets
import Layers
public import MessagePassing
public import Settings
public import Symmetry
public import TensorCore

/// Whatever can be trained: parameters, and a loss of some examples.
///
/// A family of models of one's own is a conformer, with `ModelOptions` beside it. What a model can do
/// besides, such as predict, it says by conforming to more.
public protocol TrainableModel: Sendable {
  /// All parameters with unique names; those of a frozen part are kept, not trained.
  var parameters: [(name: String, parameter: Parameter)] { get }

  /// The examples with what the loss needs, made once before training: one-hot classes, say.
  ///
  /// - Throws: `DatasetError` where the data have nothing of the kind.
  func prepared(_ examples: Examples) throws(DatasetError) -> Examples

  /// The loss of a batch of prepared examples in training, a scalar.
  func loss(_ examples: Examples, on tape: Tape) -> Variable

  /// The quality of the model on prepared examples.
  ///
  /// - Parameter processes: Those that measure the same together: each may take a part, and all come to the same figures, bit for
  ///   bit those of one. A model may also let each of them measure all.
  func quality(on examples: Examples, among processes: (any Communicator)?) -> Quality

  /// What it is made of, in lines of a name and a value, for people.
  var summary: [(name: String, value: String)] { get }

  /// What its file has to carry beside configuration and weights (`Layer.structure`).
  var structure: [UInt8]? { get }
}

extension TrainableModel {
  public var structure: [UInt8]? { nil }
  public func prepared(_ examples: Examples) throws(DatasetError) -> Examples { examples }

  /// The quality of the model on prepared examples, measured by this process alone.
  public func quality(on examples: Examples) -> Quality { quality(on: examples, among: nil) }

  /// How many numbers training changes, of the parameters whose names begin so.
  public func trainableCount(_ prefix: String = "") -> Int {
    parameters.filter { $0.name.hasPrefix(prefix) && $0.parameter.isTrainable }
      .map(\.parameter.value.shape.count).reduce(0, +)
  }
}

/// What a model says of a batch.
public struct Prediction: Sendable {
  /// The task's results, in the pose that the inputs came in: class probabilities, images, and others.
  public let output: Tensor
  /// The inputs in canonical form.
  public let forms: Tensor
  /// The pose of each.
  public let poses: [Pose<Motion>]

  public init(output: Tensor, forms: Tensor, poses: [Pose<Motion>]) {
    (self.output, self.forms, self.poses) = (output, forms, poses)
  }
}

/// A model that predicts, for inputs in any pose.
public protocol Predictor: TrainableModel {
  /// What its inputs are.
  var domain: any Domain { get }

  /// What it predicts.
  var task: any Objective { get }

  /// The names of the classes; empty for other tasks.
  var classNames: [String] { get }

  /// The group that its outputs are claimed to move by.
  var claims: MotionGroup { get }

  /// Whether it keeps to motions that move numbers exactly bit for bit.
  var isExact: Bool { get }

  /// Whether a form is that of one pose alone, so that it must not change as the input is moved.
  var hasOnePose: Bool { get }

  /// The pose of each input of a batch.
  func poses(of batch: Tensor) -> [Pose<Motion>]

  /// Canonicalizes, predicts and restores a batch.
  func predict(_ batch: Tensor) -> Prediction
}

extension Predictor {
  public var hasOnePose: Bool { true }

  /// How outputs move.
  public var outputs: any Quantity { task.quantity(for: domain, classes: classNames.count) }

  /// The predictions for a batch, a few members at a time on each thread: what one operation writes the next
  /// still finds in cache.
  func predictInLots(_ batch: Tensor, _ predict: @Sendable (Tensor) -> Prediction) -> Prediction {
    let members = 8
    guard batch.shape[0] > members else { return predict(batch) }
    let starts = Array(stride(from: 0, to: batch.shape[0], by: members))
    let parts = Parallel.map(starts) {
      predict(batch.sliced($0..<min(batch.shape[0], $0 + members)))
    }
    return Prediction(
      output: .concatenated(parts.map(\.output)), forms: .concatenated(parts.map(\.forms)),
      poses: parts.flatMap(\.poses))
  }

  public func prepared(_ examples: Examples) throws(DatasetError) -> Examples {
    if examples["targets"] != nil { return examples }
    let targets = try task.targets(in: examples, for: domain, classes: classNames.count)
    return Examples(inputs: examples.inputs, labels: examples.labels, ["targets": targets])
  }

  /// Calls `body` with the predictions for consecutive ranges of inputs: memory does not grow with their number.
  public func forEachBatch(
    of inputs: Tensor, size: Int = 512, _ body: (Range<Int>, Prediction) -> Void
  ) {
    for start in stride(from: 0, to: inputs.shape[0], by: size) {
      let range = start..<min(inputs.shape[0], start + size)
      body(range, predict(inputs.sliced(range)))
    }
  }

  /// The outputs for all inputs.
  public func outputs(for inputs: Tensor) -> Tensor {
    var parts: [Tensor] = []
    forEachBatch(of: inputs) { _, prediction in parts.append(prediction.output) }
    return .concatenated(parts)
  }

  public func quality(
    on examples: Examples, among processes: (any Communicator)?
  ) -> Quality {
    if task.presentation == .poses { return poseQuality(on: examples) }
    guard let targets = examples["targets"] else { return Quality(loss: .nan) }
    var meter = QualityMeter()
    // The same lots for any number of processes: a sum of products may hang, in its last digits, on what is computed together.
    let lots = stride(from: 0, to: examples.count, by: 128).map {
      $0..<min(examples.count, $0 + 128)
    }
    let count = processes?.count ?? 1
    for first in stride(from: 0, to: lots.count, by: count) {
      let round = Array(lots[first..<min(lots.count, first + count)])
      for (lot, outputs) in zip(round, outputs(for: round, of: examples.inputs, among: processes)) {
        task.measure(outputs, targets.sliced(lot), into: &meter)
      }
    }
    return meter.quality
  }

  /// The outputs for lots of inputs: one computed by each process, where there is one for each.
  private func outputs(
    for lots: [Range<Int>], of inputs: Tensor, among processes: (any Communicator)?
  ) -> [Tensor] {
    guard let processes, processes.count > 1, lots.count == processes.count else {
      return lots.map { predict(inputs.sliced($0)).output }
    }
    let own = predict(inputs.sliced(lots[processes.rank])).output
    let size = own.shape.count / own.shape[0]
    // No message is larger than Open MPI takes.
    guard 128 * size < 1 << 28 else {
      return lots.enumerated().map {
        $0 == processes.rank ? own : predict(inputs.sliced($1)).output
      }
    }
    let parts = processes.exchange(
      Array(repeating: bytes(of: own.elements), count: processes.count),
      sizes: lots.map { $0.count * size * MemoryLayout<Float>.stride }, isBackground: false)
    return zip(parts, lots).map { part, lot in
      Tensor(values(of: part), shape: Shape([lot.count] + own.shape.extents.dropFirst()))
    }
  }

  /// Prepared examples moved by motions, targets as they move.
  public func moved(_ examples: Examples, by motions: [Motion]) -> Examples {
    let inputs = domain.inputs.act(motions, on: examples.inputs)
    guard let targets = examples["targets"] else { return examples.replacing(["inputs": inputs]) }
    return examples.replacing(["inputs": inputs, "targets": outputs.act(motions, on: targets)])
  }

  /// Prepared examples moved by elements of groups that are drawn for each.
  func augmented(_ examples: Examples, by augmentation: Augmentation, on tape: Tape) -> Examples {
    augmentation.isNone
      ? examples : moved(examples, by: augmentation.motions(examples.count, on: tape))
  }

  /// Prepared examples each turned a little, and by how much; as they are without a tilt.
  func tilted(
    _ examples: Examples, by augmentation: Augmentation, on tape: Tape
  ) -> (examples: Examples, turns: [PlanarIsometry]?) {
    guard let turns = augmentation.tilts(examples.count, on: tape) else { return (examples, nil) }
    return (moved(examples, by: turns.map { Motion(isometry: $0) }), turns)
  }
}

/// What a model is made for, beside its own settings.
public struct ModelBuild: Sendable {
  public let domain: any Domain
  /// The classes of the data.
  public let classNames: [String]
  public let seed: UInt64
  /// The groups, by name, by whose elements training examples are moved at random.
  public let augmentation: [String]
  /// The angle, in radians, within which training images are turned at random besides.
  public let tilt: Double

  public init(
    domain: any Domain, classNames: [String] = [], seed: UInt64 = 0, augmentation: [String] = [],
    tilt: Double = 0
  ) {
    (self.domain, self.classNames, self.seed) = (domain, classNames, seed)
    (self.augmentation, self.tilt) = (augmentation, tilt)
  }

  /// How training examples are moved.
  var augmented: Augmentation {
    Augmentation(
      factors: augmentation.compactMap { domain.group(named: $0) },
      isTurnOfImages: domain is ImageDomain && augmentation == ["SO2"], tilt: tilt)
  }
}

/// By which groups training examples are moved at random.
public struct Augmentation: Sendable {
  let factors: [MotionGroup.Factor]
  /// Whether images are turned and nothing else: their angles are drawn as they were in format 1, so that
  /// runs of then go on bit for bit.
  let isTurnOfImages: Bool
  /// The angle, in radians, within which images are turned besides.
  let tilt: Double

  /// No augmentation.
  public static let none = Augmentation(factors: [], isTurnOfImages: false, tilt: 0)

  /// Whether examples stay as they are.
  var isNone: Bool { factors.isEmpty }

  /// A motion for each of some examples.
  func motions(_ count: Int, on tape: Tape) -> [Motion] {
    if isTurnOfImages {
      return tape.uniform([count]).elements.map {
        Motion(isometry: PlanarIsometry(residual: 2 * .pi * Double($0)))
      }
    }
    var random = tape.stream()
    return factors.reduce([Motion](repeating: Motion(), count: count)) { motions, factor in
      motions.map { $0.after(factor.sample(&random)) }
    }
  }

  /// A turn within the tilt for each of some images, of which a prior is told; `nil` without one.
  func tilts(_ count: Int, on tape: Tape) -> [PlanarIsometry]? {
    guard tilt > 0 else { return nil }
    return tape.uniform([count]).elements.map {
      PlanarIsometry(residual: tilt * (2 * Double($0) - 1))
    }
  }
}

/// The settings of a family of models, `model` in YAML.
///
/// A family of one's own is one conformer, added to the catalog; it reads sections of its own from the top
/// level, and components of the kinds that the catalog knows.
public protocol ModelOptions: Options {
  /// Whether training examples may be moved at random before it sees them.
  static var canAugment: Bool { get }

  /// Reads its keys: those of the section `model`, and sections at the top level.
  mutating func read(
    _ keys: inout Keys, top: inout Keys, data: any DatasetOptions, catalog: Catalog
  ) throws(SettingsError)

  /// Refuses what the model cannot be trained with, when the section `training` has been read.
  func check(_ training: TrainingOptions, _ keys: Keys) throws(SettingsError)

  /// Makes the model with random weights, which follow from the seed.
  func make(_ build: ModelBuild) throws(SettingsError) -> any TrainableModel

  /// Loads what parts of the model begin with, where the settings name files.
  ///
  /// - Throws: `WeightsError`.
  func load(into model: any TrainableModel) throws(WeightsError)

  /// What a model file carries of its parts: they are made from that, where it is there.
  var structure: [UInt8]? { get set }
}

extension ModelOptions {
  public static var canAugment: Bool { false }
  public func check(_ training: TrainingOptions, _ keys: Keys) throws(SettingsError) {}
  public func load(into model: any TrainableModel) throws(WeightsError) {}
  public var structure: [UInt8]? {
    get { nil }
    set {}
  }
}
