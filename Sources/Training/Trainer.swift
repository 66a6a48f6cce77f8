import Autodiff
import Canonicalization
import Layers
import Optimizers
import Symmetry
import TensorCore

/// What can stop a training run, in a sentence that says what to do.
public struct TrainingError: Error, CustomStringConvertible {
  public let description: String
}

/// A training run: a model, its optimizer's state, and how far it has come.
///
/// Order, dropout and augmentation of a step follow from the seed and the step's number alone, so
/// that a run that is saved and resumed goes on bit for bit, with any number of threads.
public struct Trainer {
  public let model: ImageModel
  public let data: TrainingData
  /// How many steps are done.
  public var step: Int { learner.step }
  /// The sum of the losses of the running epoch's steps.
  public private(set) var epochLoss = 0.0
  /// The quality, on the validation part, after the best epoch so far.
  public private(set) var best: Quality?
  private var learner: Learner
  private var bestTensors: [String: Tensor]
  /// The order of the running epoch, which follows from its number.
  private var order: (epoch: Int, indices: [Int]) = (-1, [])

  public init(_ configuration: RunConfiguration, data: TrainingData) {
    self.data = data
    model = ImageModel(configuration, classNames: data.classNames)
    learner = Learner(
      model.parameters.map(\.parameter), rule: configuration.training.rule,
      clip: configuration.training.clip)
    bestTensors = model.safetensors().tensors
  }

  private var configuration: RunConfiguration { model.configuration }

  /// How many steps an epoch has; a last incomplete batch is left out.
  public var stepsPerEpoch: Int { max(1, data.train.count / configuration.training.batch) }
  public var totalSteps: Int { stepsPerEpoch * configuration.training.epochs }
  /// How many epochs are complete.
  public var epoch: Int { step / stepsPerEpoch }
  public var isFinished: Bool { step >= totalSteps }

  /// Does one step.
  ///
  /// - Returns: The loss of the step's batch.
  /// - Throws: `TrainingError` where the loss is not a number: the parameters are those before.
  @discardableResult
  public mutating func advance() throws(TrainingError) -> Float {
    let settings = configuration.training
    let seed = UInt64(configuration.seed)
    let (batch, place) = (min(settings.batch, data.train.count), step % stepsPerEpoch)
    if place == 0 { epochLoss = 0 }
    if order.epoch != epoch {
      var shuffle = RandomStream(seed: seed, name: "order/\(epoch)")
      order = (epoch, Array(0..<data.train.count).shuffled(using: &shuffle))
    }
    let chosen = Array(order.indices[place * batch..<(place + 1) * batch])
    let tape = Tape.training(random: RandomStream(seed: seed, name: "step/\(step)"))
    let loss = batchLoss(chosen, tape)
    guard loss.value.scalar.isFinite else {
      throw TrainingError(
        description: "the loss at step \(step + 1) is not a number; lower 'rate' or set 'clip', "
          + "then resume from the last checkpoint.")
    }
    learner.step(
      down: loss, on: tape,
      rate: settings.rate * settings.decline.factor(step: step, total: totalSteps))
    epochLoss += Double(loss.value.scalar)
    return loss.value.scalar
  }

  private func batchLoss(_ chosen: [Int], _ tape: Tape) -> Variable {
    var inputs = data.train.inputs.gathered(chosen)
    var targets = data.train.targets.gathered(chosen)
    let isClassification = configuration.data.task == .classify
    if configuration.training.augment {
      let angles = tape.uniform([chosen.count]).elements
      let turns = angles.map { PlanarIsometry(residual: 2 * .pi * Double($0)) }
      inputs = model.action.act(turns, on: inputs)
      if !isClassification { targets = model.action.act(turns, on: targets) }
    }
    let forms = model.canonicalizer.trainingForms(Variable(inputs), on: tape)
    let goals =
      isClassification
      ? Variable(.concatenated([Tensor](repeating: targets, count: forms.count)))
      : forms.move(Variable(targets))
    let output = model.backbone(forms.forms, on: tape)
    var loss = forms.mixture(configuration.loss.perMember(output, goals)).mean()
    if isClassification, let alignmentLoss = forms.alignmentLoss {
      loss = loss + alignmentLoss(targets).mean()
    }
    if configuration.canonicalizer.prior > 0, let prior = forms.priorLoss {
      loss = loss + prior.mean() * configuration.canonicalizer.prior
    }
    return loss
  }

  /// Measures the model on the validation part, and remembers it if it is the best so far.
  public mutating func validate() -> Quality {
    let quality = model.quality(on: data.valid)
    if quality.selection <= best?.selection ?? .infinity {
      best = quality
      bestTensors = model.safetensors().tensors
    }
    return quality
  }

  /// The best model so far, by the validation part, as a file holds it.
  public func bestModel(figures: [String: Double] = [:]) -> Safetensors {
    var file = model.safetensors(figures: figures)
    file.tensors = bestTensors
    return file
  }

  /// Gives the model the parameters that did best on the validation part.
  public func restoreBest() throws(WeightsError) {
    try model.assign(bestTensors, path: "the best model")
  }
}

extension Trainer {
  /// All that is needed to go on: parameters, the optimizer's state, the best model, the position.
  public var checkpoint: Safetensors {
    var file = model.safetensors()
    for (name, tensor) in bestTensors { file.tensors["best/\(name)"] = tensor }
    for (entry, state) in zip(model.parameters, learner.states) {
      for (index, tensor) in state.enumerated() {
        file.tensors["optimizer/\(index)/\(entry.name)"] = tensor
      }
    }
    file.metadata["step"] = "\(step)"
    file.metadata["epochLoss"] = "\(epochLoss.bitPattern)"
    if let best {
      let numbers = [best.error ?? .nan, best.loss, best.calibrationError ?? .nan]
      file.metadata["best"] = numbers.map { "\($0.bitPattern)" }.joined(separator: " ")
    }
    return file
  }

  /// Goes back to a checkpoint.
  ///
  /// - Throws: `WeightsError` for one of another model, or damaged.
  public mutating func resume(from file: Safetensors, path: String) throws(WeightsError) {
    guard let step = file.metadata["step"].flatMap({ Int($0) }),
      let bits = file.metadata["epochLoss"].flatMap({ UInt64($0) })
    else { throw WeightsError(path, "it is not a checkpoint of a training run") }
    guard file.metadata["configuration"] == configuration.yaml else {
      throw WeightsError(path, "it belongs to a run with another configuration")
    }
    try model.assign(file.tensors, path: path)
    var states: [[Tensor]] = []
    for (entry, state) in zip(model.parameters, learner.states) {
      var loaded: [Tensor] = []
      for index in state.indices {
        guard let tensor = file.tensors["optimizer/\(index)/\(entry.name)"],
          tensor.shape == state[index].shape
        else { throw WeightsError(path, "the optimizer's state of '\(entry.name)' is missing") }
        loaded.append(tensor)
      }
      states.append(loaded)
    }
    learner.states = states
    for (name, tensor) in file.tensors where name.hasPrefix("best/") {
      bestTensors[String(name.dropFirst(5))] = tensor
    }
    let numbers = (file.metadata["best"] ?? "").split(separator: " ")
      .compactMap { UInt64($0).map(Double.init(bitPattern:)) }
    best =
      numbers.count == 3
      ? Quality(
        error: numbers[0].isNaN ? nil : numbers[0], loss: numbers[1],
        calibrationError: numbers[2].isNaN ? nil : numbers[2]) : nil
    learner.step = step
    epochLoss = Double(bitPattern: bits)
  }
}
