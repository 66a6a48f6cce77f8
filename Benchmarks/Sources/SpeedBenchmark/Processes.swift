import Datasets
import Foundation
import Images
import Synchronization
import TensorCore
import Training

/// A finished process: how long it ran, and the most memory that it held.
struct Finished {
  var seconds, peakBytes: Double
}

/// Runs a program to its end, its output thrown away.
///
/// - Throws: `BenchmarkError` where it cannot be started or fails.
func run(_ arguments: [String]) throws -> Finished {
  // What the program before has written is not written to the disk at this one's expense.
  sync()
  let begin = ContinuousClock.now
  var actions = posix_spawn_file_actions_t()
  posix_spawn_file_actions_init(&actions)
  posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0)
  defer { posix_spawn_file_actions_destroy(&actions) }
  var (process, status) = (pid_t(), Int32(0))
  let pointers = arguments.map { strdup($0) } + [nil]
  defer { pointers.forEach { free($0) } }
  let failure = BenchmarkError(description: "failed: \(arguments.joined(separator: " "))")
  guard posix_spawnp(&process, arguments[0], &actions, nil, pointers, environ) == 0 else {
    throw failure
  }
  // What wait4 says of memory counts this process's own, before the exec: another thread reads the high-water mark meanwhile.
  let watch = Watch(process)
  while waitpid(process, &status, 0) < 0 && errno == EINTR {}
  let seconds = (ContinuousClock.now - begin).inSeconds
  let peak = watch.stop()
  guard status == 0 else { throw failure }
  return Finished(seconds: seconds, peakBytes: peak)
}

/// Reads how much memory a process has held, without taking part in what is timed: a reading costs some 0.15 ms, which every
/// millisecond took a fifteenth of two cores.
private final class Watch: Sendable {
  private let peak = Mutex(0.0)
  private let isRunning = Atomic(true)
  private let end = DispatchSemaphore(value: 0)

  /// Begins to read: often at first, for what takes some milliseconds, then twenty times a second.
  init(_ process: pid_t) {
    Thread.detachNewThread { [self] in
      var readings = 0
      while isRunning.load(ordering: .relaxed) {
        let found = highWater(process)
        peak.withLock { $0 = max($0, found) }
        readings += 1
        usleep(readings < 100 ? 1000 : 50_000)
      }
      end.signal()
    }
  }

  /// Ends it: the most that was found.
  func stop() -> Double {
    isRunning.store(false, ordering: .relaxed)
    end.wait()
    return peak.withLock { $0 }
  }
}

/// The most memory that a process has held so far, in bytes.
private func highWater(_ process: pid_t) -> Double {
  let text = (try? String(contentsOfFile: "/proc/\(process)/status", encoding: .utf8)) ?? ""
  let line = text.split(separator: "\n").first { $0.hasPrefix("VmHWM:") }
  return (line?.split(separator: " ").dropFirst().first.flatMap { Double($0) } ?? 0) * 1024
}

struct BenchmarkError: Error, CustomStringConvertible { var description: String }

/// Whole processes: a folder, one picture, and the memory of both and of training.
struct ProcessRows {
  var times: [Row] = []
  var memory: [Row] = []

  init(
    canon: String, data: String, python: String?, script: String, steps: [String], rounds: Int,
    threads: Int
  ) throws {
    let place = FileManager.default.temporaryDirectory.appendingPathComponent(
      "canon-benchmark-\(ProcessInfo.processInfo.processIdentifier)"
    ).path
    defer { try? FileManager.default.removeItem(atPath: place) }
    let (source, model) = ("\(place)/in", "\(place)/model.safetensors")
    try FileManager.default.createDirectory(atPath: source, withIntermediateDirectories: true)
    let digits = try Digits(folder: data).rotated(.test).images
    for n in 0..<10_000 {
      try Image(digits[n]).write(to: source + String(format: "/%05d.png", n))
    }
    try benchmarkTrainer(order: 8).bestModel().write(to: model)
    let folder = (script as NSString).deletingLastPathComponent + "/peer_folder.py"
    let one = "\(source)/00000.png"
    let single = "\(place)/one"
    try FileManager.default.createDirectory(atPath: single, withIntermediateDirectories: true)
    try FileManager.default.copyItem(atPath: one, toPath: "\(single)/00000.png")
    let jobs = [
      (
        "folder of 10,000 PNGs, C8", 10.0,
        [canon, "predict", model, source, "--format", "csv", "--quiet", "--canonical"],
        [folder, source]
      ),
      (
        "one PNG, cold start", 300.0, [canon, "predict", model, one, "--canonical"],
        [folder, single]
      ),
    ]
    for (name, bar, own, peer) in jobs {
      var (mine, others): ([Finished], [Finished]) = ([], [])
      for round in 0..<(name.hasPrefix("one") ? 20 : rounds) {
        // A new folder each time: some file systems are slow where files were just deleted.
        let out = "\(place)/out-\(UUID().uuidString)"
        mine.append(try run(own + [out]))
        // What fails without saying so would be the fastest of all.
        guard FileManager.default.fileExists(atPath: out) else {
          throw BenchmarkError(description: "nothing was written: \(own.joined(separator: " "))")
        }
        if let python, round < rounds {
          others.append(try run(["env", python] + peer + [out + "-peer"]))
        }
      }
      times.append(ProcessRows.row(name, mine.map(\.seconds), others.map(\.seconds), bar))
      let memoryBar = name.hasPrefix("folder") ? 5.0 : nil
      memory.append(
        ProcessRows.row(name, mine.map(\.peakBytes), others.map(\.peakBytes), memoryBar))
    }
    for order in [4, 8] {
      let mine = try run(steps + ["\(order)"]).peakBytes
      var others: [Double] = []
      if let python, let peer = Peer(python: python, script: script, threads: threads) {
        for _ in 0..<10 { _ = peer.time("step C\(order) 0") }
        others = [peer.time("memory")].compactMap { $0 }
        peer.stop()
      }
      memory.append(ProcessRows.row("training step, 128, C\(order)", [mine], others, 10))
    }
  }

  private static func row(_ name: String, _ own: [Double], _ others: [Double], _ bar: Double?)
    -> Row
  {
    var row = Row(name: name, canon: Times(own), bar: bar)
    if !others.isEmpty {
      let times = Times(others)
      (row.peer, row.ratio) = (times, times.median / row.canon.median)
    }
    return row
  }
}
