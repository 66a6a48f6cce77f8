import Canonicalization
import Datasets
import Layers
import ONNX
import Settings
import Symmetry
import TensorCore
import Training

// What `canon wrap` tries before it writes a model, and says after it.
extension Wrap {
  /// Refuses a canonicalizer behind which the network does not know an image any more that it knows alone.
  func checkWhole(
    _ model: CanonicalizedModel, _ names: [String], _ network: ImportedNetwork
  ) throws {
    guard let check, let expect else { return }
    let prediction = model.predict(try network.one(check))
    let best = prediction.output.largestColumn()[0]
    let turn = prediction.poses.first?.element.isometry.map {
      ", turned by \(($0.angle * 180 / .pi).remainder(dividingBy: 360).formatted(1))°"
    }
    guard names[best] != expect else { return }
    throw CommandError(
      "\(self.network) alone takes \(check) for \(expect), but behind \(canonicalizer)\(turn ?? "") for \(names[best]); nothing is written. The canonicalizer has to leave upright what is upright: one that learned from its prior does."
    )
  }

  /// Refuses conventions with which the network does not know an image whose class is known.
  func checkKnown(
    _ layer: ONNXLayer, _ names: [String], _ network: ImportedNetwork
  ) throws {
    guard let check, let expect else { return }
    guard names.contains(expect) else {
      let question = nearest(expect, in: names).map { " Did you mean '\($0)'?" } ?? ""
      throw CommandError(
        names.isEmpty
          ? "\(self.network) tells no classes, and --expect names one."
          : "'\(expect)' is no class of \(self.network).\(question)\(classes == nil && names.first == "0" ? " Its classes are numbers; --classes FILE names them." : "")"
      )
    }
    let scores = layer.predict(try network.one(check)).reshaped([1, -1]).softmax()
    let best = scores.largestColumn()[0]
    guard scores.isFinite else {
      throw CommandError("\(self.network) says of \(check) what is no number; nothing is written.")
    }
    guard names[best] != expect else { return }
    let right = try network.readings(of: check, classNames: names, output: output)
      .filter { $0.class == expect && $0.probability != nil }
      .sorted { $0.probability ?? 0 > $1.probability ?? 0 }
    let ways = right.map {
      "--normalization \($0.normalization)\($0.colors == "bgr" ? " --bgr" : "") (\($0.probability?.formatted(2) ?? "–"))"
    }
    throw CommandError(
      "\(self.network) takes \(check) for \(names[best]) (\(Double(scores.elements[best]).formatted(2))), not for \(expect); nothing is written. "
        + (ways.isEmpty
          ? "No usual normalization makes it right: is the image upright, are the names in its order?"
          : "It is \(expect) with \(ways.joined(separator: ", with "))."))
  }

  /// Says what a wrapped network is not sure to be.
  func noteWhatIsLeft(
    _ settings: RunConfiguration, _ layer: ONNXLayer, _ names: [String], _ network: ImportedNetwork
  ) {
    let model = network.model
    let index = model.outputs.firstIndex { $0.name == output } ?? 0
    if model.outputs.count > 1, output == nil {
      let others = model.outputs.map { "'\($0.name)' \($0.text)" }.joined(separator: ", ")
      note(
        "Note: \(self.network) has \(model.outputs.count) outputs, \(others): the first is taken (--output names another)."
      )
    }
    if !names.isEmpty, model.ends(at: index, in: "Sigmoid") {
      note(
        "Note: \(self.network) ends in a sigmoid, a probability for each class by itself; what is told is a softmax of these, so that the best class is right and its probability is not. A network without its last node gives scores."
      )
    }
    if names.isEmpty, layer.output.count == 3, task == nil {
      note("Note: its output is taken for a mask, from its shape; an image is --task restore.")
    }
    // Those of a model are spoken of where they are taken (`takeSteps`).
    let steps = (settings.model as? CanonicalizedOptions)?.steps ?? []
    let untrained = steps.filter {
      !type(of: $0.options).isLearned && type(of: $0.options).kind != IdentityOptions.kind
    }
    if check == nil, let first = untrained.first, steps.allSatisfy({ $0.from.isEmpty }) {
      note(
        "Note: '\(type(of: first.options).kind)' brings all poses of an image to one, which need not be upright: the network becomes equivariant, and may be wrong about what it was right about. \(names.isEmpty ? "Look at what it gives" : "`canon evaluate` says how often"); a canonicalizer that is trained by its prior leaves upright what is."
      )
    }
  }
}
