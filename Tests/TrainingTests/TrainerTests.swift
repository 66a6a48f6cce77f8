import Autodiff
import Canonicalization
import Datasets
import Foundation
import Images
import Layers
import Optimizers
import Settings
import Symmetry
import TensorCore
import TestSupport
import Testing
import Training

/// A folder of two classes of small images: bars and blobs, in random poses.
func makeFolder(_ name: String, count: Int = 40) throws -> String {
  let path = FileManager.default.temporaryDirectory.path + "/canon-train-\(name)"
  try? FileManager.default.removeItem(atPath: path)
  var random = RandomStream(seed: 1, name: "folder")
  for n in 0..<count {
    let isBar = n % 2 == 0
    let angle = 2 * Float.pi * random.uniform()
    let (c, s) = (cos(angle), sin(angle))
    let samples = (0..<144).map { i -> UInt16 in
      let (x, y) = (Float(i % 12) - 5.5, Float(i / 12) - 5.5)
      let (u, v) = (x * c + y * s, -x * s + y * c)
      let isInside = isBar ? abs(v) < 1.2 && u > -2 && u < 5 : u * u + v * v < 8 && u > -2
      return (isInside ? 200 : 20) + UInt16(20 * random.uniform())
    }
    let folder = "\(path)/\(isBar ? "bar" : "blob")"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    try Image(width: 12, height: 12, channels: 1, samples: samples).write(to: "\(folder)/\(n).png")
  }
  return path
}

/// A run on such a folder; what is no canonicalizer is a family of models.
private func configuration(_ folder: String, _ canonicalizer: String) throws -> RunConfiguration {
  try RunConfiguration(
    text: """
      name: tiny
      data: {kind: folder, path: \(folder), valid: 0.2}
      input: {size: 12}
      \(canonicalizer.contains("adaptive") ? "model" : "canonicalizer"): \(canonicalizer)
      backbone: {kind: small-cnn, width: 4}
      training: {epochs: 20, batch: 8, rate: 0.01}
      """, source: "test")
}

private let kinds = [
  "{kind: learned, group: C8, kernel: 12, layers: 1, channels: 1, gradient: mixture, poses: 2}",
  "{kind: learned, group: D4, kernel: 5, layers: 2, channels: 3, prior: 0.1}",
  "{kind: pca-sign}",
  "{kind: pca-learned, channels: 2}",
  "[center, {kind: pca, average: 2}]",
  "{kind: adaptive, group: C4}",
  "[learned-center, scale, pca-sign]",
  "{kind: energy, group: SO2, descents: 2, steps: 3, channels: 2}",
  "{kind: orbit, group: C8, channels: 2, features: 3, contrast: 0.1, refine: true, alignment: 0.1}",
  "{kind: learned, group: C4, kernel: 5, layers: 3, channels: 8, batchNorm: false}",
]

@Suite struct TrainerTests {
  @Test("Training lowers the loss, for every kind of canonicalizer", arguments: kinds)
  func learns(canonicalizer: String) throws {
    let folder = try makeFolder("learns-\(canonicalizer.count)")
    let settings = try configuration(folder, canonicalizer)
    var trainer = try Trainer(settings, data: try settings.loadData())
    let parameters = trainer.model.parameters.filter(\.parameter.isTrainable)
    let start = parameters.map(\.parameter.value)
    var losses: [Float] = []
    while !trainer.isFinished { losses.append(try trainer.advance()) }
    // The gradient reaches every part; but what is added to an energy moves no minimum.
    for (entry, value) in zip(parameters, start) where entry.name != "canonicalizer.0.5.bias" {
      #expect(largestDifference(entry.parameter.value, value) > 0, "\(entry.name) has not moved")
    }
    let (first, last) = (losses.prefix(4).reduce(0, +) / 4, losses.suffix(4).reduce(0, +) / 4)
    #expect(last < 0.7 * first, "\(first) → \(last)")
    #expect((try trainer.validate().error ?? 1) <= 0.25)
  }

