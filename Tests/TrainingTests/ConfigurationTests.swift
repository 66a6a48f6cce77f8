import Foundation
import Testing
import Training

private let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
  .deletingLastPathComponent().deletingLastPathComponent().path

@Suite struct ConfigurationTests {
  @Test("Every shipped configuration is valid, and reads back from what it resolves to")
  func shipped() throws {
    let files = try FileManager.default.contentsOfDirectory(atPath: root + "/configs")
    #expect(files.count >= 7)
    for file in files {
      let configuration = try RunConfiguration(path: "\(root)/configs/\(file)")
      #expect(configuration.name == file.replacing(".yaml", with: ""))
      #expect(try RunConfiguration(text: configuration.yaml, source: "resolved") == configuration)
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
    ("input: {size: 20}", "'paper-cnn' needs images of at least 22 pixels"),
    ("backbone: {kind: unet}", "cannot serve the task 'classify'"),
    ("data: {kind: idx}", "need 'targets'"),
    ("data: [1, 2]", "'data' must be a mapping"),
    ("name: [", "not valid YAML"),
    ("- a", "a mapping of keys to values is expected"),
  ]

  @Test("A mistake is named, with line and nearest valid key", arguments: mistakes)
  func mistake(text: String, complaint: String) {
    let error = #expect(throws: ConfigurationError.self) {
      try RunConfiguration(text: text, source: "run.yaml")
    }
    #expect(error?.description.contains(complaint) == true, "\(error?.description ?? "no error")")
    #expect(error?.description.hasPrefix("run.yaml") == true)
  }
}
