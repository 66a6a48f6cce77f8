import Autodiff
public import Canonicalization
public import Datasets
public import Layers
public import Settings
public import Symmetry
public import TensorCore

/// The settings of `model: canonicalized`, the default: `task`, `canonicalizer` (one, or a list of steps) and `backbone`.
public struct CanonicalizedOptions: ModelOptions {
  public static let kind = "canonicalized"
  public static let summary = "Canonicalizers in front of a backbone."
  public static let canAugment = true

  /// A canonicalizer, what it begins with, and whether it keeps that.
  public struct StepOptions: Sendable {
    public var options: any CanonicalizerOptions
    /// A model whose canonicalizer is the start, or a class-pose model whose encoder is; empty for random weights.
    public var from = ""
    public var isFrozen = false
    /// The side and the channels of the images that it sees, averaged down; 0 for the images themselves.
    public var seenSize = 0
    public var seenChannels = 0
    /// By how many degrees poses turn at most that are undone; 0 for all.
    public var within: Float = 0

    public init(_ options: any CanonicalizerOptions, isFrozen: Bool = false) {
      (self.options, self.isFrozen) = (options, isFrozen)
    }

    /// What it sees of a domain.
    func seen(_ domain: any Domain) -> any Domain {
      guard seenSize > 0, var images = domain as? ImageDomain else { return domain }
      images.size = seenSize
      if seenChannels > 0 { images.channels = seenChannels }
      return images
    }

    /// Reads the keys of all canonicalizers, and its own.
    public mutating func read(
      _ keys: inout Keys, for domain: any Domain
    ) throws(SettingsError) {
      if domain is ImageDomain {
        try keys.read(
          "seenSize", &seenSize, in: 0...1024,
          "the side of the images that it sees, averaged down; 0: the images themselves")
        if seenSize > 0 || keys.lists {
          try keys.read(
            "seenChannels", &seenChannels, in: 0...3, "their channels, 1 or 3; 0: as they are")
        }
        guard seenChannels != 2, seenSize == 0 || seenSize >= 8 else {
          throw keys.failure(
            "images that are seen have 8 pixels or more and 1 or 3 channels, not \(seenSize) and \(seenChannels)"
          )
        }
      }
      try keys.read(
        "within", &within, in: 0...180,
        "degrees: only poses that turn by no more are undone, the others left as they came, so that a 6 is no 9; 0: all"
      )
      try options.read(&keys, for: seen(domain))
      try readStart(&keys)
      if seenSize > 0, type(of: options).isLearned, !isFrozen, options.prior == 0 {
        throw keys.failure(
          "with 'seenSize' only a 'prior' teaches a canonicalizer: the task's gradient does not reach it"
        )
      }
    }

    /// Makes the canonicalizer, of the images that it sees.
    public func make(
      _ build: CanonicalizerBuild
    ) throws(SettingsError) -> any TrainableCanonicalizer {
      let made = try makeWhole(build)
      guard within > 0 else { return made }
      guard
        let partial = made.within(Double(within) * .pi / 180, of: build.domain.inputs)
      else {
        throw Keys().failure(
          "'within' is for canonicalizers that turn, and '\(type(of: options).kind)' does not")
      }
      return partial
    }

    /// What undoes all poses.
    private func makeWhole(
      _ build: CanonicalizerBuild
    ) throws(SettingsError) -> any TrainableCanonicalizer {
      guard seenSize > 0, let images = build.domain as? ImageDomain,
        let seen = seen(images) as? ImageDomain
      else { return try options.make(build) }
      let made = try options.make(
        CanonicalizerBuild(
          domain: seen, classes: build.classes, seed: build.seed, occurrence: build.occurrence))
      guard let small = made as? any ImageCanonicalizer else {
        throw Keys().failure("'seenSize' is for canonicalizers that turn and reflect images")
      }
      return small.reduced(seeing: seen, border: images.border)
    }

    /// Reads the keys of all canonicalizers that learn.
    public mutating func readStart(_ keys: inout Keys) throws(SettingsError) {
      guard type(of: options).isLearned else { return }
      try keys.read(
        "from", &from, "a model whose canonicalizer, or class-pose encoder, is the start")
      try keys.read("frozen", &isFrozen, "keep the initial weights")
      // What is frozen has nothing to be taught by.
      if isFrozen, let key = options.teaching.first {
        throw keys.failure("'\(key)' does nothing for a 'frozen' canonicalizer")
      }
    }
  }

