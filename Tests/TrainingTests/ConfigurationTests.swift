import Foundation
import Settings
import Testing
import Training

private let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
  .deletingLastPathComponent().deletingLastPathComponent().path

@Suite struct ConfigurationTests {
  @Test("Every shipped configuration is valid, and reads back from what it resolves to")
  func shipped() throws {
    let files = try FileManager.default.contentsOfDirectory(atPath: root + "/configs")
      .filter { $0.hasSuffix(".yaml") }
    #expect(files.count >= 30)
    for file in files {
      let configuration = try RunConfiguration(path: "\(root)/configs/\(file)")
      #expect(configuration.name == file.replacing(".yaml", with: ""))
      let yaml = configuration.yaml
      #expect(try RunConfiguration(text: yaml, source: "resolved").yaml == yaml, "\(file)")
    }
  }

  static let mistakes: [(text: String, complaint: String)] = [
    ("nmae: x", "unknown key 'nmae'; did you mean 'name'?"),
    ("name: x\ntraining:\n  epoch: 3", "line 3: unknown key 'epoch'; did you mean 'epochs'?"),
    ("training:\n  epochs: many", "line 2: 'epochs' is 'many' but must be a whole number"),
    ("training: {rate: -1}", "'rate' is '-1' but must be a number"),
    ("canonicalizer: {kind: leraned}", "did you mean 'learned'?"),
    ("canonicalizer: {group: Q8}", "'group' is 'Q8' but must be like C8 or D4"),
    ("canonicalizer: {kernel: 40}", "do not fit into 28 pixels"),
    ("canonicalizer: {group: D256, channels: 1024}", "reduce sizes or channels"),
    ("input: {channels: 2}", "'channels' must be 1 or 3"),
    ("data: {kind: drawn}\ninput: {size: 20}", "'paper-cnn' needs images of at least 22 pixels"),
    ("backbone: {kind: unet}", "'unet' makes images"),
    ("data: {kind: idx}", "need 'targets'"),
    ("data: [1, 2]", "'data' must be a mapping"),
    ("canonicalizer: {kind: gradient, refine: true}", "unknown key 'refine'"),
    ("canonicalizer: {kind: energy, frozn: true}", "did you mean 'frozen'?"),
    ("canonicalizer: {kind: learned, poses: 3}", "unknown key 'poses'"),
    ("canonicalizer: {kind: pca, prior: 1}", "unknown key 'prior'"),
    ("canonicalizer: [{kind: pca, average: 2}, center]", "only the last canonicalizer"),
    (
      "data: {kind: drawn}\ntask: keypoints\nbackbone: {kind: mlp, dropout: 1}",
      "unknown key 'dropout'"
    ),
    ("task: forecast", "'forecast' is for sets of points"),
    ("model: {kind: adaptive}\ncanonicalizer: pca", "unknown key 'canonicalizer'"),
    ("model: {kind: adaptive}\ntask: restore", "'kind' is 'restore' but must be one of classify"),
    ("training: {augment: true, augmentBy: E3}", "'augmentBy' has 'E3', which is no group"),
    ("training: {augment: true, augmentBy: +}", "'augment' needs groups"),
    ("training: 5", "line 1: unknown key 'kind'"),
    ("canonicalizer: {kind: learned, frozen: true, prior: 1}", "'prior' does nothing"),
    (
      "canonicalizer: {kind: orbit, frozen: true, gradient: mixture}",
      "'gradient: mixture' does nothing"
    ),
    (
      "data: drawn\ntask: keypoints\ncanonicalizer: {kind: orbit, alignment: 0.1}",
      "'alignment' needs classes"
    ),
    ("seed: 9223372036854775807", "'seed' is '9223372036854775807' but must be"),
    ("training: {rate: .nan}", "'rate' is '.nan' but must be a number"),
    ("name: a\nname: b", "duplicated key(s): 'name'"),
    ("input: {size: 12}", "digits of MNIST are of 28"),
    ("name: [", "not valid YAML"),
    ("- a", "a mapping of keys to values is expected"),
  ]

  @Test("A mistake is named, with line and nearest valid key", arguments: mistakes)
  func mistake(text: String, complaint: String) {
    let error = #expect(throws: SettingsError.self) {
      try RunConfiguration(text: text, source: "run.yaml")
    }
    #expect(error?.description.contains(complaint) == true, "\(error?.description ?? "no error")")
    #expect(error?.description.hasPrefix("run.yaml") == true)
  }

  @Test("Values that a program changes are checked as those of a file are") func changed() throws {
    var configuration = try RunConfiguration(
      text: "data: drawn\ntraining: {starts: 2, startEpochs: 2}", source: "test")
    configuration.training.epochs = 2
    #expect(throws: SettingsError.self) { try configuration.validated() }
    #expect(configuration.yaml.contains("drawn"))
  }

  @Test("The groups of an augmentation are written, by default those of the data")
  func augmentation() throws {
    let configuration = try RunConfiguration(
      text: "data: particles\ntraining: {augment: true}", source: "test")
    #expect(configuration.yaml.contains("augmentBy: E3"))
  }
}
