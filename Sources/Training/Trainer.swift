import Autodiff
public import Datasets
import Foundation
import Layers
public import MessagePassing
import Optimizers
public import TensorCore

/// What can stop a training run, in a sentence that says what to do.
public struct TrainingError: Error, CustomStringConvertible {
  public let description: String
  /// Whether every process of a run meets it.
  public let isOfAll: Bool

  public init(_ description: String, isOfAll: Bool = false) {
    (self.description, self.isOfAll) = (description, isOfAll)
  }

  static func unwritable(_ path: String) -> TrainingError {
    TrainingError("\(path) cannot be written; check its permission and the free space.")
  }
}

/// A training run: a model, its optimizer's state, and how far it has come.
///
/// Order, dropout and augmentation of a step follow from the seed and the step's number alone, so
/// that a run that is saved and resumed goes on bit for bit, with any number of threads.
public struct Trainer {
  public let model: any TrainableModel
  /// What is learned from, prepared for the model.
  public let data: Dataset
  public let settings: TrainingOptions
  public let seed: Int
  /// Texts that checkpoints and models carry.
  private let metadata: [String: String]
  /// The model of another start.
  private let fresh: @Sendable (Int) throws -> any TrainableModel
  /// How many steps are done from the present start.
  public var step: Int { learner.step }
  /// The sum of the losses of the running epoch's steps.
  public private(set) var epochLoss = 0.0
  /// The quality, on the validation part, after the best epoch so far.
  public private(set) var best: Quality?
  /// After which epoch that was.
  private var bestEpoch = 0
  private var learner: Learner
  /// The pieces of a batch, where there are several.
  private let pieces: BatchPieces?
  private var bestTensors: [String: Tensor]
  /// The order of the running epoch, which follows from its number.
  private var order: (epoch: Int, indices: [Int]) = (-1, [])

  /// The state after the best start so far, while there are several.
  private var bestStart: (selection: Double, state: [String: Tensor])?
  /// Which of the starts the run is in.
  public private(set) var start = 0

  /// A run of any model.
  ///
  /// `fresh`: Makes the model of another of several starts.
  /// `metadata`: Texts that checkpoints and models carry.
  /// `processes`: Those that do its steps together, all with the same arguments; their number divides that of the pieces.
  /// - Precondition: A batch can be cut into as many equal pieces.
  /// - Throws: `DatasetError` where the data have not what the model needs.
  public init(
    _ model: any TrainableModel, data: Dataset, settings: TrainingOptions = TrainingOptions(),
    seed: Int = 0, metadata: [String: String] = [:], among processes: (any Communicator)? = nil,
    fresh: (@Sendable (Int) throws -> any TrainableModel)? = nil
  ) throws(DatasetError) {
    require(data.train.count > 0, "nothing to train on: \(data.train.inputs.shape)")
    let settings = settings.resolved(for: data.trainCount)
    (self.model, self.settings, self.seed) = (model, settings, seed)
    let batch = min(settings.batch, data.trainCount)
    require(batch % settings.pieces == 0, "a batch of \(batch) in \(settings.pieces) pieces")
    pieces =
      settings.pieces > 1 || processes != nil ? BatchPieces(settings.pieces, among: processes) : nil
    var train = try model.prepared(data.train)
    if settings.classWeights == .balanced {
      guard data.stream == nil else {
        throw .lacking("'training.classWeights' need data that are kept, and these are streamed")
      }
      train = try train.balanced(data.classNames.count)
    }
    self.data = Dataset(
      train: train, valid: try model.prepared(data.valid), classNames: data.classNames,
      errors: data.errors, stream: data.stream)
    var texts = metadata
    texts["data"] = data.fingerprint
    self.metadata = texts
    self.fresh = fresh ?? { _ in model }
    learner = Learner(
      model.parameters.map(\.parameter), rule: settings.rule, clip: settings.clip)
    bestTensors = model.tensors
  }

