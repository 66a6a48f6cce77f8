public import Canonicalization
public import Datasets
import Foundation
public import Layers
public import Optimizers
public import TensorCore
import Yams

/// Everything that a training run depends on: read from YAML, written back resolved, and kept with
/// the weights, so that a model file says how it came about.
public struct RunConfiguration: Codable, Sendable, Equatable {
  public var name = "model"
  public var seed = 0
  public var data = Data()
  public var input = Input()
  public var canonicalizer = Canonicalizer()
  public var backbone = Backbone()
  public var training = Training()

  /// Where examples come from.
  public struct Data: Codable, Sendable, Equatable {
    public enum Kind: String, Codable, Sendable, CaseIterable {
      /// The folder of MNIST's IDX files: 10,000 / 2,000 / 50,000 digits, each turned once.
      case rotatedMNIST = "rotated-mnist"
      /// The same digits, upright.
      case uprightMNIST = "upright-mnist"
      /// A pair of IDX files, images and labels.
      case idx
      /// A folder with one subfolder of PNGs a class.
      case folder
      /// Two folders with PNGs of the same names: inputs and targets.
      case pairs
      /// The digits as sets of points in the plane, upright, or each turned once.
      case mnistPoints = "mnist-points"
      case rotatedMNISTPoints = "rotated-mnist-points"
      /// Noisy points on the surfaces of eight kinds of bodies, each turned once in space.
      case bodies
      /// Charged particles in space, of which later positions are to be told.
      case particles

      /// The dimension of the points' space; `nil` for images.
      public var dimension: Int? {
        switch self {
        case .mnistPoints, .rotatedMNISTPoints: 2
        case .bodies, .particles: 3
        default: nil
        }
      }

      /// Whether it is made of the folder of MNIST's IDX files.
      public var isMNIST: Bool {
        [.rotatedMNIST, .uprightMNIST, .mnistPoints, .rotatedMNISTPoints].contains(self)
      }
    }
    /// What is to be predicted.
    public enum Task: String, Codable, Sendable, CaseIterable {
      /// The class.
      case classify
      /// The image, from a noisy and partly erased one.
      case restore
      /// The positions of particles ten frames later.
      case forecast
    }
    public var kind = Kind.rotatedMNIST
    /// What makes the images of MNIST harder, if anything.
    public var variant = DigitVariant.plain
    public var task = Task.classify
    /// Folder, or images file for `idx`, or folder of inputs for `pairs`.
    public var path = "Benchmarks/Data"
    /// Labels file for `idx`, folder of targets for `pairs`.
    public var targets = ""
    /// The fraction held out for validation, where the data have no split of their own.
    public var valid: Float = 0.1
    /// How many points a set has; `particles` always have 5.
    public var points = 100
    /// How many training examples are used, 0 for all.
    public var limit = 0
  }

  /// What a model sees.
  public struct Input: Codable, Sendable, Equatable {
    public var size = 28
    public var channels = 1
  }

  /// How the pose is found.
  public struct Canonicalizer: Codable, Sendable, Equatable {
    public enum Kind: String, Codable, Sendable, CaseIterable {
      case learned, orbit, steerable, energy, adaptive, frame, pca
      case pcaSign = "pca-sign"
      case pcaLearned = "pca-learned"
      case gradient
      case identity

      /// Whether a network finds the pose.
      public var isLearned: Bool {
        isFinite || [.steerable, .energy, .adaptive, .frame, .pcaLearned].contains(self)
      }

