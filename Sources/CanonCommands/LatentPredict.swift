import Datasets
import Foundation
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

  static func titles(_ group: AmbientGroup, orbitDimensions: Int) -> String {
    (["file"] + (1...group.dimension).map { "pose\($0)" }
      + (1...orbitDimensions).map { "orbit\($0)" }).joined(separator: ",")
  }

  var csv: String {
    ([Cell.text(file)] + (pose + orbit).map { Cell.number($0, 5) }).map(\.csv)
      .joined(separator: ",")
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
  /// Prints pose and orbit of each input.
  func predict(_ model: OrbitModel) throws {
    guard out == nil, canonical == nil else {
      throw CommandError(
        "\(self.model) finds poses and orbits, which are printed: leave --out and --canonical away."
      )
    }
    let domain = try readable(model.domain)
    guard data != "test" else {
      throw CommandError(
        "Name images or a file of inputs: `canon evaluate \(self.model) test` measures the test part."
      )
    }
    let source = try domain.open(data)
    noteUnread(source, in: data)
    let group = model.space.group
    let format = json ? Format.json : self.format
    var failures = Failures(domain.noun)
    var (isFirst, noNumbers) = (true, 0)
    let width = source.names.map(\.count).max() ?? 0
    let columns = Columns(
      widths: [width, 12 * group.factors.count], header: [domain.noun.name, "pose"])
    if format == .table { try emit(columns.line(columns.header)) }
    try source.forEachLot { lot in
      let codes = lot.names.isEmpty ? Tensor.zeros([0, 1]) : model.codes(of: lot.inputs)
      guard !lot.names.isEmpty else { return (rows: [LatentRow](), errors: lot.errors) }
      let poses = model.space.poses(codes)
      guard let orbits = model.space.orbits(codes), !poses.isEmpty else {
        throw CommandError(
          "\(self.model) has learned an action and no poses: `canon evaluate` measures it.")
      }
      let (numbers, size) = (orbits.elements.map { Double($0) }, orbits.shape[1])
      let rows = lot.names.indices.map { n in
        LatentRow(
          file: lot.names[n], pose: group.log(poses[n]),
          orbit: Array(numbers[n * size..<(n + 1) * size]))
      }
      return (rows, lot.errors)
    } use: { lot in
      failures.report(lot.errors)
      if let first = lot.rows.first, isFirst, format == .csv {
        try emit(LatentRow.titles(group, orbitDimensions: first.orbit.count))
      }
      isFirst = isFirst && lot.rows.isEmpty
      noNumbers += lot.rows.count { !($0.pose + $0.orbit).allSatisfy(\.isFinite) }
      for row in lot.rows {
        switch format {
        case .table: try emit(columns.line([row.file, row.text(group)]))
        case .csv: try emit(row.csv)
        case .json: try emit(row.jsonLine)
        }
      }
    }
    try failures.finish()
    if noNumbers > 0 {
      throw CommandError(
        "What \(self.model) says of \(noNumbers) \(noNumbers == 1 ? domain.noun.one : domain.noun.many) is no number: "
          + "its weights are not usable.")
    }
  }
}