  /// A run of a configuration's model.
  ///
  /// - Throws: `DatasetError`, `WeightsError`, `SettingsError`; `TrainingError` where a batch is more than there is.
  public init(
    _ configuration: RunConfiguration, data: Dataset, among processes: (any Communicator)? = nil
  ) throws {
    let configuration = try configuration.resolved(for: data.trainCount).validated()
    let batch = configuration.training.batch
    guard data.trainCount >= max(2, batch) else {
      let few =
        "There are \(data.trainCount) examples to train on beside \(data.valid.count) for validation, too few"
      throw TrainingError(
        data.trainCount < 4
          ? few + "."
          : few
            + " for a batch of \(batch); set 'training.batch' to \(max(2, data.trainCount / 8)) or leave it away."
      )
    }
    let count = configuration.training.pieces
    guard batch % count == 0 else {
      throw TrainingError(
        "a batch of \(batch) cannot be cut into \(count) equal pieces; set 'training.batch' to a multiple of 'training.pieces'."
      )
    }
    if let processes, count % processes.count != 0 {
      throw TrainingError(
        "\(processes.count) processes cannot share \(count == 1 ? "one piece" : "\(count) pieces") of a batch alike; start \((1...count).filter { count % $0 == 0 }.map(String.init).joined(separator: ", ")), or begin anew with 'training.pieces' (and 'training.batch') a multiple of \(processes.count)."
      )
    }
    let model = try configuration.makeModel(classNames: data.classNames)
    try self.init(
      model, data: data, settings: configuration.training, seed: configuration.seed,
      metadata: model.safetensors(configuration, classNames: data.classNames).metadata,
      among: processes
    ) { try configuration.makeModel(classNames: data.classNames, start: $0) }
  }

  /// How many steps an epoch has; a last incomplete batch is left out.
  public var stepsPerEpoch: Int { max(1, data.trainCount / settings.batch) }
  /// The steps of a run from one start.
  private var stepsPerRun: Int { stepsPerEpoch * settings.epochs }
  private var stepsPerStart: Int { stepsPerEpoch * settings.startEpochs }
  /// All steps, those of starts that are given up too.
  public var totalSteps: Int { stepsPerRun + (settings.starts - 1) * stepsPerStart }
  /// How many of them are done.
  public var doneSteps: Int { start * stepsPerStart + step }
  /// How many epochs are complete.
  public var epoch: Int { step / stepsPerEpoch }
  public var isFinished: Bool { step >= stepsPerRun || hasEndedEarly }
  /// Whether nothing has become better for as many epochs as the patience lasts.
  public var hasEndedEarly: Bool {
    settings.patience > 0 && isAtEpochEnd && best != nil && start == settings.starts - 1
      && bestStart == nil && epoch - bestEpoch >= settings.patience
  }
  /// Whether an epoch has just ended.
  public var isAtEpochEnd: Bool { step % stepsPerEpoch == 0 }
  /// Whether it is time to validate: at the end of every `validEvery`-th epoch, of a start, of the run.
  public var isValidationDue: Bool {
    isAtEpochEnd
      && (epoch % settings.validEvery == 0 || isFinished || isAtStartEnd)
  }
  /// Whether the run chooses among starts now.
  private var isAtStartEnd: Bool {
    (start < settings.starts - 1 || bestStart != nil) && step == stepsPerStart
  }

  /// Does one step.
  ///
  /// - Returns: The loss of the step's batch.
  /// - Throws: `TrainingError` where the loss is not a number: the parameters are those before.
  @discardableResult
  public mutating func advance() throws(TrainingError) -> Float {
    let (batch, place) = (min(settings.batch, data.trainCount), step % stepsPerEpoch)
    if place == 0 { epochLoss = 0 }
    if order.epoch != epoch {
      var shuffle = RandomStream(seed: UInt64(seed), name: "order/\(epoch)")
      order = (epoch, Array(0..<data.trainCount).shuffled(using: &shuffle))
    }
    let chosen = Array(order.indices[place * batch..<(place + 1) * batch])
    let rate = settings.rate * settings.decline.factor(step: step, total: stepsPerRun)
    let loss: Float
    if let pieces {
      loss = try advance(by: chosen, in: pieces, rate: rate)
    } else {
      let tape = Tape.training(random: RandomStream(seed: UInt64(seed), name: "step/\(step)"))
      let result = model.loss(try examples(chosen), on: tape)
      loss = try checked(result.value.scalar)
      learner.step(down: result, on: tape, rate: rate)
    }
    epochLoss += Double(loss)
    return loss
  }

  private func examples(_ chosen: [Int]) throws(TrainingError) -> Examples {
    do {
      return try data.stream.map { stream throws(DatasetError) in
        try model.prepared(stream(chosen, epoch: epoch))
      } ?? data.train.gathered(chosen)
    } catch { throw TrainingError("at step \(step + 1): \(error)") }
  }