  @Test(
    "A run that is saved and resumed, with other threads, goes on bit for bit", arguments: kinds)
  func resumes(canonicalizer: String) throws {
    let folder = try makeFolder("resumes-\(canonicalizer.count)")
    let settings = try configuration(folder, canonicalizer)
    let data = try settings.loadData()
    var whole = try Trainer(settings, data: data)
    var half = try Trainer(settings, data: data)
    for step in 1...10 {
      try whole.advance()
      if step <= 6 { try half.advance() }
      if step == 4 { #expect(try whole.validate() == half.validate()) }
    }
    let path = folder + ".safetensors"
    try half.checkpoint.write(to: path)
    var resumed = try Trainer(settings, data: data)
    try resumed.resume(from: Safetensors(path: path), path: path)
    #expect(resumed.step == 6 && resumed.best == half.best)
    while resumed.step < 10 { try resumed.advance() }
    #expect(resumed.epochLoss == whole.epochLoss)
    #expect(resumed.checkpoint.tensors == whole.checkpoint.tensors)
  }

  @Test("Of several starts the best on the validation part goes on, resumed or not") func starts()
    throws
  {
    let folder = try makeFolder("starts")
    var settings = try configuration(folder, kinds[0])
    settings.training.epochs = 3
    settings.training.starts = 3
    settings.training.startEpochs = 2
    let data = try settings.loadData()
    var whole = try Trainer(settings, data: data)
    var (qualities, states): ([Double], [[String: Tensor]]) = ([], [])
    var saved: Safetensors?
    while !whole.isFinished {
      try whole.advance()
      guard whole.isAtEpochEnd else { continue }
      let ends = whole.step == 2 * whole.stepsPerEpoch
      if ends { states.append(whole.model.tensors) }
      let quality = try whole.validate()
      if ends { qualities.append(quality.loss) }
      if qualities.count == 2 && saved == nil { saved = whole.checkpoint }
      if qualities.count == 3 && ends {
        let best = qualities.indices.min { qualities[$0] < qualities[$1] } ?? 0
        #expect(whole.model.tensors == states[best])
      }
    }
    #expect(qualities.count == 3 && states[0] != states[1] && states[0] != states[2])
    #expect(whole.doneSteps == whole.totalSteps)
    #expect(whole.totalSteps == 7 * whole.stepsPerEpoch)
    var resumed = try Trainer(settings, data: data)
    try resumed.resume(from: try #require(saved), path: "saved")
    #expect(resumed.start == 2)
    while !resumed.isFinished {
      try resumed.advance()
      if resumed.isAtEpochEnd { try resumed.validate() }
    }
    #expect(resumed.checkpoint.tensors == whole.checkpoint.tensors)
  }

  @Test("It is time to validate every so many epochs, and at the end of each start and of the run")
  func validation() throws {
    let folder = try makeFolder("validation")
    var settings = try configuration(folder, kinds[0])
    settings.training.epochs = 8
    settings.training.validEvery = 3
    settings.training.starts = 2
    settings.training.startEpochs = 2
    var trainer = try Trainer(settings, data: try settings.loadData())
    var epochs: [Int] = []
    while !trainer.isFinished {
      try trainer.advance()
      guard trainer.isValidationDue else { continue }
      epochs.append(trainer.epoch)
      try trainer.validate()
    }
    #expect(epochs == [2, 2, 3, 6, 8])
  }

  @Test("A model that is saved and loaded predicts the same, bit for bit") func saves() throws {
    let folder = try makeFolder("saves")
    let settings = try configuration(folder, kinds[0])
    var trainer = try Trainer(settings, data: try settings.loadData())
    try trainer.advance()
    let path = folder + ".model.safetensors"
    try trainer.model.safetensors(
      settings, classNames: trainer.data.classNames, figures: ["x": 1.5]
    ).write(to: path)
    let file = try ModelFile(path: path)
    let model = try file.predictor()
    #expect(file.figures == ["x": 1.5] && model.classNames == ["bar", "blob"])
    let images = trainer.data.valid.inputs
    let before = try #require(trainer.model as? any Predictor)
    #expect(model.predict(images).output == before.predict(images).output)
  }

  @Test("Pairs of folders train an image-valued model, and IDX files a classifier") func otherData()
    throws
  {
    let folder = try makeFolder("pairs")
    let pairs = try RunConfiguration(
      text: """
        data: {kind: pairs, path: \(folder)/bar, targets: \(folder)/bar, valid: 0.2}
        input: {size: 12}
        canonicalizer: {kind: learned, group: D4, kernel: 12, layers: 1, channels: 1, gradient: mixture, poses: 2}
        backbone: {width: 4}
        training: {epochs: 3, batch: 8}
        """, source: "pairs")
    var trainer = try Trainer(pairs, data: try pairs.loadData())
    while !trainer.isFinished { try trainer.advance() }
    let images = trainer.data.valid.inputs
    let model = try #require(trainer.model as? CanonicalizedModel)
    #expect(model.predict(images).output.shape == images.shape)
    let elements = try #require(model.claims.elements)
    #expect(elements.count == 8)
    for g in elements {
      #expect(EquivarianceReport.row(for: g, model, images).output.maximum == 0)
    }
    let header: [UInt8] = [0, 0, 8, 3, 0, 0, 0, 20, 0, 0, 0, 5, 0, 0, 0, 4]
    let pixels = (0..<400).map { UInt8($0 % 251) }
    try Data(header + pixels).write(to: URL(fileURLWithPath: folder + ".images"))
    let labels = [0, 0, 8, 1, 0, 0, 0, 20] + (0..<20).map { UInt8($0 % 3) }
    try Data(labels).write(to: URL(fileURLWithPath: folder + ".labels"))
    let idx = try RunConfiguration(
      text: """
        data: {kind: idx, path: \(folder).images, targets: \(folder).labels}
        input: {size: 4}
        canonicalizer: {kind: gradient}
        backbone: {kind: mlp, width: 8}
        training: {epochs: 1, batch: 8}
        """, source: "idx")
    var classifier = try Trainer(idx, data: try idx.loadData())
    try classifier.advance()
    #expect(classifier.data.classNames == ["0", "1", "2"] && classifier.data.valid.count == 2)
  }

  @Test("A checkpoint of another run is refused") func refuses() throws {
    let folder = try makeFolder("refuses")
    var settings = try configuration(folder, kinds[2])
    let data = try settings.loadData()
    let file = try Trainer(settings, data: data).checkpoint
    settings.seed = 5
    var other = try Trainer(settings, data: data)
    #expect(throws: WeightsError.self) { try other.resume(from: file, path: "x") }
  }

  @Test("The verification finds exact elements exact, and a broken model broken") func verifies()
    throws
  {
    let folder = try makeFolder("verifies")
    let settings = try configuration(folder, kinds[1])
    let data = try settings.loadData()
    let model = try #require(try Trainer(settings, data: data).model as? CanonicalizedModel)
    let elements = try #require(model.claims.elements)
    #expect(elements.count == 8)
    for g in elements {
      let row = EquivarianceReport.row(for: g, model, data.valid.inputs)
      #expect(row.output.maximum == 0 && row.form.maximum == 0 && row.pose.maximum < 1e-9)
    }
    let plain = try #require(
      try Trainer(try configuration(folder, "{kind: identity}"), data: data).model
        as? CanonicalizedModel)
    let turn = Motion(isometry: PlanarIsometry(quarterTurns: 1))
    #expect(EquivarianceReport.row(for: turn, plain, data.valid.inputs).form.maximum > 0.1)
  }

  @Test("Too few examples, or one class only, is an error") func tooFew() throws {
    let folder = try makeFolder("few", count: 6)
    let settings = try configuration(folder, kinds[2])
    let error = #expect(throws: TrainingError.self) {
      try Trainer(settings, data: try settings.loadData())
    }
    #expect(error?.description.contains("'training.batch'") == true)
    #expect(throws: DatasetError.self) { try configuration(folder + "/bar", kinds[2]).loadData() }
  }

