import ArgumentParser
import Canonicalization
import Datasets
import Foundation
import Layers
import ONNX
import Settings
import Symmetry
import TensorCore
import Training

struct Wrap: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "wrap",
    abstract:
      "Puts a canonicalizer in front of a network of an ONNX file: a model that is equivariant, without training.",
    discussion: """
      The model file carries the network: the .onnx file is not needed again, and commands that take models of images take it. \
      CANONICALIZER is a trained model, whose canonicalizer is taken; one that comes with canon (photos, pages); or one that needs no \
      training, by name or with settings, as in a configuration (`canon components`). The network must know images upright as \
      the canonicalizer leaves them: one that was trained by its prior does.

      How the network wants its pixels is not in its file. --normalization says it, or --mean and --deviation, of images from 0 \
      to 1; `canon info NETWORK --image IMAGE` shows what each says of an image that you know, and --check with --expect \
      refuses to write what is wrong about one.

      EXAMPLES
        canon wrap resnet18.onnx --canonicalizer photos \\
          --normalization imagenet --out upright.safetensors
        canon wrap resnet18.onnx --canonicalizer photos \\
          --normalization imagenet --classes names.txt --check cat.jpg \\
          --expect tabby --out upright.safetensors
        canon wrap digits.onnx --canonicalizer runs/prior \\
          --normalization none --out turned.safetensors
        canon wrap pages.onnx --canonicalizer text-lines \\
          --normalization none --out straight.safetensors
        canon predict turned.safetensors my-images
      """)

  @Argument(help: "The network, an .onnx file.")
  var network: String

  @Option(help: "A model, one that comes with canon, or the name of one that needs no training.")
  var canonicalizer: String

  @Option(help: "The model file to write.")
  var out: String

  @Option(
    help:
      "What the network tells: classify, segment, restore, … (default: what its output looks like)."
  )
  var task: String?

  @Option(help: "The side of its images in pixels, where its file leaves it free.")
  var size: Int?

  @Option(
    help:
      "How it wants pixels: 0 to 1 (none), by ImageNet's mean and deviation, −1 to 1 (symmetric), 0 to 255 (bytes)."
  )
  var normalization: Normalization?

  @Option(
    help: ArgumentHelp(
      "Taken from the numbers 0 to 1, of all channels or each.", valueName: "r,g,b"))
  var mean: String?

  @Option(help: ArgumentHelp("What they are divided by after that.", valueName: "r,g,b"))
  var deviation: String?

  @Flag(help: "It wants blue first.")
  var bgr = false

  @Option(help: "A file with the name of a class on each line, in the network's order.")
  var classes: String?

  @Option(help: "The output that is taken (default: the first).")
  var output: String?

  @Option(help: "An upright image whose class is known.")
  var check: String?

  @Option(help: "The class of --check: nothing is written where the network says another.")
  var expect: String?

  @OptionGroup var common: CommonOptions

  func validate() throws {
    try requireFlag("--size", size, atLeast: 8)
    guard out.hasSuffix(".safetensors") else {
      throw ValidationError("--out must name a file that ends in .safetensors, not \(out).")
    }
    try ImportedNetwork.requireBoth(mean, deviation)
    guard mean == nil || normalization == nil else {
      throw ValidationError(
        "--normalization stands for a mean and a deviation: leave it or those away.")
    }
    guard (mean == nil) != (normalization == nil) else {
      throw ValidationError(
        "How the network wants pixels is not in its file: say --normalization \(Normalization.allCases.map(\.rawValue).joined(separator: ", ")), or --mean and --deviation. `canon info NETWORK --image IMAGE` shows what each says of an image."
      )
    }
    guard (check == nil) == (expect == nil) else {
      throw ValidationError("--check is an image and --expect its class: both are needed.")
    }
  }

  func run() throws {
    common.apply()
    try refuse(out, overwriting: network, canonicalizer)
    if let shipped = ShippedModels.path(of: canonicalizer) { try refuse(out, overwriting: shipped) }
    if FileManager.default.fileExists(atPath: out) {
      guard let old = try? ModelFile(path: out, catalog: Canon.catalog) else {
        throw CommandError("\(out) is there already, and is no model; name another file.")
      }
      guard old.figures.keys.allSatisfy({ $0 == Calibrate.figure }) else {
        throw CommandError("\(out) is there already, and was trained; name another file.")
      }
    }
    for input in [classes, check].compactMap({ $0 }) { try refuse(out, overwriting: input) }
    if isModel { try CanonicalizerChoice.requireKnown(canonicalizer) }
    let network = try ImportedNetwork(self.network, size: size)
    let own = try ImportedNetwork.pixels(mean, deviation, network)
    let mean = own?.mean ?? normalization?.mean ?? [0]
    let deviation = own?.deviation ?? normalization?.deviation ?? [1]
    try requireOwnPixels(mean, deviation, network)
    let layer = try network.layer(mean: mean, deviation: deviation, isBGR: bgr, output: output)
    let task = try self.task ?? usualTask(layer.output, network)
    let names = try classNames(task, layer.output, network)
    guard !bgr || network.images.channels == 3 else {
      throw CommandError(
        "--bgr is for images in color, and \(self.network) takes \(network.images.text).")
    }
    guard classes == nil || !names.isEmpty else {
      throw CommandError("--classes names classes, and '\(task)' tells none.")
    }
    try checkKnown(layer, names, network)
    let conventions = layer.conventions ?? ImageConventions()
    let file = isModel ? try ModelFile(path: canonicalizer, catalog: Canon.catalog) : nil
    var settings = try RunConfiguration(
      text: """
        name: \((Place(out).name?.split(separator: ".").first.map(String.init) ?? "wrapped").quoted)
        data: {kind: folder}
        input: {size: \(network.images.size), channels: \(network.images.channels), border: \((file?.images?.border ?? .zero).rawValue)}
        task: \(task.quoted)
        canonicalizer: \(isModel ? "identity" : canonicalizer)
        backbone:
          kind: onnx
          path: \(self.network.quoted)
          output: \((output ?? "").quoted)
          layout: \(network.isChannelsFirst ? "channels-first" : "channels-last")
          mean: \(conventions.mean)
          deviation: \(conventions.deviation)
          colors: \(bgr ? "bgr" : "rgb")
          pixels: \(task == RestorationTask.kind)
        """, source: "what is wrapped", catalog: Canon.catalog)
    var figures: [String: Double] = [:]
    if let file {
      figures[Calibrate.figure] = file.figures[Calibrate.figure]
      try takeSteps(of: file, into: &settings)
    }
    try checkSteps(settings)
    guard let model = try settings.makeModel(classNames: names) as? CanonicalizedModel else {
      throw CommandError("\(canonicalizer) has no canonicalizer.")
    }
    try checkWhole(model, names, network)
    try prepareFolder(Files.parent(of: out))
    try model.safetensors(settings, classNames: names, figures: figures).write(to: out)
    guard !common.quiet else { return }
    noteWhatIsLeft(settings, layer, names, network)
    let next = names.isEmpty ? "predict \(out) IMAGES" : "evaluate \(out) FOLDER-OF-CLASSES"
    try emit(
      "\(out): \(canonicalizer) before \(self.network), images of \(network.images.text), \(names.isEmpty ? task : "\(names.count) classes"). Next: canon verify \(out) IMAGES; canon \(next)"
    )
  }

  /// Whether the canonicalizer is that of a model file.
  private var isModel: Bool {
    !canonicalizer.hasPrefix("{")
      && !Canon.catalog.canonicalizers.contains { $0.kind == canonicalizer && !$0.isLearned }
  }

  /// Refuses canonicalizers that would have to learn first, and to write over one.
  private func checkSteps(_ settings: RunConfiguration) throws {
    let steps = (settings.model as? CanonicalizedOptions)?.steps ?? []
    for step in steps where !step.from.isEmpty { try refuse(out, overwriting: step.from) }
    for step in steps where type(of: step.options).isLearned && step.from.isEmpty {
      throw CommandError(
        "'\(type(of: step.options).kind)' has to learn first: name a model that `canon train` has written, or say 'from' in its settings."
      )
    }
  }

  /// What an output looks like: scores, or one number for each pixel.
  private func usualTask(_ output: [Int], _ network: ImportedNetwork) throws -> String {
    if output.count == 1, output[0] > 1 { return ClassificationTask.kind }
    let side = network.images.size
    if output == [side, side, 1] { return SegmentationTask.kind }
    let others = network.model.outputs.map(\.name)
    let hint =
      others.count > 1
      ? " Or name another output with --output: \(others.joined(separator: ", "))." : ""
    if output.count == 3, output[..<2] == [side, side] {
      throw CommandError(
        "\(self.network) gives \(output), \(output[2]) numbers for each pixel: "
          + (output[2] == network.images.channels
            ? "an image is --task restore.\(hint)"
            : "masks of one class are supported, not yet of several.\(hint)"))
    }
    if output.reduce(1, *) == 1 {
      throw CommandError(
        "\(self.network) gives one number for an image: networks of two classes are supported where they give a score for each.\(hint)"
      )
    }
    let isMask = output == [side, side]
    throw CommandError(
      "\(self.network) gives \(output) for an image; "
        + (isMask
          ? "a mask is --task segment.\(hint)"
          : "say with --task what that is (`canon components task`).\(hint)"))
  }

  private func classNames(
    _ task: String, _ output: [Int], _ imported: ImportedNetwork
  ) throws -> [String] {
    guard task == ClassificationTask.kind || task == DetectionTask.kind else { return [] }
    let count = output.reduce(1, *) - (task == DetectionTask.kind ? 4 : 0)
    guard count > 1, output.count(where: { $0 > 1 }) == 1 else {
      let wanted = task == DetectionTask.kind ? ", with four numbers for the box behind" : ""
      throw CommandError(
        "\(network) gives \(output) for an image, and '\(task)' takes a score for each of two or more classes\(wanted)."
      )
    }
    // Canon's own export carries them.
    let own = imported.model.metadata["canon.classes"].flatMap {
      try? JSONDecoder().decode([String].self, from: Data($0.utf8))
    }.flatMap { $0.count == count ? $0 : nil }
    let names = try classes.map(ImportedNetwork.classNames) ?? own ?? (0..<count).map { "\($0)" }
    guard names.count == count else {
      throw CommandError(
        "\(classes ?? "") names \(names.count) classes, and \(network) tells \(count).")
    }
    return names
  }

  /// Refuses to give pixels in another way than canon's own export takes them.
  private func requireOwnPixels(
    _ mean: [Float], _ deviation: [Float], _ network: ImportedNetwork
  ) throws {
    guard network.model.metadata["canon.task"] != nil,
      mean.contains(where: { $0 != 0 }) || deviation.contains(where: { $0 != 1 })
    else { return }
    throw CommandError(
      "\(self.network) was exported by canon, and takes pixels from 0 to 1: say --normalization none."
    )
  }

  /// Takes the canonicalizers of a model, which begin with its weights.
  private func takeSteps(of file: ModelFile, into settings: inout RunConfiguration) throws {
    guard var options = settings.model as? CanonicalizedOptions,
      let theirs = file.configuration.model as? CanonicalizedOptions, let steps = theirs.steps
    else { throw CommandError("\(file.path) has no canonicalizer in front of a backbone.") }
    if !steps.contains(where: { $0.options.prior > 0 }),
      steps.contains(where: { type(of: $0.options).isLearned }), !common.quiet
    {
      note(
        "Note: the canonicalizer of \(file.path) learned its poses with its own backbone: its forms need not be upright. One that is trained with a 'prior' leaves upright images upright."
      )
    }
    options.steps = steps.map { step in
      var step = step
      step.from = type(of: step.options).isLearned ? file.path : ""
      // Nothing is taught here; one that has settings of how it is taught may be taught further.
      step.isFrozen = !step.from.isEmpty && step.options.teaching.isEmpty
      // It sees images as it learned them; one that looks at parts, in the number of colors alone.
      if let own = file.images, step.seenSize == 0,
        let images = settings.data.domain as? ImageDomain, type(of: step.options).isLearned,
        step.options.isOfParts ? own.channels != images.channels : own.shape != images.shape
      {
        step.seenSize = step.options.isOfParts ? images.size : own.size
        step.seenChannels = own.channels
      }
      if let own = file.images,
        let images = settings.data.domain as? ImageDomain, images.size < own.size, !common.quiet
      {
        note(
          "Note: \(canonicalizer) learned images of \(own.size) pixels, and the network takes \(images.size): it sees less than it knows."
        )
      }
      return step
    }
    settings.model = options
    settings = try settings.validated()
  }
}

extension ModelFile {
  /// The images that it learned from.
  fileprivate var images: ImageDomain? { configuration.data.domain as? ImageDomain }
}