  private func checked(_ loss: Float) throws(TrainingError) -> Float {
    guard loss.isFinite else {
      throw TrainingError(
        "the loss at step \(step + 1) is not a number; lower 'rate' or set 'clip', "
          + "and begin anew.", isOfAll: true)
    }
    return loss
  }

  /// A step whose batch is computed in pieces, each on a thread of its own.
  private mutating func advance(
    by chosen: [Int], in pieces: BatchPieces, rate: Float
  ) throws(TrainingError) -> Float {
    let size = chosen.count / pieces.count
    var parts: [Examples] = []
    for n in pieces.own { parts.append(try examples(Array(chosen[n * size..<(n + 1) * size]))) }
    let (losses, gradients) = pieces.gradients(of: model, on: parts, learner) { [seed, step] in
      RandomStream(seed: UInt64(seed), name: "step/\(step)/\($0)")
    }
    let loss = try checked(Float(losses.reduce(0, +) / Double(losses.count)))
    learner.step(by: gradients, rate: rate)
    return loss
  }

  /// Measures the model on the validation part, and remembers it if it is the best so far.
  ///
  /// At the end of a start, goes on to the next one, or with the best.
  ///
  /// - Throws: `TrainingError` where the outputs are not numbers.
  @discardableResult
  public mutating func validate() throws(TrainingError) -> Quality {
    (model as? any ReferringModel)?.remember(data)
    let quality = model.quality(on: data.valid, among: pieces?.processes)
    let isSound = model.parameters.allSatisfy { $0.parameter.value.isFinite }
    guard quality.loss.isFinite && isSound else {
      throw TrainingError(
        "weights, or outputs on the validation part, after step \(step) are not numbers; lower 'rate' or set 'clip', "
          + "and begin anew.", isOfAll: true)
    }
    if isAtStartEnd {
      // The loss, not the error: of a few hundred errors a tenth is chance.
      endStart(quality.loss)
      return quality
    }
    if quality.selection <= best?.selection ?? .infinity {
      // As good as before is not better, where it is asked how long nothing is.
      if quality.selection < best?.selection ?? .infinity { bestEpoch = epoch }
      best = quality
      bestTensors = model.tensors
    }
    return quality
  }

  private mutating func endStart(_ selection: Double) {
    if selection < bestStart?.selection ?? .infinity { bestStart = (selection, state) }
    do {
      if start + 1 < settings.starts {
        start += 1
        try model.assign(try fresh(start).tensors, path: "a new start")
        learner = Learner(learner.parameters, rule: learner.rule, clip: learner.clip)
      } else if let best = bestStart {
        // What follows begins where the best one ended.
        try restore(best.state, path: "the best start")
        bestStart = nil
        bestEpoch = epoch
      }
    } catch { requirementFailure("a model's own parameters: \(error)") }
  }

  /// The best model so far, by the validation part, as a file holds it.
  public func bestModel(figures: [String: Double] = [:]) -> Safetensors {
    var texts = metadata
    texts["figures"] = figures.filter(\.value.isFinite).json
    return Safetensors(tensors: bestTensors, metadata: texts)
  }

  /// Gives the model the parameters that did best on the validation part.
  public func restoreBest() throws(WeightsError) {
    try model.assign(bestTensors, path: "the best model")
  }
}

extension Trainer {
  /// The parameters and the optimizer's state.
  private var state: [String: Tensor] {
    var tensors = model.tensors
    for (entry, state) in zip(model.parameters, learner.states) {
      for (index, tensor) in state.enumerated() {
        tensors["optimizer/\(index)/\(entry.name)"] = tensor
      }
    }
    return tensors
  }

  private mutating func restore(_ tensors: [String: Tensor], path: String) throws(WeightsError) {
    try model.assign(tensors, path: path)
    var states: [[Tensor]] = []
    for (entry, state) in zip(model.parameters, learner.states) {
      var loaded: [Tensor] = []
      for index in state.indices {
        guard let tensor = tensors["optimizer/\(index)/\(entry.name)"],
          tensor.shape == state[index].shape
        else { throw WeightsError(path, "the optimizer's state of '\(entry.name)' is missing") }
        loaded.append(tensor)
      }
      states.append(loaded)
    }
    learner.states = states
  }

