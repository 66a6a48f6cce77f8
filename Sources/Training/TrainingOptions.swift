import Datasets
public import Optimizers
public import Settings
import Symmetry

/// How a model is trained: the section `training`.
public struct TrainingOptions: Sendable, Equatable {
  public enum Rule: String, Sendable, CaseIterable { case adamw, adam, sgd }
  public enum Decline: String, Sendable, CaseIterable {
    case constant, step, cosine
    case oneCycle = "one-cycle"
  }
  /// How often each example is seen; 0 for as often as makes some hundred steps, 20 times at least.
  public var epochs = 0
  /// From how many random initial states a run begins: the best one on the validation part after
  /// `startEpochs` goes on.
  public var starts = 1
  public var startEpochs = 2
  /// Every how many epochs the model is measured on the validation part, the last one included.
  public var validEvery = 1
  /// How many examples a step sees; 0 for an eighth of what there is, from 4 to 128.
  public var batch = 0
  /// In how many equal pieces a batch is computed, each with random numbers of its own; as many processes as divide them do it
  /// together, and come to the same numbers.
  public var pieces = 1
  public var optimizer = Rule.adamw
  public var rate: Float = 1e-3
  public var weightDecay: Float = 0.01
  public var schedule = Decline.cosine
  /// The largest norm of the gradient, 0 for any.
  public var clip: Float = 0
  /// Whether training examples are moved at random anew each time.
  public var augment = false
  /// The groups by whose elements they are moved, separated by +; empty for those of the data.
  public var augmentBy = ""
  /// Within how many degrees training images are turned at random.
  ///
  /// It is meant for a canonicalizer that learns from its prior: of copies of
  /// an image that was never resampled the upright one is the sharpest, and that may be what it learns.
  public var tilt: Float = 0
  public enum ClassWeights: String, Sendable, CaseIterable { case none, balanced }
  /// Whether each class counts alike in the loss, however many examples it has.
  public var classWeights = ClassWeights.none
  /// After how many epochs without a better figure on the validation part a run ends, 0 for never.
  public var patience = 0

  public init() {}

  /// How often each example is seen at least, where nothing says how often.
  private static let fewestEpochs = 20

  mutating func read(_ keys: inout Keys, for data: any DatasetOptions) throws(SettingsError) {
    try keys.read(
      "epochs", &epochs, in: 0...100_000,
      "how often each example is seen; 0: so often that there are 600 steps, 20 to 200 times")
    try keys.read("starts", &starts, in: 1...1000, "random initial states; the best goes on")
    if starts > 1 || keys.lists {
      try keys.read("startEpochs", &startEpochs, in: 1...1000, "after so many epochs")
      let least = epochs == 0 ? TrainingOptions.fewestEpochs : epochs
      if starts > 1 && startEpochs >= least {
        throw keys.failure("'startEpochs' is \(startEpochs) of only \(least) epochs")
      }
    }
    try keys.read("validEvery", &validEvery, in: 1...10_000, "epochs between validations")
    try keys.read(
      "batch", &batch, in: 0...65_536,
      "examples of a step; 0: an eighth of all as a power of two, 4 to 128")
    if batch == 1 { throw keys.failure("'batch' is 1 but must be 2 or more, or 0") }
    try keys.read(
      "pieces", &pieces, in: 1...1024,
      "equal pieces of a batch, for several threads, or processes (mpirun)")
    if batch > 0 && batch % pieces != 0 {
      throw keys.failure("'batch' is \(batch), which cannot be cut into \(pieces) equal pieces")
    }
    try keys.read("optimizer", &optimizer, "the rule of a step")
    try keys.read("rate", &rate, in: 1e-8...100, "the learning rate")
    if optimizer != .adam {
      try keys.read("weightDecay", &weightDecay, in: 0...10, "decay of the weights")
    }
    try keys.read("schedule", &schedule, "how the rate declines")
    try keys.read("clip", &clip, in: 0...1e6, "the largest norm of the gradient, 0 for any")
    try keys.read("classWeights", &classWeights, "whether rare classes count as much as others")
    try keys.read(
      "patience", &patience, in: 0...100_000, "end after so many epochs without improvement; 0: not"
    )
    try keys.read("augment", &augment, "move training examples at random")
    if augment || keys.lists {
      if augmentBy.isEmpty { augmentBy = data.symmetries.joined(separator: "+") }
      try keys.read("augmentBy", &augmentBy, "groups, as in SO3+S; by default those of the data")
    }
    if data.domain is ImageDomain {
      try keys.read(
        "tilt", &tilt, in: 0...180,
        "degrees within which training images are turned at random; with a 'prior', half the step between a group's turns"
      )
    }
  }

  /// The same with every number that follows from how many examples there are to train on.
  ///
  /// With a batch of 128 a hundred images would be one step an epoch, and twenty steps learn nothing.
  public func resolved(for examples: Int) -> TrainingOptions {
    var copy = self
    if batch == 0 {
      copy.batch = 128
      while copy.batch > 4 && copy.batch * 8 > examples { copy.batch /= 2 }
      copy.batch = max(2, min(copy.batch, examples))
    }
    if epochs == 0 {
      let steps = max(1, examples / copy.batch)
      copy.epochs = min(200, max(TrainingOptions.fewestEpochs, (600 + steps - 1) / steps))
    }
    return copy
  }

  /// The keys of the section, with defaults, ranges and meanings.
  public static var keys: SettingsValue {
    var (options, keys) = (TrainingOptions(), Keys(lists: true))
    try? options.read(&keys, for: TensorsOptions())
    return keys.resolved
  }

  /// The groups of the augmentation, by name.
  func groups(for data: any DatasetOptions) -> [String] {
    augmentBy.isEmpty ? data.symmetries : augmentBy.split(separator: "+").map(String.init)
  }

  /// The optimizer that the settings name.
  public var rule: any Optimizer {
    switch optimizer {
    case .adamw: AdamW(weightDecay: weightDecay)
    case .adam: AdamW(weightDecay: 0)
    case .sgd: SGD(weightDecay: weightDecay)
    }
  }

  /// The schedule that the settings name.
  public var decline: Schedule {
    switch schedule {
    case .constant: .constant
    case .step: .step(every: 0.3, factor: 0.1)
    case .cosine: .cosine
    case .oneCycle: .oneCycle(warmup: 0.1)
    }
  }
}
