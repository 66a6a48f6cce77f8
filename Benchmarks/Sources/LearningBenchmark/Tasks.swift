/// What kind of method it is: tables compare the kinds.
enum MethodKind: String, Codable, CaseIterable {
  case none, augmentation, heuristic, frozen, learned, frame
}

/// One way to a model: what its configuration says of the canonicalizer and the training.
struct Method {
  /// What it begins with.
  enum Start {
    case scratch
    /// The trained model of another method, measured with this one's settings.
    case trained(String)
    /// The backbone of another method's model, which stays as it is.
    case backbone(String)
  }

  let name: String
  let kind: MethodKind
  /// The configuration's `canonicalizer`, as YAML.
  var canonicalizer = "{kind: identity}"
  /// More of the configuration's `training`.
  var training = ""
  /// More of the configuration's `data`.
  var data = ""
  var start = Start.scratch
}

/// Data, a backbone, and the methods that are compared on them.
struct Task {
  let id, title, text: String
  /// The sections of the configuration that all methods share, as YAML without braces.
  let data, backbone, training: String
  let methods: [Method]
  /// Whether the digits of training are upright, and those of the test turned.
  var isTestTurned = false

  private var trainingWithoutEpochs: String {
    training.split(separator: ", ").filter { !$0.hasPrefix("epochs") }.joined(separator: ", ")
  }

  /// The configuration of a method.
  func yaml(_ method: Method, seed: Int, backboneFrom path: String? = nil) -> String {
    let frozen = path.map { ", from: \($0), frozen: true" } ?? ""
    func joined(_ parts: String...) -> String {
      parts.filter { !$0.isEmpty }.joined(separator: ", ")
    }
    return """
      name: \(id)
      seed: \(seed)
      data: {\(joined(data, method.data))}
      canonicalizer: \(method.canonicalizer)
      backbone: {\(backbone)\(frozen)}
      training: {\(joined(method.training.contains("epochs") ? trainingWithoutEpochs : training, method.training))}
      """
  }
}

/// How much is done: `quick` in half an hour, `full` with the paper's sizes.
enum Size: String { case quick, full }

let none = Method(name: "none", kind: .none)
let augmentation = Method(name: "augmentation", kind: .augmentation, training: "augment: true")
private let pca = Method(name: "PCA", kind: .heuristic, canonicalizer: "{kind: pca}")
let pcaSign = Method(
  name: "PCA + sign", kind: .heuristic, canonicalizer: "{kind: pca-sign}")
private let pcaLearned = Method(
  name: "PCA + learned sign", kind: .learned, canonicalizer: "{kind: pca-learned}")
private let gradient = Method(
  name: "gradients", kind: .heuristic, canonicalizer: "{kind: gradient}")
private let frozen = Method(
  name: "frozen C64", kind: .frozen,
  canonicalizer: "{kind: learned, group: C64, kernel: 28, layers: 1, channels: 1, frozen: true}")

/// The learned template: a matched filter on as many angles as the group has.
func template(_ order: Int, _ more: String = "", name: String? = nil) -> Method {
  Method(
    name: name ?? "template C\(order)", kind: .learned,
    canonicalizer: "{kind: learned, group: C\(order), kernel: 28, layers: 1, channels: 1, "
      + "gradient: mixture, poses: 4\(more)}")
}

private func orbit(_ order: Int, _ more: String = "", name: String? = nil) -> Method {
  Method(
    name: name ?? "orbit C\(order)", kind: .learned,
    canonicalizer: "{kind: orbit, group: C\(order), channels: 8, gradient: mixture, poses: 4, "
      + "alignment: 0.15\(more)}")
}

private func topPoses(of method: Method, _ count: Int) -> Method {
  Method(
    name: "\(method.name), top \(count)", kind: .frame,
    canonicalizer: String(method.canonicalizer.dropLast()) + ", frame: \(count)}",
    start: .trained(method.name))
}

extension Task {
  /// All tasks, on the digits in the folder `digits`.
  static func all(_ size: Size, digits: String) -> [Task] {
    images(size, digits) + points(size, digits)
  }