      /// Whether a network scores the elements of a finite group.
      public var isFinite: Bool { self == .learned || self == .orbit }
    }
    /// The order that the points of a set are brought to, after the frame.
    public enum Order: String, Codable, Sendable, CaseIterable {
      case none, lexicographic, norm, hilbert, sort, assignment
    }
    /// Where the middle of an image is: as it came, its center of mass, or what a network finds.
    public enum Center: String, Codable, Sendable, CaseIterable { case none, mass, learned }
    public enum Gradient: String, Codable, Sendable, CaseIterable {
      case straightThrough = "straight-through"
      case mixture
    }
    /// Whether members are put in order and nothing else: nothing is claimed of motions in space.
    var isOrderAlone: Bool { kind == .identity && order != .none }
    /// Whether in training too outputs are those of a whole frame; learned poses are learned one at a time.
    var trainsFrame: Bool { frame > 1 && !kind.isLearned }
    public var kind = Kind.learned
    /// `C` or `D` and a number, as in `C8`; for `steerable` `SO2` or `O2`; for `energy` `SO2`, `SE2`,
    /// `similarity` or `affine`; for sets of points `SO`, `O`, `SE` or `E` and the dimension, as in `E3`.
    public var group = "C8"
    public var kernel = 5
    public var groupKernel = 1
    public var channels = 16
    public var layers = 3
    public var batchNorm = true
    /// What of an image is first shifted to its middle.
    public var center = Center.none
    /// Whether an image is first scaled to a common size.
    public var scale = false
    /// Whether the pose is refined between the elements of a finite group.
    public var refine = false
    /// Over how many poses outputs are averaged: the best ones, or, of a heuristic, its ties.
    public var frame = 1
    /// The mean pose of upright images, in degrees: forms are shown turned by it, as the command `poses`
    /// measures it.
    public var turn: Float = 0
    /// How many features `orbit` compares with its reference, and the weight that keeps those of an
    /// image's different poses apart.
    public var features = 1
    public var contrast: Float = 0
    /// From how many angles an `energy` is descended, and in how many steps.
    public var starts = 4
    public var steps = 10
    public var order = Order.none
    /// How many nearest points a learned `frame` looks at from each, 0 for none.
    public var neighbors = 0
    /// The fraction of a `frame`'s vectors that are dropped in training.
    public var dropout: Float = 0
    /// How the vectors of a `frame` are made orthonormal.
    public var orthonormalization = Orthonormalization.gramSchmidt
    /// How the features of `steerable` are bent.
    public var nonlinearity = SteerableNonlinearity.norm
    public var gradient = Gradient.straightThrough
    /// How many poses the mixture has.
    public var poses = 4
    public var temperature: Float = 1
    /// The weight of the prior's cross entropy, for upright training data.
    public var prior: Float = 0
    /// The weight of the pose's consistency under turns, for `steerable`.
    public var consistency: Float = 0
    /// How many turned copies poses of `steerable` are averaged over, not in training.
    public var copies = 1
    /// How strongly images of a class are pulled to a common pose, 0 for not at all.
    public var alignment: Float = 0
    public var frozen = false
    public var border = BorderPolicy.zero
  }

  /// The network behind it.
  public struct Backbone: Codable, Sendable, Equatable {
    public enum Kind: String, Codable, Sendable, CaseIterable {
      case paperCNN = "paper-cnn"
      case smallCNN = "small-cnn"
      case mlp, unet, pointnet, particles
    }
    public var kind = Kind.paperCNN
    /// The channels of the first stage, for `small-cnn` and `unet`; hidden units for `mlp`.
    public var width = 32
    /// A model, the backbone of which is the start; empty for random weights.
    public var from = ""
    /// Whether it stays as it was: then only the canonicalizer learns, from its own losses alone.
    public var frozen = false
  }

  /// How it is trained.
  public struct Training: Codable, Sendable, Equatable {
    public enum Rule: String, Codable, Sendable, CaseIterable { case adamw, adam, sgd }
    public enum Decline: String, Codable, Sendable, CaseIterable {
      case constant, step, cosine
      case oneCycle = "one-cycle"
    }
    public var epochs = 20
    /// From how many random initial states a run begins: the best one on the validation part after
    /// `startEpochs` goes on.
    public var starts = 1
    public var startEpochs = 2
    /// Every how many epochs the model is measured on the validation part, the last one included.
    public var validEvery = 1
    public var batch = 128
    public var optimizer = Rule.adamw
    public var rate: Float = 1e-3
    public var weightDecay: Float = 0.01
    public var schedule = Decline.cosine
    public var labelSmoothing: Float = 0
    /// The largest norm of the gradient, 0 for any.
    public var clip: Float = 0
    /// Whether training images are turned at random anew each time.
    public var augment = false

    public init() {}

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

  public init() {}

  /// Reads a file.
  ///
  /// - Throws: `ConfigurationError`, naming the line and, for an unknown key, the nearest valid one.
  public init(path: String) throws(ConfigurationError) {
    guard let text = try? String(contentsOfFile: path, encoding: .utf8) else {
      throw ConfigurationError(path, nil, "the file cannot be read; check the path")
    }
    try self.init(text: text, source: path)
  }