  @Test("Calibration: perfect confidence that is right has no error, and that is wrong all")
  func calibration() {
    var meter = QualityMeter()
    meter.add(probabilities: Tensor([1, 0, 0, 1], shape: [2, 2]), labels: [0, 0])
    let quality = meter.quality
    #expect(quality.error == 0.5 && abs((quality.calibrationError ?? 0) - 0.5) < 1e-9)
    // What is not a number is wrong, never a trap and never certain.
    meter.add(probabilities: Tensor([.nan, .nan], shape: [1, 2]), labels: [0])
    #expect(meter.quality.loss.isNaN && abs((meter.quality.error ?? 0) - 2.0 / 3) < 1e-9)
  }

  @Test("A diverging run ends with a sentence, wherever it shows first") func diverges() throws {
    var settings = try configuration(try makeFolder("diverges"), kinds[2])
    settings.training.optimizer = .sgd
    (settings.training.rate, settings.training.weightDecay, settings.training.batch) = (100, 10, 32)
    settings.training.epochs = 60
    var trainer = try Trainer(settings, data: try settings.loadData())
    let error = #expect(throws: TrainingError.self) {
      while !trainer.isFinished {
        try trainer.advance()
        if trainer.isValidationDue { try trainer.validate() }
      }
    }
    #expect(error?.description.contains("lower 'rate'") == true)
  }

  @Test("A run in a folder is what the command does, and goes on where it stopped") func runs()
    throws
  {
    let folder = try makeFolder("runs")
    var settings = try configuration(folder, kinds[0])
    settings.training.epochs = 4
    let (a, b) = (folder + "-a", folder + "-b")
    for path in [a, b] { try? FileManager.default.removeItem(atPath: path) }
    var whole = try TrainingRun(settings, folder: a)
    #expect(try whole.train())
    let figures = try whole.finish()
    #expect(figures["valid error"] != nil)
    var half = try TrainingRun(settings, folder: b)
    var asked = 0
    let isDone = try half.train(until: {
      asked += 1
      return asked > 6
    })
    #expect(!isDone && half.trainer.step == 6)
    #expect(throws: TrainingError.self) { try TrainingRun(settings, folder: b) }
    var rest = try TrainingRun(settings, folder: b, resuming: true)
    try rest.train()
    _ = try rest.finish()
    for file in ["model.safetensors", "metrics.jsonl", "configuration.yaml"] {
      #expect(
        FileManager.default.contentsEqual(atPath: "\(a)/\(file)", andPath: "\(b)/\(file)"),
        "\(file)")
    }
    settings.training.rate = 0.02
    #expect(throws: TrainingError.self) { try TrainingRun(settings, folder: b, resuming: true) }
    #expect(throws: TrainingError.self) {
      try TrainingRun(settings, folder: folder + "-none", resuming: true)
    }
  }

  @Test("A parameter that a layer forgets to list is named, not left untrained in silence")
  func forgotten()
    async
  {
    await #expect(processExitsWith: .failure) {
      let (known, hidden) = (Parameter(.ones([1])), Parameter(.ones([1])))
      var learner = Learner([known], rule: TrainingOptions().rule)
      let tape = Tape.training(random: RandomStream(seed: 0, name: "t"))
      learner.step(down: (tape(known) * tape(hidden)).sum(), on: tape, rate: 0.1)
    }
  }
}
