import Autodiff
import Datasets
import Foundation
import Images
import Layers
import Settings
import TensorCore
import Testing
import Training

/// What a user with a folder of a few hundred pictures needs.
@Suite struct FolderTrainingTests {
  private func run(_ folder: String, _ more: String = "") throws -> RunConfiguration {
    try RunConfiguration(
      text: """
        data: {kind: folder, path: \(folder)}
        input: {size: 12}
        canonicalizer: pca-sign
        backbone: {kind: mlp, width: 4}
        \(more)
        """, source: "test")
  }

  @Test(
    "Batch and epochs follow the number of examples: 600 steps, never an epoch of one",
    arguments: [(156, 16, 67), (10_000, 128, 20), (20, 4, 120), (2000, 128, 40), (3, 3, 200)])
  func resolved(count: Int, batch: Int, epochs: Int) {
    let options = TrainingOptions().resolved(for: count)
    #expect(options.batch == batch && options.epochs == epochs)
    var given = TrainingOptions()
    (given.batch, given.epochs) = (7, 9)
    #expect(given.resolved(for: count) == given)
  }

  @Test("Too few steps are said, with the key, and none where numbers follow from the images")
  func advice() throws {
    let folder = try makeFolder("advice")
    let out = folder + "-run"
    let few = try TrainingRun(
      try run(folder, "training: {batch: 32, epochs: 20}"), folder: out, isKept: false)
    #expect(few.advice?.contains("Only 20 steps") == true)
    #expect(few.advice?.contains("'training.batch' to 4") == true)
    let own = try TrainingRun(try run(folder), folder: out, isKept: false)
    #expect(own.advice == nil && own.trainer.totalSteps >= 600)
    #expect(own.configuration.yaml.contains("batch: 4"))
  }

  @Test("A broken image is skipped and counted; all others are learned from (newcomer 13)")
  func skipping() throws {
    let folder = try makeFolder("skipping")
    try Data("none".utf8).write(to: URL(fileURLWithPath: folder + "/bar/broken.png"))
    let data = try run(folder).loadData()
    #expect(data.errors.count == 1 && data.train.count + data.valid.count == 40)
    #expect(data.errors.first?.description.contains("broken.png") == true)
  }

  @Test("A split is stratified, its parts are disjoint, and the test part is what the key says")
  func splits() throws {
    // Thirty of one class and ten of the other.
    let folder = try makeFolder("splits", count: 60)
    for n in stride(from: 1, to: 60, by: 2) where n > 20 {
      try FileManager.default.removeItem(atPath: "\(folder)/blob/\(n).png")
    }
    var options = try #require(try run(folder).data as? FolderOptions)
    (options.split.valid, options.split.test) = (0.2, 0.2)
    let (data, test) = (try options.load(seed: 3), try #require(try options.test(seed: 3)))
    #expect(data.train.count == 24 && data.valid.count == 8 && test.count == 8)
    #expect(data.valid.labels.count { $0 == 1 } == 2 && test.labels.count { $0 == 1 } == 2)
    let rows = [data.train, data.valid, test].flatMap { part in
      (0..<part.count).map { part.inputs[$0].elements }
    }
    #expect(Set(rows).count == 40)
    options.split.test = 0
    #expect(try options.test(seed: 3) == nil)
    #expect(throws: SettingsError.self) {
      try RunConfiguration(
        text: "data: {kind: folder, path: x, valid: 0.6, test: 0.5}", source: "t")
    }
  }

  @Test("Balanced classes weigh alike in the loss, whatever their numbers are") func weights()
    throws
  {
    let folder = try makeFolder("weights", count: 60)
    for n in stride(from: 1, to: 60, by: 2) where n > 20 {
      try FileManager.default.removeItem(atPath: "\(folder)/blob/\(n).png")
    }
    let settings = try run(folder, "training: {classWeights: balanced}")
    let trainer = try Trainer(settings, data: try settings.loadData())
    let targets = try #require(trainer.data.train["targets"])
    let sums = targets.sum([0]).elements
    #expect(abs(sums[0] - sums[1]) < 1e-4 && abs(sums[0] - Float(targets.shape[0]) / 2) < 1e-3)
    // The validation part stays as it is.
    #expect(trainer.data.valid["targets"]?.elements.allSatisfy { $0 == 0 || $0 == 1 } == true)
    // Smoothing keeps a target's weight.
    let logits = Variable(Tensor([1, 2, 3], shape: [1, 3]))
    let one = Tensor([0, 1, 0], shape: [1, 3])
    let loss = Loss.crossEntropy(labelSmoothing: 0.1)
    let (single, double) = (
      loss.perMember(logits, one).value.elements[0],
      loss.perMember(logits, one * 2).value.elements[0]
    )
    #expect(abs(double - 2 * single) < 1e-6)
    let images = try RunConfiguration(
      text: """
        data: {kind: pairs, path: \(folder), targets: \(folder)}
        input: {size: 12}
        canonicalizer: pca
        backbone: {kind: unet, width: 2}
        training: {classWeights: balanced}
        """, source: "t")
    #expect(throws: DatasetError.self) { try Trainer(images, data: try images.loadData()) }
  }

