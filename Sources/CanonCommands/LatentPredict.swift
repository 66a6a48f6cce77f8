import Canonicalization
import Datasets
import Foundation
import Images
import Symmetry
import TensorCore
import Training

/// What an encoder says of an input: its pose in the group, and the orbit that it lies on.
struct LatentRow: Encodable {
  let file: String
  /// Numbers of the algebra: of a translation its length, of a turn its angle or its axis times the angle, in radians.
  let pose: [Double]
  /// A point of the sphere.
  let orbit: [Double]
  /// How far the poses of the neighbors in the reference set lie apart, whose mean is the frame; `nil` without one.
  let spread: Double?

  static func titles(_ row: LatentRow) -> String {
    (["file"] + (1...row.pose.count).map { "pose\($0)" } + (row.spread == nil ? [] : ["spread"])
      + (1...row.orbit.count).map { "orbit\($0)" }).joined(separator: ",")
  }

  var csv: String {
    let numbers = pose + (spread.map { [$0] } ?? []) + orbit
    return ([Cell.text(file)] + numbers.map { Cell.number($0, 5) }).map(\.csv)
      .joined(separator: ",")
  }

  /// In degrees where nothing but angles is in a pose.
  static func spread(_ value: Double, _ group: AmbientGroup) -> String {
    group.factors.contains(.line) ? value.formatted(3) : (value * 180 / .pi).formatted(1) + "°"
  }

  /// The pose in words, angles in degrees.
  func text(_ group: AmbientGroup) -> String {
    group.places.map { place in
      let numbers = pose[place.algebra..<place.algebra + place.factor.numbers.algebra]
      switch place.factor {
      case .line: return numbers.map { $0.formatted(3) }.joined()
      case .circle: return numbers.map { ($0 * 180 / .pi).formatted(1) + "°" }.joined()
      case .rotations:
        return "(" + numbers.map { ($0 * 180 / .pi).formatted(1) + "°" }.joined(separator: " ")
          + ")"
      }
    }.joined(separator: " ")
  }
}

extension Predict {
  /// Refuses what is of no use for a model whose results are printed; the inputs otherwise.
  private func printedSource(_ domain: any ReadableDomain, _ what: String) throws
    -> any InputSource
  {
    guard out == nil, canonical == nil else {
      throw CommandError(
        "\(self.model) finds \(what), which are printed: leave --out and --canonical away.")
    }
    guard data != "test" else {
      throw CommandError(
        "Name images or a file of inputs: `canon evaluate \(self.model) test` measures the test part."
      )
    }
    return try domain.open(data)
  }

  private func requirePoses(_ model: OrbitModel) throws {
    let nothing = Tensor.zeros(Shape([1] + model.domain.shape))
    guard model.space.poses(model.codes(of: nothing)).isEmpty else { return }
    throw CommandError(
      "\(self.model) has no poses, its action being no multiplication: `canon evaluate` measures it."
    )
  }

  /// The frames of a reference set.
  private func frames(
    _ path: String, _ model: OrbitModel, _ domain: any ReadableDomain
  ) throws -> ComparableFrames {
    var (orbits, poses): ([Tensor], [AmbientGroup.Element]) = ([], [])
    var failures = Failures(domain.noun)
    try domain.open(path).forEachLot { lot in
      let (kept, errors) = lot.posed
      return (
        codes: kept.isEmpty ? nil : model.codes(of: lot.inputs.gathered(kept)),
        errors: lot.errors + errors as [any Error]
      )
    } use: { lot in
      failures.report(lot.errors)
      guard let codes = lot.codes, let own = model.space.orbits(codes) else { return }
      orbits.append(own)
      poses += model.space.poses(codes)
    }
    guard !poses.isEmpty else {
      throw CommandError("\(path) gives no frame: no pose is found in what it holds.")
    }
    let neighbors = neighbors ?? 20
    guard poses.count > 1 else {
      throw CommandError("\(path) holds a single input with a pose: name several, which can agree.")
    }
    if neighbors * 3 > poses.count && !common.quiet {
      note(
        "Note: of \(poses.count) references \(min(neighbors, poses.count)) are asked for each frame; a third or fewer, by --neighbors, keep to those that are near."
      )
    }
    return ComparableFrames(
      orbits: .concatenated(orbits), poses: poses, group: model.space.group,
      neighbors: neighbors)
  }

