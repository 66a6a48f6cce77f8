import Foundation
import TensorCore

/// Progress with rate and time left: a bar that is redrawn on a terminal, a plain line now and then
/// elsewhere.
struct Progress {
  private let total: Int
  private let unit: String
  private let isQuiet: Bool
  private let isTerminal = isatty(STDERR_FILENO) == 1
  private let begin = ContinuousClock.now
  private var lastDrawn: ContinuousClock.Instant?
  private let start: Int

  init(total: Int, unit: String, from start: Int = 0, isQuiet: Bool) {
    self.total = total
    self.unit = unit
    self.start = start
    self.isQuiet = isQuiet
  }

  /// Of a job that goes on where it was stopped, which is said.
  ///
  /// `out`: Where its outputs are.
  init(total: Int, unit: String, goingOnAt done: Int, in out: String, isQuiet: Bool) {
    if done > 0 && !isQuiet {
      note("\(out): going on with a job that was stopped; \(done) of \(total) \(unit) are done.")
    }
    self.init(total: total, unit: unit, from: done, isQuiet: isQuiet)
  }

  /// Shows that `done` of the total are done, not more often than is useful.
  mutating func update(_ done: Int, _ remark: String = "") {
    guard !isQuiet else { return }
    let now = ContinuousClock.now
    let pause: Duration = isTerminal ? .milliseconds(100) : .seconds(15)
    if done < total, let lastDrawn, now - lastDrawn < pause { return }
    if !isTerminal && lastDrawn == nil && done < total {
      lastDrawn = now
      return
    }
    lastDrawn = now
    let seconds = (now - begin).inSeconds
    let rate = Double(done - start) / max(seconds, 1e-9)
    let left = Progress.clock(Double(total - done) / max(rate, 1e-9))
    let percent = 100 * done / max(1, total)
    let text =
      "\(done)/\(total) \(unit) (\(percent) %), \(rate.formatted(1))/s, \(left) left \(remark)"
    guard isTerminal else { return note(text) }
    let filled = 24 * done / max(1, total)
    let bar = String(repeating: "█", count: filled) + String(repeating: "░", count: 24 - filled)
    FileHandle.standardError.write(Data("\r\u{1B}[K\(bar) \(text)".utf8))
    if done >= total { FileHandle.standardError.write(Data("\n".utf8)) }
  }

  private static func clock(_ seconds: Double) -> String {
    let whole = Int(min(seconds, 1e7).rounded())
    return whole >= 3600
      ? String(format: "%d:%02d:%02d", whole / 3600, whole / 60 % 60, whole % 60)
      : String(format: "%d:%02d", whole / 60, whole % 60)
  }
}