  /// What a backbone begins with.
  public struct Start: Sendable {
    /// A model whose backbone is the start; empty for random weights.
    public var from = ""
    public var isFrozen = false

    public init() {}

    /// Reads the keys of all backbones.
    public mutating func read(_ keys: inout Keys) throws(SettingsError) {
      try keys.read("from", &from, "a model whose backbone is the start")
      try keys.read("frozen", &isFrozen, "keep its weights")
    }
  }

  public var task: any Objective = ClassificationTask()
  /// The canonicalizers, in order; `nil` for the usual one.
  public var steps: [StepOptions]?
  public var backbone: any BackboneOptions = PaperCNNOptions()
  public var start = Start()
  /// The mean pose of upright images, in degrees: forms are shown turned by it.
  public var recenter: Float = 0
  private var isRead = false

  public init() {}

  public var structure: [UInt8]? {
    get { backbone.structure }
    set { backbone.structure = newValue }
  }

  public mutating func read(
    _ keys: inout Keys, top: inout Keys, data: any DatasetOptions, catalog: Catalog
  ) throws(SettingsError) {
    let domain = data.domain
    let wasRead = isRead
    isRead = true

    var section = try top.open("task")
    let taskType = try section.options(
      among: catalog.tasks, kind: { $0.kind }, default: wasRead ? type(of: task).kind : data.task)
    if taskType != type(of: task) { task = taskType.init() }
    try task.read(&section, for: domain)
    try top.close("task", section)

    let isClassification = task.presentation == .classes
    let usual = domain is ImageDomain ? LearnedOptions.kind : VectorNeuronOptions.kind
    let old = steps
    var new: [StepOptions] = []
    try top.list("canonicalizer", count: old?.count ?? 1) { (inner, place) throws(SettingsError) in
      let own = old.flatMap { place < $0.count ? $0[place] : nil }
      let found = try inner.options(
        among: catalog.canonicalizers, kind: { $0.kind },
        default: own.map { type(of: $0.options).kind } ?? usual)
      var step =
        own.flatMap { type(of: $0.options) == found ? $0 : nil } ?? StepOptions(found.init())
      try step.read(&inner, for: domain)
      if !isClassification && step.options.teaching.contains("alignment") {
        throw inner.failure("'alignment' needs classes, which the task does not tell")
      }
      new.append(step)
    }
    steps = new
    if task.presentation == .poses, !new.contains(where: { $0.options.prior > 0 && !$0.isFrozen }) {
      throw top.failure("'task: pose' needs a canonicalizer that learns, with a 'prior'")
    }
    for step in new.dropLast() where step.options.average > 1 {
      throw top.failure("only the last canonicalizer can 'average' over several poses")
    }

    section = try top.open("backbone")
    let backboneType = try section.options(
      among: catalog.backbones, kind: { $0.kind },
      default: wasRead ? type(of: backbone).kind : task.backbone(for: domain))
    if backboneType != type(of: backbone) { backbone = backboneType.init() }
    try backbone.read(&section, for: domain, output: task.outputShape(for: domain, classes: 0))
    try start.read(&section)
    if start.isFrozen && start.from.isEmpty && !backbone.hasWeights {
      throw section.failure("a 'frozen' backbone needs a model to come 'from'")
    }
    if start.isFrozen && !new.contains(where: { type(of: $0.options).isLearned && !$0.isFrozen }) {
      throw section.failure(
        "nothing is left to learn: the backbone is 'frozen', and no canonicalizer learns")
    }
    try top.close("backbone", section)

    if domain is ImageDomain {
      try top.read(
        "recenter", &recenter, in: -360...360,
        "degrees by which forms are shown turned; `canon poses --recenter` sets it")
    }
  }

  public func make(_ build: ModelBuild) throws(SettingsError) -> any TrainableModel {
    try makeModel(build)
  }