  @Test("A run ends where nothing becomes better, and one that is resumed ends there too")
  func patience() throws {
    let folder = try makeFolder("patience")
    let settings = try run(folder, "training: {patience: 3, epochs: 100, rate: 1.0e-8, batch: 8}")
    func train(_ out: String, stopping: Int?) throws -> TrainingRun {
      var asked = 0
      var run = try TrainingRun(
        settings, folder: out, resuming: FileManager.default.fileExists(atPath: out))
      _ = try run.train(until: {
        asked += 1
        return asked == stopping
      })
      return run
    }
    let (a, b) = (folder + "-a", folder + "-b")
    for path in [a, b] { try? FileManager.default.removeItem(atPath: path) }
    let whole = try train(a, stopping: nil)
    #expect(whole.trainer.hasEndedEarly && whole.trainer.epoch < 20 && whole.trainer.isFinished)
    let half = try train(b, stopping: 9)
    #expect(!half.trainer.isFinished)
    let resumed = try train(b, stopping: nil)
    #expect(resumed.trainer.epoch == whole.trainer.epoch && resumed.trainer.hasEndedEarly)
  }

  @Test("A folder belongs to one run at a time (trust, two trains)") func locking() throws {
    let folder = try makeFolder("locking")
    let out = folder + "-run"
    try? FileManager.default.removeItem(atPath: out)
    let first = try TrainingRun(try run(folder), folder: out)
    let error = #expect(throws: TrainingError.self) {
      try TrainingRun(try self.run(folder, "seed: 1"), folder: out)
    }
    #expect(error?.description.contains("another run") == true)
    #expect(first.configuration.seed == 0)
  }

  @Test("Any key is overridden by a path, through lists and words alone") func changes() throws {
    let text = "training: {batch: 8}\ncanonicalizer: [center, {kind: learned, group: C8}]"
    func read(_ changes: String...) throws -> RunConfiguration {
      try RunConfiguration(text: text, source: "f.yaml", changes: changes)
    }
    let settings = try read(
      "training.batch=16", "seed=7", "canonicalizer.1.group=C4", "backbone=mlp", "data.limit=5")
    #expect(settings.training.batch == 16 && settings.seed == 7 && settings.limit == 5)
    #expect(settings.yaml.contains("group: C4") && settings.yaml.contains("kind: mlp"))
    for (change, complaint) in [
      ("training.bacth=1", "did you mean 'batch'?"), ("training", "a key and a value"),
      ("canonicalizer.2.group=C4", "no place in a list of 2"), ("seed=[", "not valid YAML"),
      ("training.batch=x", "must be a whole number"),
    ] {
      let error = #expect(throws: SettingsError.self) { try read(change) }
      #expect(error?.description.contains(complaint) == true, "\(error?.description ?? "")")
    }
    #expect(throws: SettingsError.self) { try read("name=../../evil") }
  }

  @Test("Files of format 2 keep the split that they were trained with") func formats() throws {
    let folder = try makeFolder("formats")
    let settings = try run(folder)
    let model = try settings.makeModel(classNames: ["bar", "blob"])
    var file = model.safetensors(settings, classNames: ["bar", "blob"])
    file.metadata["format"] = "canon 2"
    file.metadata["configuration"] = file.metadata["configuration"]?
      .replacing("  split: stratified\n", with: "").replacing("  test: 0\n", with: "")
    let path = folder + ".safetensors"
    try file.write(to: path)
    let old = try #require(try ModelFile(path: path).configuration.data as? FolderOptions)
    #expect(old.split.rule == .shuffled)
    #expect(TrainingOptions().resolved(for: 10_000).batch == 128)
  }

  @Test("Figures carry the sampling error of the examples that they are of (learning 3)")
  func sampling() {
    var meter = QualityMeter()
    meter.add(
      probabilities: Tensor([1, 0, 1, 0, 1, 0, 0, 1], shape: [4, 2]), labels: [0, 0, 0, 0])
    // A quarter of four: √(¼ · ¾ / 4 + 1 / (4 · 4²)) / (1 + ¼).
    #expect(abs((meter.quality.errorSampling ?? 0) - 0.2) < 1e-6)
    var right = QualityMeter()
    right.add(probabilities: Tensor([1, 0, 1, 0], shape: [2, 2]), labels: [0, 0])
    // None of two: ½ / 3. Nothing wrong among a few says little.
    #expect(right.quality.error == 0)
    #expect(abs((right.quality.errorSampling ?? 0) - 1.0 / 6) < 1e-9)
    var squares = QualityMeter()
    squares.add(
      outputs: Tensor([1, 2, 3, 4], shape: [4, 1]), targets: Tensor([0, 0, 0, 0], shape: [4, 1]))
    // 1, 4, 9, 16: the standard deviation, of n − 1, over √4.
    #expect(abs((squares.quality.lossSampling ?? 0) - 3.278_719) < 1e-5)
    #expect(squares.quality.loss == 7.5 && squares.quality.errorSampling == nil)
  }
}
