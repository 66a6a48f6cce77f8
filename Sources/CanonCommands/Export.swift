import ArgumentParser
import Canonicalization
import Datasets
import Foundation
import ONNX
import Settings
import Symmetry
import TensorCore
import Training

struct Export: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "export",
    abstract:
      "Writes a model as one ONNX network: canonicalizer, warp, backbone and restored output.",
    discussion: """
      The network runs wherever ONNX runs. It takes `images`, any number of them, channels first and 0 to 1 (of sets of points, \
      `points`), and gives `scores` (probabilities of classes) or `restored` (other results, in the pose that the input came \
      in), `pose` (a matrix and a shift, from form to input, in pixels from the middle), `margin` and `form`; of sets that are \
      sorted, `order` too. Its metadata name the classes, the task and the canonicalizer.

      Before anything is written it is carried out here, beside the model, on inputs of DATA or drawn ones; what does not give \
      the same is not written. Poses between which the model itself hardly decides may differ: it breaks ties by an image's \
      exact normal form, the network takes the first.

      EXAMPLES
        canon export runs/c8 c8.onnx
        canon export runs/c8 c8.onnx --check my-images
        canon export runs/c8 c8.onnx --check test --limit 10000 \\
          --reference c8.safetensors
        canon info c8.onnx
      """)

  @Argument(
    help:
      "A model: a .safetensors file, a folder of `canon train`, or one that comes with canon (photos)."
  )
  var model: String

  @Argument(help: "The .onnx file to write.")
  var out: String

  @Option(help: "A folder of inputs to compare on, or the word test (default: drawn ones).")
  var check: String?

  @Option(help: "On how many inputs both are compared (default: 32, of large images 4).")
  var limit: Int?

  @Option(help: "Where to write these inputs and what the model gives, to compare elsewhere.")
  var reference: String?

  @Flag(help: "Print one line of JSON.")
  var json = false

  @OptionGroup var common: CommonOptions

  private struct Report: Encodable {
    var path: String
    var bytes, opset, nodes, checked, samePoses, agreeing: Int
    var largestDifference, largestFormDifference: Double
  }

  func validate() throws {
    try requireFlag("--limit", limit, atLeast: 1)
    guard limit ?? 1 <= 1_000_000 else {
      throw ValidationError("--limit must be 1000000 at most, not \(limit ?? 0).")
    }
    guard out.lowercased().hasSuffix(".onnx") else {
      throw ValidationError("The network's name must end in .onnx, and \(out) does not.")
    }
    guard reference?.hasSuffix(".safetensors") != false else {
      throw ValidationError("--reference must name a file that ends in .safetensors.")
    }
  }

  func run() throws {
    common.apply()
    try refuse(out, overwriting: model)
    if let reference {
      try refuse(reference, overwriting: model, out)
      guard !FileManager.default.fileExists(atPath: reference) else {
        throw CommandError("\(reference) is there already; name another file.")
      }
    }
    if FileManager.default.fileExists(atPath: out) {
      let isOwn = (try? ONNXModel(path: out))?.metadata["canon.task"] != nil
      guard isOwn else {
        throw CommandError(
          "\(out) is there already, and canon did not export it; name another file.")
      }
    }
    let loaded = try LoadedModel(model)
    guard let canonicalized = loaded.model as? CanonicalizedModel else {
      throw CommandError(
        "\(model) is of the family '\(type(of: loaded.file.configuration.model).kind)'; 'canonicalized' alone is exported."
      )
    }
    try requireExportable(canonicalized, loaded)
    var metadata: [String: String] = [:]
    if let steps = loaded.file.configuration.resolved["canonicalizer"] {
      metadata["canon.canonicalizer"] = steps.without(["from", "path"]).jsonLine
    }
    if let least = loaded.file.figures[Calibrate.figure] {
      metadata["canon.minMargin"] = "\(least)"
    }
    let export: ONNXExport
    do { export = try canonicalized.exported(metadata: metadata) } catch let error as NotExportable
    {
      throw CommandError("\(model): \(error.description)")
    } catch let error as ONNXError { throw CommandError("\(model): \(error.description)") }
    let bytes = try export.serialized()
    let expected = canonicalized.reference(for: try inputs(loaded))
    guard ["scores", "restored"].allSatisfy({ expected[$0]?.isFinite ?? true }) else {
      throw CommandError(
        "\(model) gives what is no number for \(check ?? "drawn inputs"): nothing is written.")
    }
    let compared: ExportCheck
    do { compared = try ExportCheck(bytes, with: expected) } catch {
      throw CommandError("\(model) cannot be exported. \(error.description)")
    }
    try judge(compared)
    if let reference { try prepareFolder(Files.parent(of: reference)) }
    try prepareFolder(Files.parent(of: out))
    if let reference {
      try Safetensors(tensors: expected, metadata: metadata).write(to: reference)
    }
    try Files.replace(out, by: bytes) { CommandError("\(out) cannot be written (\($0)).") }
    let nodes = export.operators.values.reduce(0, +)
    if json {
      return try emit(
        Report(
          path: out, bytes: bytes.count, opset: export.opset, nodes: nodes,
          checked: compared.inputs, samePoses: compared.samePoses, agreeing: compared.agreeing,
          largestDifference: compared.largestDifference,
          largestFormDifference: compared.largestFormDifference
        ).jsonLine)
    }
    let results =
      canonicalized.task.presentation == .poses
      ? "" : "results off by \(compared.largestDifference.scientific) of the largest, "
    try emit(
      """
      \(out): opset \(export.opset), \(nodes) nodes, \(bytes.count / 1024) KiB
      compared here on \(compared.inputs) \(check.map { "of \($0)" } ?? "drawn inputs"): the same pose for \(compared.samePoses), \(results)\
      forms by \(compared.largestFormDifference.scientific)
      """)
    if let reference { try emit("\(reference): these inputs, and what the model gives") }
    if !common.quiet { note("Next: canon info \(out)") }
  }

  /// Refuses canonicalizers that cannot be written down, by the names that they have in a configuration.
  private func requireExportable(_ model: CanonicalizedModel, _ loaded: LoadedModel) throws {
    let options = (loaded.file.configuration.model as? CanonicalizedOptions)?.steps ?? []
    for (step, option) in zip(model.steps.steps, options)
    where !(step.canonicalizer is any ExportableCanonicalizer) {
      let kind = type(of: option.options).kind
      throw CommandError(
        "\(self.model): '\(kind)' is not exported: it finds poses by steps that depend on what they find, for which ONNX has no operators."
      )
    }
  }

  /// Inputs to compare on.
  private func inputs(_ loaded: LoadedModel) throws -> Tensor {
    let size = loaded.model.domain.shape.reduce(1, *)
    // Of large images a few say as much as many of small ones.
    let limit = self.limit ?? (size > 64 * 64 * 3 ? 4 : 32)
    guard let check else {
      // The inputs, their forms, and what is computed on the way.
      guard limit <= MemoryLimit.bytes / (64 * size) else {
        throw CommandError("\(limit) inputs take more than memory allows; give --limit less.")
      }
      var random = RandomStream(seed: 0, name: "export check")
      let shape = Shape([limit] + loaded.model.domain.shape)
      return loaded.domain is ImageDomain
        ? .uniform(shape, using: &random) : .normal(shape, using: &random)
    }
    let found = try loaded.examples(check, limit: limit)
    guard found.examples.count > 0 else { throw CommandError("\(check) holds no inputs.") }
    return found.examples.inputs
  }

  private func judge(_ compared: ExportCheck) throws {
    guard !compared.isAccepted else { return }
    throw CommandError(
      "Carried out here, the network finds the model's pose for \(compared.samePoses) of \(compared.inputs) inputs, and gives what the model gives for \(compared.agreeing) alone (results off by up to \(compared.largestDifference.scientific) of the largest): nothing is written."
    )
  }
}

extension Double {
  /// Two digits and a power of ten.
  fileprivate var scientific: String { String(format: "%.1e", self) }
}

extension SettingsValue {
  /// Without some keys, at any depth.
  fileprivate func without(_ keys: Set<String>) -> SettingsValue {
    switch self {
    case .list(let values): .list(values.map { $0.without(keys) })
    case .mapping(let entries):
      .mapping(
        entries.filter { !keys.contains($0.key) }.map { entry in
          var entry = entry
          entry.value = entry.value.without(keys)
          return entry
        })
    default: self
    }
  }
}
