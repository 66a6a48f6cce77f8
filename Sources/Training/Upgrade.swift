import Settings
import TensorCore

/// What a file holds, in the present format: the one place that knows those before.
///
/// Format 1 had one flat canonicalizer: its kind, group and some 30 keys, a center, a scale and an order among
/// them, which are steps of their own now.
///
/// Formats 1 and 2 cut data without regard to classes.
///
/// - Throws: `WeightsError` for a format of a later version, or none.
func upgraded(_ file: Safetensors, path: String) throws(WeightsError) -> Safetensors {
  guard file.metadata["format"] != ModelFile.format, let yaml = file.metadata["configuration"]
  else {
    return file
  }
  let format = file.metadata["format"] ?? "none"
  guard ["canon 1", "canon 2"].contains(format) else {
    throw WeightsError(path, "its format is '\(format)', which this version does not know")
  }
  let old: SettingsValue
  do { old = try SettingsValue(yaml: yaml, source: path) } catch {
    throw WeightsError(path, "its configuration is wrong: \(error)")
  }
  var new = file
  new.metadata["format"] = ModelFile.format
  if format == "canon 2" {
    new.metadata["configuration"] = old.cutAsBefore.yaml
    return new
  }
  let upgrade = Upgrade(old)
  new.metadata["configuration"] = SettingsValue.mapping(upgrade.entries).yaml
  new.tensors = Dictionary(
    file.tensors.map { (upgrade.renamed($0.key), $0.value) }, uniquingKeysWith: { $1 })
  return new
}

extension SettingsValue {
  /// A configuration of format 2 with the split that it had.
  fileprivate var cutAsBefore: SettingsValue {
    guard ["folder", "pairs", "idx", "tensors"].contains(self["data"]?["kind"]?.text) else {
      return self
    }
    let split = Entry("data", .mapping([Entry("split", .text("shuffled"))]))
    return overridden(by: .mapping([split]))
  }
}

/// A configuration of format 1 as one of the present.
private struct Upgrade {
  typealias Entry = SettingsValue.Entry
  private(set) var entries: [Entry] = []
  /// The place of the main canonicalizer among the steps, and of a learned center.
  private var main = 0
  private var normalizers: [Int: Int] = [:]
  private var isComposed = false

  init(_ old: SettingsValue) {
    let (c, data) = (Section(old["canonicalizer"]), Section(old["data"]))
    let (training, backbone) = (Section(old["training"]), Section(old["backbone"]))
    let isPoints = ["mnist-points", "rotated-mnist-points", "bodies", "particles"].contains(
      data.kind)
    entries = ["name", "seed"].compactMap { key in old[key].map { Entry(key, $0) } }

    var source = data.picking(["kind", "path", "limit"])
    if data.kind.contains("mnist") { source += data.picking(["variant"]) }
    if ["folder", "pairs", "idx"].contains(data.kind) {
      source += data.picking(["valid"]) + [Entry("split", .text("shuffled"))]
    }
    if ["pairs", "idx"].contains(data.kind) { source += data.picking(["targets"]) }
    if ["particles", "bodies"].contains(data.kind) { source.removeAll { $0.key == "path" } }
    if isPoints && data.kind != "particles" { source += data.picking(["points"]) }
    let task = data["task"]?.text ?? "classify"
    if data.kind == "rotated-mnist" && task == "restore" {
      source.append(Entry("corrupted", .flag(true)))
    }
    entries.append(Entry("data", .mapping(source)))
    if !isPoints {
      entries.append(
        Entry(
          "input",
          .mapping(Section(old["input"]).picking(["size", "channels"]) + c.picking(["border"]))))
    }
    var objective = [Entry("kind", .text(task))]
    if task == "classify" { objective += training.picking(["labelSmoothing"]) }
    entries.append(Entry("task", .mapping(objective)))

    if c.kind == "adaptive" {
      let group = "C\(c["group"]?.text.dropFirst() ?? "1")"
      entries.append(
        Entry("model", .mapping([Entry("kind", .text("adaptive")), Entry("group", .text(group))])))
    } else {
      entries.append(Entry("canonicalizer", .list(steps(c, isPoints: isPoints))))
      if !isPoints, let turn = c["turn"] { entries.append(Entry("recenter", turn)) }
    }

    var network = backbone.picking(["kind"])
    if backbone.kind != "paper-cnn" { network += backbone.picking(["width"]) }
    if let from = backbone["from"]?.text, !from.isEmpty {
      network += backbone.picking(["from", "frozen"])
    }
    entries.append(Entry("backbone", .mapping(network)))

    var rest = training.picking(["epochs", "starts", "validEvery", "batch", "optimizer", "rate"])
    if training["starts"]?.text != "1" { rest += training.picking(["startEpochs"]) }
    if training["optimizer"]?.text != "adam" { rest += training.picking(["weightDecay"]) }
    rest += training.picking(["schedule", "clip", "augment"])
    if training["augment"] == .flag(true) && isPoints {
      let group = c["group"]?.text ?? ""
      let groups =
        data.kind == "mnist-points" ? "S" : data.kind == "particles" ? group : group + "+S"
      rest.append(Entry("augmentBy", .text(groups)))
    }
    entries.append(Entry("training", .mapping(rest)))
  }