  /// All that is needed to go on: parameters, the optimizer's state, the best model, the position.
  public var checkpoint: Safetensors {
    var file = Safetensors(tensors: state, metadata: metadata)
    for (name, tensor) in bestTensors { file.tensors["best/\(name)"] = tensor }
    for (name, tensor) in bestStart?.state ?? [:] { file.tensors["start/\(name)"] = tensor }
    file.metadata["step"] = "\(step)"
    file.metadata["start"] = "\(start)"
    file.metadata["bestEpoch"] = "\(bestEpoch)"
    file.metadata["bestStart"] = bestStart.map { "\($0.selection.bitPattern)" }
    file.metadata["epochLoss"] = "\(epochLoss.bitPattern)"
    if let best {
      let numbers = [
        best.error ?? .nan, best.loss, best.calibrationError ?? .nan, best.errorSampling ?? .nan,
        best.lossSampling ?? .nan,
      ]
      file.metadata["best"] = numbers.map { "\($0.bitPattern)" }.joined(separator: " ")
    }
    return file
  }

  /// Goes back to a checkpoint.
  ///
  /// - Throws: `WeightsError` for one of another model, or damaged.
  public mutating func resume(from file: Safetensors, path: String) throws(WeightsError) {
    guard let step = file.metadata["step"].flatMap({ Int($0) }),
      let start = file.metadata["start"].flatMap({ Int($0) }),
      (0...stepsPerRun).contains(step), (0..<settings.starts).contains(start),
      let bits = file.metadata["epochLoss"].flatMap({ UInt64($0) })
    else { throw WeightsError(path, "it is not a checkpoint of a training run") }
    guard file.metadata["configuration"] == metadata["configuration"] else {
      throw WeightsError(path, "it belongs to a run with another configuration")
    }
    guard file.metadata["data"] == nil || file.metadata["data"] == metadata["data"] else {
      throw WeightsError(path, "the run's data have changed since it began; begin anew")
    }
    try restore(file.tensors, path: path)
    func part(_ prefix: String) -> [String: Tensor] {
      let names = file.tensors.keys.filter { $0.hasPrefix(prefix) }
      return Dictionary(
        uniqueKeysWithValues: names.compactMap { name in
          file.tensors[name].map { (String(name.dropFirst(prefix.count)), $0) }
        })
    }
    bestTensors.merge(part("best/")) { _, new in new }
    bestStart = file.metadata["bestStart"].flatMap { UInt64($0) }.map {
      (Double(bitPattern: $0), part("start/"))
    }
    let numbers = (file.metadata["best"] ?? "").split(separator: " ")
      .compactMap { UInt64($0).map(Double.init(bitPattern:)) }
    func number(_ place: Int) -> Double? {
      numbers.indices.contains(place) && !numbers[place].isNaN ? numbers[place] : nil
    }
    // Earlier files hold three numbers.
    best =
      numbers.count < 3
      ? nil
      : Quality(
        error: number(0), loss: numbers[1], calibrationError: number(2), errorSampling: number(3),
        lossSampling: number(4))
    learner.step = step
    self.start = start
    bestEpoch = file.metadata["bestEpoch"].flatMap { Int($0) } ?? 0
    guard (0...stepsPerRun).contains(bestEpoch) else {
      throw WeightsError(path, "it is not a checkpoint of a training run")
    }
    epochLoss = Double(bitPattern: bits)
  }
}

extension Examples {
  /// Prepared examples whose classes weigh alike: each one's target is as much more as its class is rarer.
  ///
  /// - Throws: `DatasetError` where targets are not those of classes alone.
  fileprivate func balanced(_ classes: Int) throws(DatasetError) -> Examples {
    guard let targets = self["targets"], labels.count == count,
      targets.shape.extents == [count, classes]
    else { throw .lacking("'training.classWeights' need a task that tells classes apart") }
    let sizes = Dictionary(labels.map { ($0, 1) }, uniquingKeysWith: +)
    let weights = labels.map { Float(count) / Float(sizes.count * (sizes[$0] ?? 1)) }
    return replacing(["targets": targets * Tensor(weights, shape: [count, 1])])
  }
}

extension [String: Double] {
  /// As JSON, keys in order.
  var json: String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    return (try? encoder.encode(self)).map { String(decoding: $0, as: UTF8.self) } ?? "{}"
  }
}
