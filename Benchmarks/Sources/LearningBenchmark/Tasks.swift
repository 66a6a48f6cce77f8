import Foundation
import Settings
import Training

/// What kind of method it is: tables compare the kinds.
enum MethodKind: String, Codable, CaseIterable {
  case none, augmentation, heuristic, frozen, learned, frame

  /// The color of the kind, the same in all pictures.
  var color: Int { MethodKind.allCases.firstIndex(of: self) ?? 0 }
}

/// How much is done: `quick` in half an hour, `full` with the paper's sizes.
enum Size: String { case quick, full }

/// One way to a model: what it says of the configuration, and what it begins with.
struct Method: Sendable {
  let name: String
  let kind: MethodKind
  /// The method whose trained model is measured with this one's settings.
  let from: String?
  /// The method whose backbone it has, which stays as it is.
  let backboneFrom: String?
  /// Its part of the configuration.
  let configuration: SettingsValue

  var isFromScratch: Bool { from == nil && backboneFrom == nil }
}

/// Data, a backbone, and the methods that are compared on them: a file of `configs/bench`.
struct Task: Sendable {
  let id, title, text: String
  /// The part of the configuration that all methods share.
  let configuration: SettingsValue
  let methods: [Method]
  /// Other data whose test part is measured on, such as turned digits.
  let testData: String?
  fileprivate let place: Int

  /// The configuration of a method.
  ///
  /// - Parameter path: The model whose backbone it has.
  func yaml(_ method: Method, seed: Int, backboneFrom path: String? = nil) -> String {
    var all = configuration.overridden(by: method.configuration)
    if let path {
      let backbone = SettingsValue.mapping([
        .init("from", .text(path)), .init("frozen", .flag(true)),
      ])
      all = all.overridden(by: .mapping([.init("backbone", backbone)]))
    }
    return SettingsValue.mapping([.init("name", .text(id)), .init("seed", .integer(seed))])
      .overridden(by: all).yaml
  }
}

extension Task {
  /// The task with some of its methods, and those that they begin with; all of them for no name.
  func keeping(_ names: [String]) -> Task {
    guard !names.isEmpty else { return self }
    var wanted = Set(names)
    for method in methods where wanted.contains(method.name) {
      wanted.formUnion([method.from, method.backboneFrom].compactMap { $0 })
    }
    return Task(
      id: id, title: title, text: text, configuration: configuration,
      methods: methods.filter { wanted.contains($0.name) }, testData: testData, place: place)
  }

  /// The tasks of a folder, in their order.
  ///
  /// - Parameters:
  ///   - folder: Holds a file a task, and its `methods.yaml` or that of the folder above.
  ///   - digits: The folder of MNIST's IDX files.
  /// - Throws: `SettingsError` or `BenchmarkError`.
  static func all(in folder: String, _ size: Size, digits: String) throws -> [Task] {
    let known =
      try [folder, folder + "/.."].map { "\($0)/methods.yaml" }
      .first { FileManager.default.fileExists(atPath: $0) }.map(tree) ?? .mapping([])
    let files = try FileManager.default.contentsOfDirectory(atPath: folder)
      .filter { $0.hasSuffix(".yaml") && $0 != "methods.yaml" }
    return try files.compactMap { file in
      try task("\(folder)/\(file)", String(file.dropLast(5)), size, known, digits: digits)
    }.sorted { $0.place < $1.place }
  }

  private static func tree(_ path: String) throws -> SettingsValue {
    guard let text = try? String(contentsOfFile: path, encoding: .utf8) else {
      throw BenchmarkError(description: "\(path) cannot be read; run from the project's folder")
    }
    return try SettingsValue(yaml: text, source: path)
  }

  private static func task(
    _ path: String, _ id: String, _ size: Size, _ known: SettingsValue, digits: String
  ) throws -> Task? {
    let all = try tree(path)
    if let only = all["only"]?.text, only != size.rawValue { return nil }
    var shared = all["configuration"] ?? .mapping([])
    if let own = all[size.rawValue] { shared = shared.overridden(by: own) }
    if shared["data"]?["path"] != nil {
      shared = shared.overridden(
        by: .mapping([.init("data", .mapping([.init("path", .text(digits))]))]))
    }
    guard case .list(let entries)? = all["methods"], let title = all["title"]?.text else {
      throw BenchmarkError(description: "\(path) needs a 'title' and a list of 'methods'")
    }
    return Task(
      id: id, title: title, text: all["text"]?.text ?? "", configuration: shared,
      methods: try entries.compactMap { try method($0, size, known, path) },
      testData: all["testData"]?.text, place: Int(all["place"]?.text ?? "") ?? 0)
  }

  private static func method(
    _ entry: SettingsValue, _ size: Size, _ known: SettingsValue, _ path: String
  ) throws -> Method? {
    var value = entry
    if case .text(let name) = entry {
      guard let found = known[name] else {
        throw BenchmarkError(description: "\(path): no method '\(name)' in methods.yaml")
      }
      value = SettingsValue.mapping([.init("name", entry)]).overridden(by: found)
    }
    if let only = value["only"]?.text, only != size.rawValue { return nil }
    if let own = value[size.rawValue] { value = value.overridden(by: own) }
    guard case .mapping(let keys) = value, let name = value["name"]?.text,
      let kind = MethodKind(rawValue: value["kind"]?.text ?? "")
    else {
      throw BenchmarkError(
        description: "\(path): '\(entry.text)' needs a 'name', and a 'kind' of "
          + MethodKind.allCases.map(\.rawValue).joined(separator: ", "))
    }
    let own = ["name", "kind", "from", "backboneFrom", "only", "quick", "full"]
    return Method(
      name: name, kind: kind, from: value["from"]?.text, backboneFrom: value["backboneFrom"]?.text,
      configuration: .mapping(keys.filter { !own.contains($0.key) }))
  }
}
