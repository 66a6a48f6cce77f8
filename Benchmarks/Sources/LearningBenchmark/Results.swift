import Charts
import Foundation

/// What was measured of one model: a method, trained from one seed.
struct Result: Codable {
  var task, method: String
  var kind: MethodKind
  var seed: Int
  /// The whole configuration: a result is used again only where it is the same.
  var configuration: String
  /// The fraction of wrong classes; `nil` where outputs are images or positions.
  var error: Double?
  /// Cross entropy, or mean squared error.
  var loss: Double
  /// Error or loss on the validation part: it chooses the best method of a kind.
  var valid: Double
  /// The expected calibration error.
  var calibration: Double?
  /// The fraction of predictions that change when the input is moved, or the root mean square of how far
  /// φ(g·x) is from g·φ(x).
  var invariance: Double
  /// Seconds of one core, another one at work beside it.
  var trainSeconds: Double
  /// Microseconds of one core an example.
  var inferenceMicroseconds: Double
  /// Trainable parameters before and in the backbone.
  var canonicalizerParameters, backboneParameters: Int
  /// The error on upright digits, where those were learned.
  var uprightError: Double?
  /// The error at each of some angles, in degrees.
  var byAngle: [Double]?
  /// How far the figure may be off because the test part has only so many examples: its standard error.
  var sampling: Double?

  /// Whose it is.
  var key: String { "\(task)/\(method)/\(seed)" }

  /// What methods are compared by: the error, or the mean squared error.
  var figure: Double { error ?? loss }
}

/// All seeds of one method on one task.
struct Summary {
  let method: String
  let kind: MethodKind
  let results: [Result]

  var figure: Statistic { statistic { $0.figure } }
  var isError: Bool { results.first?.error != nil }

  func statistic(_ value: (Result) -> Double?) -> Statistic { Statistic(results.compactMap(value)) }

  /// The methods of a task in the order in which they are listed there.
  static func all(of task: Task, _ results: [Result]) -> [Summary] {
    task.methods.compactMap { method in
      let own = results.filter { $0.task == task.id && $0.method == method.name }
      return own.isEmpty ? nil : Summary(method: method.name, kind: method.kind, results: own)
    }
  }
}

/// Which of learned and heuristic is ahead on a task: of each kind the method that did best on the
/// validation part, by what it does on the test part.
struct Verdict: Codable {
  enum Outcome: String, Codable {
    case learned, heuristic
    /// One seed has no spread, and decides nothing.
    case oneSeed
    /// Their means are within a standard deviation of each other.
    case undecided
  }

  let task, learned, heuristic: String
  let learnedFigure, heuristicFigure: Statistic
  let outcome: Outcome

  init?(_ task: Task, _ summaries: [Summary]) {
    func best(_ kind: MethodKind) -> Summary? {
      summaries.filter { $0.kind == kind }
        .min { $0.statistic { $0.valid }.mean < $1.statistic { $0.valid }.mean }
    }
    guard let learned = best(.learned), let heuristic = best(.heuristic) else { return nil }
    self.task = task.title
    (self.learned, self.heuristic) = (learned.method, heuristic.method)
    (learnedFigure, heuristicFigure) = (learned.figure, heuristic.figure)
    outcome =
      min(learned.figure.count, heuristic.figure.count) < 2
      ? .oneSeed
      : learned.figure.range.overlaps(heuristic.figure.range)
        ? .undecided : learned.figure.mean < heuristic.figure.mean ? .learned : .heuristic
  }

  /// In a sentence.
  var text: String {
    let ratio = (1 - learnedFigure.mean / heuristicFigure.mean) * 100
    let figures =
      "\(learned) against \(heuristic), the best heuristic: \(String(format: "%+.0f", -ratio)) % errors"
    return switch outcome {
    case .learned: "learned is ahead. \(figures)"
    case .heuristic: "the heuristic is ahead. \(figures)"
    case .oneSeed: "one seed decides nothing. \(figures)"
    case .undecided: "no difference beyond the seeds' spread. \(figures)"
    }
  }
}