  /// The steps of a flat canonicalizer.
  private mutating func steps(_ c: Section, isPoints: Bool) -> [SettingsValue] {
    var steps: [SettingsValue] = []
    func step(_ kind: String, _ more: [Entry] = []) -> SettingsValue {
      .mapping([Entry("kind", .text(kind))] + more)
    }
    let center = c["center"]?.text ?? "none"
    if center != "none" { steps.append(step(center == "mass" ? "center" : "learned-center")) }
    if c["scale"] == .flag(true) { steps.append(step("scale")) }
    for place in steps.indices { normalizers[place] = place }
    main = steps.count
    if c.kind == "energy" { normalizers = [-1: main] }
    let order = c["order"]?.text ?? "none"
    isComposed = isPoints && order != "none" && c.kind != "identity"
    if !(isPoints && c.kind == "identity" && order != "none") {
      var keys = Upgrade.keys[isPoints ? "points/\(c.kind)" : c.kind] ?? []
      if c["gradient"]?.text != "mixture" { keys.removeAll { $0 == "poses" } }
      if c["layers"]?.text == "1" { keys.removeAll { $0 == "groupKernel" } }
      if c["refine"] == .flag(true) { keys.removeAll { $0 == "frame" } }
      if c.kind == "frame" && Float(c["dropout"]?.text ?? "0") == 0 {
        keys.removeAll { $0 == "frame" }
      }
      let renamed = ["frame": "average", "starts": "descents"]
      let more = c.picking(keys).map { Entry(renamed[$0.key] ?? $0.key, $0.value) }
      steps.append(step(c.kind == "frame" ? "vector-neurons" : c.kind, more))
    }
    switch order {
    case "none": break
    case "sort": steps.append(step("learned-sort", c.picking(["temperature"])))
    case "assignment": steps.append(step("assignment", c.picking(["temperature"])))
    default: steps.append(step("sort", [Entry("by", .text(order))]))
    }
    return steps
  }

  /// The keys that each kind honored.
  private static let keys: [String: [String]] = [
    "learned": [
      "group", "kernel", "groupKernel", "channels", "layers", "batchNorm", "refine", "frame",
      "gradient", "poses", "temperature", "prior", "alignment", "frozen",
    ],
    "orbit": [
      "group", "channels", "features", "contrast", "refine", "frame", "gradient", "poses",
      "temperature", "prior", "alignment", "frozen",
    ],
    "steerable": [
      "group", "channels", "nonlinearity", "consistency", "copies", "prior", "alignment",
    ],
    "energy": ["group", "channels", "starts", "steps"],
    "pca": ["frame"], "pca-learned": ["channels"],
    "points/frame": [
      "group", "channels", "layers", "batchNorm", "neighbors", "dropout", "orthonormalization",
      "frame", "frozen", "prior",
    ],
    "points/pca": ["group", "frame"], "points/pca-sign": ["group"],
    "points/pca-learned": ["group", "channels"],
  ]

  /// The present name of a tensor: steps are numbered.
  func renamed(_ name: String) -> String {
    // Checkpoints keep further copies under prefixes.
    for prefix in ["best/", "start/", "optimizer/0/", "optimizer/1/"] where name.hasPrefix(prefix) {
      return prefix + renamed(String(name.dropFirst(prefix.count)))
    }
    if name.hasPrefix("normalizer.") {
      let rest = name.dropFirst("normalizer.".count)
      if let energy = normalizers[-1] { return "canonicalizer.\(energy).\(rest)" }
      return "canonicalizer.\(rest)"
    }
    guard name.hasPrefix("canonicalizer.") else { return name }
    let rest = name.dropFirst("canonicalizer.".count)
    if isComposed {
      for (part, place) in [("first.", main), ("second.", main + 1)] where rest.hasPrefix(part) {
        return "canonicalizer.\(place).\(rest.dropFirst(part.count))"
      }
    }
    return "canonicalizer.\(main).\(rest)"
  }
}

/// A mapping of a configuration.
private struct Section {
  let value: SettingsValue
  init(_ value: SettingsValue?) { self.value = value ?? .mapping([]) }

  subscript(key: String) -> SettingsValue? { value[key] }
  var kind: String { value["kind"]?.text ?? "" }

  func picking(_ keys: [String]) -> [SettingsValue.Entry] {
    keys.compactMap { key in value[key].map { SettingsValue.Entry(key, $0) } }
  }
}