  private static func images(_ size: Size, _ digits: String) -> [Task] {
    let isFull = size == .full
    let data = "kind: rotated-mnist, path: \(digits), limit: \(isFull ? 0 : 2000)"
    let upright = "kind: upright-mnist, path: \(digits), limit: \(isFull ? 0 : 2000)"
    let cnn = isFull ? "kind: paper-cnn" : "kind: small-cnn, width: 16"
    let training = isFull ? "epochs: 20" : "epochs: 7, validEvery: 2, batch: 64, rate: 0.003"
    let order = isFull ? 32 : 16
    let finest = template(64)
    let adaptive = Method(
      name: "adaptive C8", kind: .frame, canonicalizer: "{kind: adaptive, group: C8}")
    let steerable = Method(
      name: "steerable SO(2)", kind: .learned,
      canonicalizer: "{kind: steerable, group: SO2, channels: 6, alignment: 0.12, consistency: 5}")
    let energy = Method(
      name: "energy SO(2)", kind: .learned,
      canonicalizer: "{kind: energy, group: SO2, starts: 2, steps: 5, channels: 4}",
      training: "clip: 1")
    let refined = orbit(order, ", refine: true", name: "orbit C\(order), refined")
    let pcaFrame = Method(
      name: "PCA, both signs", kind: .frame, canonicalizer: "{kind: pca, frame: 2}")
    let heuristics = [pca, pcaSign, gradient]
    let plain = [none, augmentation]
    func digitsTask(
      _ id: String, _ title: String, _ text: String, _ more: String = "", _ backbone: String,
      _ methods: [Method]
    ) -> Task {
      Task(
        id: id, title: title, text: text, data: data + more, backbone: backbone, training: training,
        methods: methods)
    }
    let best = orbit(order)
    var tasks = [
      digitsTask(
        "rotated-cnn", "Rotated MNIST, CNN",
        "Each digit turned once by any angle, in training and test; no augmentation but where it says so.",
        "", cnn,
        plain + heuristics + [
          frozen, finest, best, steerable, energy, pcaLearned, pcaFrame, topPoses(of: finest, 8),
          topPoses(of: best, 8), adaptive,
        ]),
      digitsTask(
        "rotated-mlp", "Rotated MNIST, MLP", "The same digits for a network that knows no shifts.",
        "", "kind: mlp, width: \(isFull ? 512 : 256)",
        plain + heuristics + [
          frozen, finest, best, refined, pcaLearned, pcaFrame, topPoses(of: finest, 8),
          topPoses(of: best, 8),
        ]),
    ]
    let centered = [
      Method(
        name: "center, PCA + sign", kind: .heuristic,
        canonicalizer: "{kind: pca-sign, center: mass}"),
      template(64, ", center: mass", name: "center, template C64"),
      template(64, ", center: learned", name: "learned center, template C64"),
    ]
    for (variant, text) in [
      ("off-center", "Shifted by up to 4 pixels each way after the turn."),
      ("cluttered", "With pieces of four other digits around it, turned with it."),
      ("occluded", "With a square of 9 pixels near the middle erased."),
      ("near-symmetric", "The digits 0, 1, 2, 5 and 8 alone, much alike when turned half around."),
    ] {
      tasks.append(
        digitsTask(
          "rotated-\(variant)", "Rotated MNIST, \(variant)", text, ", variant: \(variant)", cnn,
          plain + heuristics + (variant == "off-center" ? centered : [finest, best, pcaLearned])))
    }
    // The backbone does not run: many epochs cost little.
    func prior(_ name: String, _ canonicalizer: String, epochs: Int) -> Method {
      Method(
        name: name, kind: .learned, canonicalizer: canonicalizer, training: "epochs: \(epochs)",
        start: .backbone(none.name))
    }
    tasks.append(
      Task(
        id: "upright-to-rotated", title: "Upright training, rotated test",
        text:
          "The prior alone teaches the canonicalizer on upright digits; the backbone was trained on "
          + "them before, and stays as it is. The heuristics' backbones are trained on upright digits "
          + "behind them.",
        data: upright, backbone: cnn, training: training,
        methods: plain + heuristics + [
          prior(
            "template C64, prior",
            "{kind: learned, group: C64, kernel: 28, layers: 1, channels: 1, prior: 1}",
            epochs: isFull ? 30 : 40),
          prior(
            "orbit C\(order), prior", "{kind: orbit, group: C\(order), channels: 8, prior: 1}",
            epochs: 20),
          prior(
            "steerable SO(2), prior",
            "{kind: steerable, group: SO2, channels: 6, prior: 10, consistency: 5}",
            epochs: isFull ? 20 : 8),
        ], isTestTurned: true))
    tasks.append(
      Task(
        id: "restore", title: "Restoring images",
        text:
          "Noisy and partly erased turned digits in, clean ones out, in the pose that they came in.",
        data: data + ", task: restore", backbone: "kind: unet, width: \(isFull ? 16 : 8)",
        training: isFull ? training : "epochs: 8, validEvery: 2, batch: 32, rate: 0.01",
        methods: plain + heuristics + [
          Method(
            name: "frozen C4", kind: .frozen,
            canonicalizer: "{kind: learned, group: C4, frozen: true}"),
          Method(
            name: "learned C4", kind: .learned, canonicalizer: "{kind: learned, group: C4}"),
          pcaLearned,
          Method(
            name: "PCA, both signs", kind: .frame, canonicalizer: "{kind: pca, frame: 2}"),
        ]))
    return tasks
  }