  /// Makes the model with random weights, which follow from the seed.
  public func makeModel(_ build: ModelBuild) throws(SettingsError) -> CanonicalizedModel {
    let classes = task.presentation == .classes ? build.classNames : []
    var random = RandomStream(seed: build.seed, name: "backbone")
    let network = try backbone.make(
      input: build.domain.shape,
      output: task.outputShape(for: build.domain, classes: classes.count), using: &random)
    var made: [Step] = []
    var kinds: [String] = []
    for step in steps ?? [] {
      let kind = type(of: step.options).kind
      let canonicalizer = try step.make(
        CanonicalizerBuild(
          domain: build.domain, classes: classes.count, seed: build.seed,
          occurrence: kinds.count { $0 == kind }))
      made.append(
        Step(
          canonicalizer, average: step.options.average, prior: step.options.prior,
          isFrozen: step.isFrozen))
      kinds.append(kind)
    }
    return CanonicalizedModel(
      Steps(made, of: build.domain), backbone: network, task: task, domain: build.domain,
      classNames: classes, isBackboneFrozen: start.isFrozen,
      recentering: Double(recenter) * .pi / 180, augmentation: build.augmented)
  }

  public func load(into model: any TrainableModel) throws(WeightsError) {
    guard let model = model as? CanonicalizedModel else { return }
    if !start.from.isEmpty {
      let (content, path) = try ModelFile.content(of: start.from)
      try load(model.backbone.parameters, from: content, path, "backbone", ["backbone"])
    }
    for (place, step) in (steps ?? []).enumerated() where !step.from.isEmpty {
      let (content, path) = try ModelFile.content(of: step.from)
      try CanonicalizedOptions.checkFit(
        content, path, step.seen(model.domain), place: place, isOfParts: step.options.isOfParts)
      // Of a model with several canonicalizers that of the same place; or its only one, or an encoder.
      try load(
        model.steps.steps[place].canonicalizer.parameters, from: content, path, "canonicalizer",
        ["canonicalizer.\(place)", "canonicalizer.0", "backbone"])
    }
  }

  /// Refuses a start that was trained for other inputs, or to find another pose than the angle of an image.
  private static func checkFit(
    _ content: Safetensors, _ path: String, _ domain: any Domain, place: Int, isOfParts: Bool
  ) throws(WeightsError) {
    guard let yaml = content.metadata["configuration"],
      let made = try? RunConfiguration(text: yaml, source: path)
    else { return }
    // What the canonicalizer of the same place saw, or the only one.
    let steps = (made.model as? CanonicalizedOptions)?.steps ?? []
    let seen = (steps.indices.contains(place) ? steps[place] : steps.first)?.seen(made.data.domain)
    let learned = seen ?? made.data.domain
    guard learned.shape == domain.shape || isOfParts else {
      throw WeightsError(
        unfit: path, "it was trained on \(learned.text), and the inputs are \(domain.text)")
    }
    guard let encoder = made.model as? ClassPoseOptions else { return }
    let motion = (made.data as? MovedImagesOptions)?.by ?? .turns
    guard encoder.group == "SO2", encoder.action == .multiplication, motion == .turns else {
      throw WeightsError(
        unfit: path,
        "it learned \(encoder.group) by \(motion.rawValue), and a canonicalizer needs the angles of turns, SO2"
      )
    }
  }

  /// Gives parameters the values that a file has for them, below the first prefix that it knows.
  private func load(
    _ parameters: [(name: String, parameter: Parameter)], from content: Safetensors,
    _ path: String, _ part: String, _ prefixes: [String]
  ) throws(WeightsError) {
    let known = prefixes.first { prefix in
      parameters.allSatisfy { content.tensors["\(prefix).\($0.name)"] != nil }
    }
    for (name, parameter) in parameters {
      let tensor = content.tensors["\(known ?? prefixes[0]).\(name)"]
      guard let tensor, tensor.shape == parameter.value.shape,
        tensor.isFinite
      else {
        throw WeightsError(
          unfit: path,
          "its \(part) has no '\(name)' of \(parameter.value.shape); the kind, and settings like 'width', 'stride', 'head' and 'classDimensions', must be those of that model"
        )
      }
      parameter.value = tensor
    }
  }
}
