import Foundation
import TensorCore

/// The times of one thing, in seconds.
struct Times: Codable {
  var median, fastest, slowest: Double
  var runs: Int

  /// - Precondition: There is one time at least.
  init(_ times: [Double]) {
    let sorted = times.sorted()
    median = sorted[sorted.count / 2]
    (fastest, slowest, runs) = (sorted[0], sorted[sorted.count - 1], sorted.count)
  }

  /// For people, in a unit that suits.
  var text: String {
    let (scale, unit) = median < 1 ? (1e3, "ms") : (1, "s")
    func number(_ value: Double) -> String {
      String(format: value * scale < 10 ? "%.2f" : "%.1f", value * scale)
    }
    return "\(number(median)) \(unit) (\(number(fastest)) … \(number(slowest)))"
  }
}

/// One line of the table: this project's time, the peer's where it is there, and their ratio.
struct Row: Codable {
  var name: String
  var canon: Times
  var peer: Times?
  /// How many times faster, by the medians.
  var ratio: Double?
  /// What the issue of speed asks for.
  var bar: Double?
  var note = ""
}

/// The seconds that `body` takes.
func seconds(_ body: () throws -> Void) rethrows -> Double {
  try ContinuousClock().measure(body).inSeconds
}

/// A time taken after a twentieth of a second of the same work: a machine that was idle for a moment
/// has its threads asleep, often both on one core.
func steady(_ time: () throws -> Double?) rethrows -> Double? {
  let begin = ContinuousClock.now
  repeat { _ = try time() } while ContinuousClock.now - begin < .milliseconds(50)
  return try time()
}

/// Times a body and the peer in turn, A B A B …, after three rounds to warm up.
///
/// - Parameter commands: What the peer does the same by; all are timed, and the best median counts.
func compare(
  _ name: String, runs: Int, bar: Double? = nil, peer: Peer?, _ commands: [String],
  _ body: () throws -> Void
) rethrows -> Row {
  var own: [Double] = []
  var others: [String: [Double]] = [:]
  for run in 0..<runs + 3 {
    // The peer's threads keep spinning for a while after their work.
    if peer != nil { Thread.sleep(forTimeInterval: 0.03) }
    let time = try steady { try seconds(body) } ?? 0
    if run >= 3 { own.append(time) }
    for command in commands {
      if let time = steady({ peer?.time(command) }), run >= 3 {
        others[command, default: []].append(time)
      }
    }
  }
  var row = Row(name: name, canon: Times(own), bar: bar)
  let found = others.map { (command: $0.key, times: Times($0.value)) }
  if let best = found.min(by: { $0.times.median < $1.times.median }) {
    (row.peer, row.ratio) = (best.times, best.times.median / row.canon.median)
    row.note = best.command
  }
  FileHandle.standardError.write(
    Data(
      "\(name): \(row.canon.text)\(row.ratio.map { String(format: ", %.2f×", $0) } ?? "")\n".utf8))
  return row
}