  private static func points(_ size: Size, _ digits: String) -> [Task] {
    let isFull = size == .full
    let training = isFull ? "epochs: 40" : "epochs: 20, validEvery: 2, batch: 64, rate: 0.002"
    // Exact assignments take a while.
    let few = isFull ? "" : "epochs: 8"
    func sorted(_ order: String, _ kind: MethodKind, _ frame: String = "kind: identity") -> Method {
      Method(
        name: order, kind: kind, canonicalizer: "{\(frame), order: \(order)}",
        training: order == "assignment" ? few : "")
    }
    let frame = Method(
      name: "learned frame", kind: .learned, canonicalizer: "{kind: frame, neighbors: 8}")
    let frozenFrame = Method(
      name: "frozen frame", kind: .frozen,
      canonicalizer: "{kind: frame, neighbors: 8, frozen: true}")
    func pcaFrame(_ count: Int) -> Method {
      Method(
        name: "PCA, all signs", kind: .frame, canonicalizer: "{kind: pca, frame: \(count)}")
    }
    let data = "path: \(digits), limit: \(isFull ? 0 : 2000)"
    let mlp = "kind: mlp, width: 256"
    let pointnet = "kind: pointnet, width: \(isFull ? 32 : 16)"
    var tasks = [
      Task(
        id: "points-mlp", title: "Sets of points, MLP",
        text: "100 points of each upright digit in random order; the MLP reads them in a row.",
        data: "kind: mnist-points, \(data)", backbone: mlp, training: training,
        methods: [
          none, augmentation, sorted("lexicographic", .heuristic), sorted("norm", .heuristic),
          sorted("hilbert", .heuristic), sorted("sort", .learned), sorted("assignment", .learned),
        ]),
      Task(
        id: "points-rotated-mlp", title: "Rotated sets of points, MLP",
        text: "\(isFull ? 100 : 64) points of turned digits: a frame first, then an order.",
        data: "kind: rotated-mnist-points, points: \(isFull ? 100 : 64), \(data)", backbone: mlp,
        training: training,
        methods: [
          none, augmentation,
          Method(
            name: "PCA + sign, hilbert", kind: .heuristic,
            canonicalizer: "{kind: pca-sign, order: hilbert}"),
          Method(
            name: "PCA + learned sign, hilbert", kind: .learned,
            canonicalizer: "{kind: pca-learned, order: hilbert}"),
          Method(
            name: "PCA + sign, assignment", kind: .learned,
            canonicalizer: "{kind: pca-sign, order: assignment}", training: few),
          Method(
            name: "frozen frame, hilbert", kind: .frozen,
            canonicalizer: "{kind: frame, neighbors: 8, frozen: true, order: hilbert}"),
          Method(
            name: "learned frame, hilbert", kind: .learned,
            canonicalizer: "{kind: frame, neighbors: 8, order: hilbert}"),
        ]),
      Task(
        id: "points-rotated-pointnet", title: "Rotated sets of points, PointNet",
        text: "A backbone that does not mind the order.",
        data: "kind: rotated-mnist-points, \(data)", backbone: pointnet, training: training,
        methods: [none, augmentation, pca, pcaSign, frozenFrame, frame, pcaLearned, pcaFrame(4)]),
    ]
    let learned = "kind: frame, channels: 16, layers: 4, dropout: 0.5"
    // Their steps take eight forms of each system.
    func ofAllSigns(_ method: Method) -> Method {
      var method = method
      method.training = isFull ? "" : "epochs: 6"
      return method
    }
    let svd = Method(
      name: "learned frame, SVD", kind: .learned,
      canonicalizer: "{\(learned), orthonormalization: svd}")
    tasks.append(
      Task(
        id: "particles", title: "N-body",
        text: "Five charges in space; their places 10 frames later. 3,000 / 2,000 / 2,000 systems."
          + (isFull
            ? ""
            : " The methods of all signs are trained for 6 epochs of eight forms, others for 20 of one."),
        data: "kind: particles", backbone: "kind: particles\(isFull ? "" : ", width: 32")",
        training:
          "epochs: \(isFull ? 400 : 20), validEvery: \(isFull ? 20 : 2), batch: 100, rate: 0.002, weightDecay: 0.1, clip: 1",
        methods: [
          none, augmentation, pca, pcaSign,
          Method(
            name: "frozen frame", kind: .frozen, canonicalizer: "{\(learned), frozen: true}"),
          Method(
            name: "learned frame", kind: .learned, canonicalizer: "{\(learned)}"),
          Method(
            name: "learned frame, 8 poses", kind: .frame, canonicalizer: "{\(learned), frame: 8}",
            start: .trained("learned frame")),
          ofAllSigns(pcaLearned), ofAllSigns(pcaFrame(8)),
        ] + (isFull ? [svd] : [])))
    tasks.append(
      Task(
        id: "bodies", title: "Bodies in space",
        text:
          "\(isFull ? "1,024" : "128") noisy points on the surfaces of eight kinds of bodies, turned in "
          + "space.",
        data: "kind: bodies, points: \(isFull ? 1024 : 128)", backbone: pointnet,
        training: isFull ? "epochs: 40" : "epochs: 12, validEvery: 2, batch: 64, rate: 0.002",
        methods: [none, augmentation, pca, pcaSign, frozenFrame, frame, pcaLearned, pcaFrame(4)]))
    return tasks
  }
}