  /// Reads a text.
  public init(text: String, source: String) throws(ConfigurationError) {
    var top = try ConfigurationReader(text: text, source: source)
    name = try top.text("name", default: name)
    seed = try top.integer("seed", default: seed, in: 0...Int.max)

    var section = try top.section("data")
    data.kind = try section.choice("kind", default: data.kind)
    data.variant = try section.choice("variant", default: data.variant)
    if data.variant != .plain && !data.kind.isMNIST {
      throw section.failure("'variant' is for the digits of MNIST")
    }
    data.task = try section.choice(
      "task",
      default: data.kind == .pairs ? .restore : data.kind == .particles ? .forecast : .classify)
    data.points = try section.integer(
      "points", default: data.kind == .particles ? 5 : data.kind == .bodies ? 256 : 100,
      in: data.kind == .particles ? 5...5 : 4...4096)
    data.path = try section.text("path", default: data.path)
    data.targets = try section.text("targets", default: data.targets)
    data.valid = try section.number("valid", default: data.valid, in: 0.01...0.9)
    data.limit = try section.integer("limit", default: data.limit, in: 0...100_000_000)
    if (data.kind == .pairs || data.kind == .idx) && data.targets.isEmpty {
      throw section.failure("data of kind '\(data.kind.rawValue)' need 'targets' beside 'path'")
    }
    if (data.kind == .folder && data.task == .restore)
      || (data.kind == .pairs && data.task != .restore)
      || (data.kind == .particles) != (data.task == .forecast)
      || (data.kind.dimension != nil && data.task == .restore)
    {
      throw section.failure(
        "data of kind '\(data.kind.rawValue)' cannot serve the task '\(data.task.rawValue)'")
    }
    try section.finish()

    section = try top.section("input")
    input.size = try section.integer("size", default: input.size, in: 4...1024)
    input.channels = try section.integer("channels", default: input.channels, in: 1...3)
    if input.channels == 2 { throw section.failure("'channels' must be 1 or 3") }
    try section.finish()

    section = try top.section("canonicalizer")
    try readCanonicalizer(&section)

    section = try top.section("backbone")
    backbone.kind = try section.choice(
      "kind",
      default: data.task == .restore
        ? .unet
        : data.task == .forecast
          ? .particles : data.kind.dimension == nil ? backbone.kind : .pointnet)
    let usualWidth = [.mlp: 512, .unet: 16, .particles: 64][backbone.kind] ?? 32
    backbone.width = try section.integer("width", default: usualWidth, in: 1...4096)
    backbone.from = try section.text("from", default: backbone.from)
    backbone.frozen = try section.flag("frozen", default: backbone.frozen)
    if backbone.frozen && (backbone.from.isEmpty || !teachesItself) {
      throw section.failure(
        "a 'frozen' backbone needs a model to come 'from', and a canonicalizer with a 'prior'")
    }
    let takesPoints = [.pointnet, .particles].contains(backbone.kind)
    if (backbone.kind == .unet) != (data.task == .restore)
      || (backbone.kind == .particles) != (data.task == .forecast)
      || backbone.kind != .mlp && takesPoints != (data.kind.dimension != nil)
    {
      throw section.failure(
        "backbone '\(backbone.kind.rawValue)' cannot serve the task '\(data.task.rawValue)' on "
          + "'\(data.kind.rawValue)'")
    }
    if backbone.kind == .paperCNN && input.size < 22 {
      throw section.failure("'paper-cnn' needs images of at least 22 pixels, not \(input.size)")
    }
    if backbone.kind == .unet && input.size % 4 != 0 {
      throw section.failure("'unet' needs a size divisible by 4, not \(input.size)")
    }
    try section.finish()

    if largestWeight > 1 << 28 {
      throw top.failure("a layer would have \(largestWeight) weights; reduce sizes or channels")
    }

    section = try top.section("training")
    try readTraining(&section)
    try top.finish()
  }

  private mutating func readTraining(
    _ section: inout ConfigurationReader
  ) throws(ConfigurationError) {
    var t = training
    t.epochs = try section.integer("epochs", default: t.epochs, in: 1...100_000)
    t.starts = try section.integer("starts", default: t.starts, in: 1...1000)
    t.startEpochs = try section.integer("startEpochs", default: t.startEpochs, in: 1...1000)
    t.validEvery = try section.integer("validEvery", default: t.validEvery, in: 1...10_000)
    if t.starts > 1 && t.startEpochs >= t.epochs {
      throw section.failure("'startEpochs' is \(t.startEpochs) of only \(t.epochs) epochs")
    }
    t.batch = try section.integer("batch", default: t.batch, in: 2...65_536)
    t.optimizer = try section.choice("optimizer", default: t.optimizer)
    t.rate = try section.number("rate", default: t.rate, in: 1e-8...100)
    t.weightDecay = try section.number("weightDecay", default: t.weightDecay, in: 0...10)
    t.schedule = try section.choice("schedule", default: t.schedule)
    t.labelSmoothing = try section.number("labelSmoothing", default: t.labelSmoothing, in: 0...0.9)
    t.clip = try section.number("clip", default: t.clip, in: 0...1e6)
    t.augment = try section.flag("augment", default: t.augment)
    training = t
    try section.finish()
  }

  /// The configuration as YAML with every value given, which `init(text:source:)` reads back.
  public var yaml: String {
    let encoder = YAMLEncoder()
    encoder.options.sortKeys = false
    return (try? encoder.encode(self)) ?? ""
  }

  /// Whether the canonicalizer has a loss of its own.
  private var teachesItself: Bool { canonicalizer.kind.isLearned && canonicalizer.prior > 0 }

  /// The loss of the task.
  public var loss: Loss {
    data.task == .classify
      ? .crossEntropy(labelSmoothing: training.labelSmoothing) : .binaryCrossEntropy
  }
}
