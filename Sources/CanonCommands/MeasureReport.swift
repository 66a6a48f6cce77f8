import Charts
import Datasets
import Foundation
import Symmetry
import TensorCore
import Training

/// ε of something: over a sample of elements, and along curves.
struct MeasureReport {
  /// What is measured under.
  struct Elements {
    let name: String
    let window: [Double]?
    let sample: [Motion]
    /// Along each generator: where, and the elements.
    let curves: [(name: String, places: [Double], elements: [Motion])]

    /// All elements of a finite group.
    init(finite elements: [Motion], name: String) {
      (self.name, window, sample) = (name, nil, elements)
      let elements = elements.sorted { $0.planarIsometry.angle < $1.planarIsometry.angle }
      let angles = elements.map { $0.planarIsometry.angle * 180 / .pi }
      let isOfTurns = elements.allSatisfy {
        $0.isometry != nil && $0.isometry?.isReflected == false
      }
      curves = [
        (
          isOfTurns ? "turn, degrees" : "element",
          isOfTurns ? angles : elements.indices.map(Double.init),
          elements
        )
      ]
    }

    /// Elements that were drawn from a group without an algebra.
    init(sampled elements: [Motion], name: String) {
      (self.name, window, sample, curves) = (name, nil, elements, [])
    }

    /// Elements of a window.
    init(algebra: Algebra, window: AlgebraWindow, samples: Int, points: Int, name: String) {
      self.name = name
      self.window = window.radii
      var random = RandomStream(seed: 0, name: "window")
      sample = window.samples(samples, using: &random).map(algebra.exponential)
      curves = window.radii.indices.filter { window.radii[$0] > 0 }.map { axis in
        let line = window.line(along: axis, points)
        return (algebra.names[axis], line.map { $0[axis] }, line.map(algebra.exponential))
      }
    }
  }

  /// A curve along one generator.
  struct Curve {
    let name: String
    let places: [Double]
    let errors: [EquivarianceError]
  }

  let of, group: String
  let window: [Double]?
  let error: EquivarianceError
  let curves: [Curve]
  let names: [String]
  let worstElement: String?
  /// Under how many of the sampled elements nothing is left of the first inputs.
  private let emptied, sampled: Int

  /// Measures a function.
  init(
    of: String, _ elements: Elements, _ function: (Tensor) -> Tensor, on inputs: Tensor,
    names: [String], moving: any Quantity, outputs: any Quantity, quiet: Bool
  ) {
    (self.of, group, window, self.names) = (of, elements.name, elements.window, names)
    var progress = Progress(total: 1 + elements.curves.count, unit: "samples", isQuiet: quiet)
    func measured(_ some: [Motion]) -> EquivarianceError {
      EquivarianceError(
        of: function, on: inputs, under: some, moving: moving, outputs: outputs)
    }
    let error = measured(elements.sample)
    emptied = elements.sample.count { element in
      let some = inputs.sliced(0..<min(8, inputs.shape[0]))
      return !some.isConstant
        && moving.act([Motion](repeating: element, count: some.shape[0]), on: some).isConstant
    }
    sampled = elements.sample.count
    progress.update(1)
    self.error = error
    worstElement = error.worst.map { elements.sample[$0.element].text }
    var curves: [Curve] = []
    for curve in elements.curves {
      // Of a finite group the sample is the curve.
      let errors =
        elements.window == nil ? error.curve : measured(curve.elements).curve
      curves.append(Curve(name: curve.name, places: curve.places, errors: errors))
      progress.update(1 + curves.count)
    }
    self.curves = curves
  }

  /// What was measured already.
  init(of: String, group: String, error: EquivarianceError, names: [String]) {
    (self.of, self.group, self.error, self.names) = (of, group, error, names)
    (window, curves, worstElement, emptied, sampled) = (nil, [], nil, 0, 1)
  }

