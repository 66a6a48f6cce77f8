import Canonicalization
import TensorCore

extension RunConfiguration {
  /// How many numbers the largest layer holds, about: a foreign file must not exhaust memory.
  var largestWeight: Int {
    let c = canonicalizer
    let order = (Int(c.group.dropFirst()) ?? 1) * (c.group.hasPrefix("D") ? 2 : 1)
    let lifting = c.kernel * c.kernel * input.channels * c.channels * order
    let between = c.groupKernel * c.groupKernel * c.channels * c.channels * order * order
    let hidden =
      backbone.kind == .mlp
      ? input.size * input.size * input.channels * backbone.width
      : 144 * backbone.width * backbone.width
    return max(c.kind.isFinite ? max(lifting, c.layers > 1 ? between : 0) : 0, hidden)
  }

  mutating func readCanonicalizer(
    _ section: inout ConfigurationReader
  ) throws(ConfigurationError) {
    var c = canonicalizer
    let dimension = data.kind.dimension
    c.kind = try section.choice("kind", default: dimension == nil ? c.kind : .frame)
    let usualGroup =
      dimension.map { "\(data.kind == .particles ? "E" : "SO")\($0)" }
      ?? ([.steerable, .energy].contains(c.kind) ? "SO2" : c.group)
    c.group = try section.text("group", default: usualGroup)
    c.kernel = try section.integer("kernel", default: min(c.kernel, input.size), in: 1...1024)
    c.groupKernel = try section.integer("groupKernel", default: c.groupKernel, in: 1...64)
    c.channels = try section.integer(
      "channels",
      default: [.orbit, .steerable, .energy, .pcaLearned].contains(c.kind) ? 8 : c.channels,
      in: 1...1024)
    c.layers = try section.integer("layers", default: c.layers, in: 1...16)
    c.batchNorm = try section.flag("batchNorm", default: data.kind != .particles)
    c.center = try section.choice("center", default: c.center)
    c.scale = try section.flag("scale", default: c.scale)
    c.refine = try section.flag("refine", default: c.refine)
    c.frame = try section.integer("frame", default: c.frame, in: 1...256)
    c.turn = try section.number("turn", default: c.turn, in: -360...360)
    c.features = try section.integer("features", default: c.features, in: 1...1024)
    c.contrast = try section.number("contrast", default: c.contrast, in: 0...1000)
    c.starts = try section.integer("starts", default: c.starts, in: 1...256)
    c.steps = try section.integer("steps", default: c.steps, in: 1...1000)
    c.order = try section.choice("order", default: c.order)
    c.neighbors = try section.integer("neighbors", default: c.neighbors, in: 0...64)
    c.dropout = try section.number("dropout", default: c.dropout, in: 0...0.9)
    c.orthonormalization = try section.choice("orthonormalization", default: c.orthonormalization)
    c.nonlinearity = try section.choice("nonlinearity", default: c.nonlinearity)
    c.gradient = try section.choice("gradient", default: c.gradient)
    c.poses = try section.integer("poses", default: c.poses, in: 1...256)
    c.temperature = try section.number("temperature", default: c.temperature, in: 1e-4...1e4)
    c.prior = try section.number("prior", default: c.prior, in: 0...1e4)
    c.alignment = try section.number("alignment", default: c.alignment, in: 0...100)
    c.consistency = try section.number("consistency", default: c.consistency, in: 0...1000)
    c.copies = try section.integer("copies", default: c.copies, in: 1...64)
    c.frozen = try section.flag("frozen", default: c.frozen)
    c.border = try section.choice("border", default: c.border)
    canonicalizer = c
    if let problem = dimension.map(pointProblem) ?? imageProblem {
      throw section.failure(problem)
    }
    try section.finish()
  }

  /// What is wrong with the canonicalizer of a model of images, if anything.
  private var imageProblem: String? {
    let c = canonicalizer
    if c.kind == .frame || c.order != .none {
      return "'frame' and 'order' are for sets of points, not for images"
    }
    if c.refine && !c.kind.isFinite {
      return "only poses of 'learned' and 'orbit' can be refined"
    }
    if (c.features > 1 || c.contrast > 0) && c.kind != .orbit {
      return "'features' and 'contrast' are for 'orbit'"
    }
    if c.frame > 1 && ![.learned, .orbit, .pca].contains(c.kind) {
      return "a 'frame' of several poses is for 'learned', 'orbit' and 'pca'"
    }
    if c.copies > 1 && c.kind != .steerable { return "'copies' are for 'steerable'" }
    if c.turn != 0 && c.kind == .adaptive { return "'adaptive' has no 'turn'" }
    if c.frame > 1 && c.refine { return "a pose is refined, a 'frame' of several is not" }
    if (c.center != .none || c.scale) && [.energy, .adaptive].contains(c.kind) {
      return "'center' and 'scale' do not go with '\(c.kind.rawValue)'"
    }
    if c.kind == .energy {
      return ["SO2", "SE2", "similarity", "affine"].contains(c.group)
        ? nil
        : "'group' is '\(c.group)' but must be SO2, SE2, similarity or affine for 'energy'"
    }
    if c.kind == .steerable {
      if !["SO2", "O2"].contains(c.group) {
        return "'group' is '\(c.group)' but must be SO2 or O2 for 'steerable'"
      }
      return input.size < 17 ? "'steerable' needs images of at least 17 pixels" : nil
    }
    if c.kernel + (c.layers - 1) * (c.groupKernel - 1) > input.size {
      return "kernels \(c.kernel) and \(c.groupKernel) in \(c.layers) layers do not fit into "
        + "\(input.size) pixels"
    }
    guard let letter = c.group.first, "CD".contains(letter), let order = Int(c.group.dropFirst()),
      (1...256).contains(order)
    else { return "'group' is '\(c.group)' but must be like C8 or D4" }
    return nil
  }

  /// What is wrong with the canonicalizer of a model of sets of points, if anything.
  private func pointProblem(_ dimension: Int) -> String? {
    let c = canonicalizer
    guard [.identity, .frame, .pca, .pcaSign, .pcaLearned].contains(c.kind) else {
      return
        "'kind' is '\(c.kind.rawValue)' but must be identity, frame, pca, pca-sign or pca-learned for "
        + "sets of points"
    }
    guard ["SO", "O", "SE", "E"].contains(where: { c.group == "\($0)\(dimension)" }) else {
      return "'group' is '\(c.group)' but must be like E\(dimension) or SO\(dimension)"
    }
    if c.center != .none || c.scale || c.refine || c.turn != 0 || c.contrast > 0 || c.features > 1
      || c.copies > 1
    {
      return
        "'center', 'scale', 'refine', 'turn', 'features', 'contrast' and 'copies' are for images"
    }
    if c.frame > 1 && (!(c.kind == .pca || c.kind == .frame && c.dropout > 0) || c.order != .none) {
      return
        "a 'frame' of several poses of points is that of 'pca', or of 'frame' with 'dropout', without an "
        + "order"
    }
    if c.order != .none && data.kind == .particles {
      return "'particles' need no 'order': their backbone has none"
    }
    if c.neighbors >= data.points { return "\(c.neighbors) 'neighbors' of \(data.points) points" }
    return nil
  }
}