  /// Prints pose and orbit of each input.
  func predict(_ model: OrbitModel) throws {
    let domain = try readable(model.domain)
    let source = try printedSource(domain, "poses and orbits")
    try requirePoses(model)
    let frames = try reference.map { try self.frames($0, model, domain) }
    noteUnread(source, in: data)
    let group = model.space.group
    let format = printed
    var failures = Failures(domain.noun)
    var (isFirst, noNumbers) = (true, 0)
    let width = source.names.map(\.count).max() ?? 0
    let columns = Columns(
      widths: [width, 12 * group.factors.count] + (frames == nil ? [] : [8]),
      header: [domain.noun.name, "pose"] + (frames == nil ? [] : ["spread"]))
    if format == .table { try emit(columns.line(columns.header)) }
    try source.forEachLot { lot in
      let codes = lot.names.isEmpty ? Tensor.zeros([0, 1]) : model.codes(of: lot.inputs)
      guard !lot.names.isEmpty else {
        return (rows: [LatentRow](), errors: lot.errors as [any Error])
      }
      let poses = model.space.poses(codes)
      guard let orbits = model.space.orbits(codes) else {
        return (rows: [LatentRow](), errors: lot.errors as [any Error])
      }
      let (numbers, size) = (orbits.elements.map { Double($0) }, orbits.shape[1])
      let comparable = frames?.comparable(poses, orbits: orbits)
      let (kept, errors) = lot.posed
      let rows = kept.map { n in
        LatentRow(
          file: lot.names[n], pose: group.log(comparable?[n].pose ?? poses[n]),
          orbit: Array(numbers[n * size..<(n + 1) * size]), spread: comparable?[n].spread)
      }
      return (rows, lot.errors + errors)
    } use: { lot in
      failures.report(lot.errors)
      if let first = lot.rows.first, isFirst, format == .csv {
        try emit(LatentRow.titles(first))
      }
      isFirst = isFirst && lot.rows.isEmpty
      noNumbers += lot.rows.count {
        !($0.pose + $0.orbit + [$0.spread ?? 0]).allSatisfy(\.isFinite)
      }
      for row in lot.rows {
        switch format {
        case .table:
          try emit(
            columns.line(
              [row.file, row.text(group)]
                + (row.spread.map { [LatentRow.spread($0, group)] } ?? [])))
        case .csv: try emit(row.csv)
        case .json: try emit(row.jsonLine)
        }
      }
    }
    try failures.finish()
    try refuseNoNumbers(noNumbers, domain)
  }

  /// Prints class and step of each input of a latent canonicalizer.
  func predict(_ model: TransportModel) throws {
    guard reference == nil else {
      throw CommandError("\(self.model) holds its references: leave --reference away.")
    }
    let domain = try readable(model.domain)
    let source = try printedSource(domain, "classes and steps")
    noteUnread(source, in: data)
    let format = printed
    var failures = Failures(domain.noun)
    var noNumbers = 0
    let columns = Columns(
      widths: [
        source.names.map(\.count).max() ?? 0, model.classNames.map(\.count).max() ?? 0, 11, 4,
        4,
      ], header: [domain.noun.name, "class", "probability", "step", "ties"])
    if format == .table { try emit(columns.line(columns.header)) }
    if format == .csv { try emit("file,class,probability,step,ties") }
    try source.forEachLot { lot in
      guard !lot.names.isEmpty else {
        return (rows: [TransportRow](), errors: lot.errors as [any Error])
      }
      let found = model.predict(lot.inputs)
      let (numbers, width) = (found.probabilities.elements, model.classNames.count)
      let (kept, errors) = lot.posed
      let rows = kept.map { n in
        TransportRow(
          lot.names[n], Array(numbers[n * width..<(n + 1) * width]), found.poses[n],
          model.classNames)
      }
      return (rows, lot.errors + errors)
    } use: { lot in
      failures.report(lot.errors)
      noNumbers += lot.rows.count { $0.probability == nil }
      for row in lot.rows {
        switch format {
        case .table: try emit(columns.line(row.shown))
        case .csv: try emit(row.csv)
        case .json: try emit(row.jsonLine)
        }
      }
    }
    try failures.finish()
    try refuseNoNumbers(noNumbers, domain)
  }

  /// - Throws: A sentence where results are no numbers.
  private func refuseNoNumbers(_ count: Int, _ domain: any ReadableDomain) throws {
    guard count > 0 else { return }
    throw CommandError(
      "What \(self.model) says of \(count) \(count == 1 ? domain.noun.one : domain.noun.many) is no number: "
        + "its weights are not usable.")
  }
}

/// What a latent canonicalizer says of an input.
private struct TransportRow: Encodable {
  let file, `class`: String
  /// `nil` where it is no number.
  let probability: Double?
  /// By how many steps the input was moved; `nil` where nothing is a number.
  let step: Int?
  /// Other steps that explain it as well.
  let ties: [Int]

  init(
    _ file: String, _ scores: [Float], _ pose: Pose<FiniteAbelian.Element>, _ classes: [String]
  ) {
    let isSound = scores.allSatisfy(\.isFinite) && pose.margin.isFinite
    let best = scores.indices.max { scores[$0] < scores[$1] } ?? 0
    self.file = file
    self.class = isSound ? classes[best] : ""
    probability = isSound ? Double(scores[best]) : nil
    (step, ties) = (isSound ? pose.element.steps[0] : nil, pose.ties.map { $0.steps[0] })
  }

  private var others: String { ties.map(String.init).joined(separator: " ") }

  var shown: [String] {
    [
      file, self.class, probability.map { ($0 * 100).formatted(1) + " %" } ?? "none",
      step.map { "\($0)" } ?? "none",
      others,
    ]
  }

  var csv: String {
    [
      Cell.text(file), .text(self.class), .number(probability ?? .nan, 4),
      step.map(Cell.count) ?? .text(""),
      .text(others),
    ].map(\.csv).joined(separator: ",")
  }
}

extension InputLot {
  /// The places of inputs that have a pose, and what to say of the others: those of one value, which no motion changes.
  fileprivate var posed: (places: [Int], errors: [any Error]) {
    let constant = names.indices.filter { inputs[$0].isConstant }
    return (
      names.indices.filter { !constant.contains($0) },
      constant.map { ImageError.unmoved(path: names[$0]) }
    )
  }
}