  /// - Throws: `CommandError` where a distance is not a number, or there is none.
  func requireNumbers() throws {
    guard !error.distances.joined().isEmpty else {
      throw CommandError("There is nothing to measure: no input could be used.")
    }
    guard emptied * 10 < sampled else {
      throw CommandError(
        "Under \(emptied) of \(sampled) elements nothing is left of the inputs, so that ε would mean nothing: take a smaller --window."
      )
    }
    for measured in [error] + curves.flatMap(\.errors)
    where measured.distances.joined().contains(where: { !$0.isFinite }) {
      let name = measured.worst.map { names[$0.input] } ?? ""
      throw CommandError(
        "What is measured is no number at \(name): weights or inputs are not usable, and ε would mean nothing."
      )
    }
  }

  private static func columns(_ error: EquivarianceError) -> [String] {
    [error.mean, error.quantile(0.95), error.largest].map(\.significant) + [
      error.relative.isFinite ? error.relative.significant : "–"
    ]
  }

  var table: String {
    let head = [
      [of, group, "\(error.distances.count) elements × \(error.lengths.count)"]
        + MeasureReport.columns(error)
    ]
    let rows = curves.flatMap { curve in
      zip(curve.places, curve.errors).map { place, error in
        [of, "\(curve.name): \(place.formatted(3))", "\(error.lengths.count)"]
          + MeasureReport.columns(error)
      }
    }
    return CanonCommands.table(
      ["ε of", "under", "sample", "mean", "95 %", "largest", "relative"], head + rows)
  }

  var picture: String {
    func chart(_ curve: Curve, _ n: Int) -> Chart {
      func series(_ name: String, _ value: (EquivarianceError) -> Double) -> Chart.Series {
        Chart.Series(
          name: name,
          points: zip(curve.places, curve.errors).map { (x: $0, mean: value($1), deviation: 0) })
      }
      return Chart(
        id: "measure-\(n)", title: "Equivariance error of \(of) under \(group): \(curve.name)",
        xLabel: curve.name, yLabel: "distance of f(g·x) from g·f(x)",
        content: .lines(
          [
            series("mean", \.mean), series("95 %") { $0.quantile(0.95) },
            series("largest", \.largest),
          ], isLogarithmic: false))
    }
    return Chart.column(curves.enumerated().map { chart($1, $0) }, .paper)
  }

  var remark: String {
    let place = error.worst.map {
      " at \(names[$0.input])" + (worstElement.map { ", \($0)" } ?? "")
    }
    return
      "The largest is \(error.largest.significant)\(place ?? ""): over this sample, a lower bound of ε."
      + (window.map { " Window: |aᵢ| ≤ \($0.map { $0.formatted(3) }.joined(separator: ", "))." }
        ?? "")
  }

  /// As JSON.
  struct Line: Codable {
    struct Point: Codable {
      var along: String
      var at, mean, percentile95, largest: Double
      var relative: Double?
    }
    var of, group: String
    var window: [Double]?
    var elements, inputs: Int
    var mean, percentile95, largest: Double
    /// Missing where outputs are 0.
    var relative: Double?
    var worstElement, worstInput: String?
    var curve: [Point]
  }

  var line: Line {
    func finite(_ value: Double) -> Double? { value.isFinite ? value : nil }
    return Line(
      of: of, group: group, window: window, elements: error.distances.count,
      inputs: error.lengths.count, mean: error.mean, percentile95: error.quantile(0.95),
      largest: error.largest, relative: finite(error.relative), worstElement: worstElement,
      worstInput: error.worst.map { names[$0.input] },
      curve: curves.flatMap { curve in
        zip(curve.places, curve.errors).map { place, error in
          Line.Point(
            along: curve.name, at: place, mean: error.mean, percentile95: error.quantile(0.95),
            largest: error.largest, relative: finite(error.relative))
        }
      })
  }
}

extension Double {
  /// With four digits that count, whatever its size.
  fileprivate var significant: String { String(format: "%.4g", self) }
}
