// Feeds changed files of every kind to the commands, in a child process that may fall: no trap, no input that takes
// over a second, memory within the limit.
//
//     Fuzz [--inputs 100000] [--seed 0] [--kinds png,manifest] [--crashes FOLDER]

import Foundation

func option(_ name: String, _ fallback: String) -> String {
  let words = CommandLine.arguments
  return words.firstIndex(of: "--\(name)").flatMap {
    words.indices.contains($0 + 1) ? words[$0 + 1] : nil
  } ?? fallback
}

let seed = UInt64(option("seed", "0")) ?? 0
let inputs = Int(option("inputs", "100000")) ?? 100_000

func input(_ kind: Kind, _ seeds: [Bytes], _ n: Int) -> Bytes {
  var dice = Dice(state: seed &* 0x1_0000_0001 &+ UInt64(n) &* 0x9E37_79B9)
  return kind.mutate(seeds[dice.roll(seeds.count)], seeds[dice.roll(seeds.count)], &dice)
}

/// What a kind needs beside its seeds.
func prepare(_ kind: Kind, in folder: String) throws {
  guard kind.name == "idx" else { return }
  try """
  data: {kind: idx, path: \(folder)/images-idx3-ubyte, targets: \(folder)/labels}
  input: {size: 8}
  canonicalizer: pca
  backbone: {kind: mlp, width: 2}
  training: {batch: 2, epochs: 1}
  """.write(toFile: "\(folder)/idx.yaml", atomically: true, encoding: .utf8)
}

func number(_ path: String) -> Int {
  (try? String(contentsOfFile: path, encoding: .utf8)).flatMap { Int($0.prefix { $0 != " " }) }
    ?? -1
}

/// Of the processor, in all threads: a machine that is busy with others is not our slowness.
func processSeconds() -> Double {
  var time = timespec()
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
  return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
}

extension String {
  func append(to path: String) throws {
    let old = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
    try (old + self).write(toFile: path, atomically: true, encoding: .utf8)
  }
}

#if !GUIDED
  @main
#endif
struct Fuzz {
  static func main() throws {
    // The child: all inputs from a place on.
    if let kind = kinds.first(where: { $0.name == option("child", "") }) {
      let folder = option("folder", ".")
      let seeds = try kind.seeds(folder)
      let place = open("\(folder)/place", O_WRONLY | O_CREAT, 0o644)
      var slowest = 0.0
      for n in (Int(option("from", "0")) ?? 0)..<inputs {
        let text = "\(n)                    "
        _ = text.withCString { pwrite(place, $0, 16, 0) }
        let bytes = input(kind, seeds, n)
        func measured() throws -> Double {
          let start = processSeconds()
          try kind.use(bytes, folder, n)
          return processSeconds() - start
        }
        var seconds = try measured()
        // What is slow is slow each time; a machine may stand still once.
        for _ in 0..<2 where seconds > 1 { seconds = min(seconds, try measured()) }
        slowest = max(slowest, seconds)
        if seconds > 1 { try? "\(n)\n".append(to: "\(folder)/slow") }
      }
      var usage = rusage()
      getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
      try "\(slowest) \(usage.ru_maxrss) \(completed)".write(
        toFile: "\(folder)/report", atomically: true, encoding: .utf8)
      exit(0)
    }

    var isClean = true
    let crashes = option("crashes", "fuzz-crashes")
    for kind in kinds
    where option("kinds", kind.name).split(separator: ",").contains(kind.name[...]) {
      let folder =
        FileManager.default.temporaryDirectory.path + "/canon-fuzz-\(getpid())-\(kind.name)"
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
      try prepare(kind, in: folder)
      let start = Date()
      var (from, traps, hangs) = (0, 0, 0)
      while from < inputs {
        let child = Process()
        child.executableURL = URL(fileURLWithPath: CommandLine.arguments[0])
        child.arguments = [
          "--child", kind.name, "--folder", folder, "--from", "\(from)", "--inputs", "\(inputs)",
          "--seed", "\(seed)",
        ]
        child.environment = ProcessInfo.processInfo.environment.merging([
          "SWIFT_BACKTRACE": "enable=no"
        ]
        ) { $1 }
        child.standardOutput = FileHandle.nullDevice
        child.standardError = FileHandle.nullDevice
        try child.run()
        var (last, since, isHung) = (-1, Date(), false)
        while child.isRunning {
          usleep(20_000)
          let now = number("\(folder)/place")
          if now != last { (last, since) = (now, Date()) }
          if Date().timeIntervalSince(since) > 20 && last >= 0 {
            isHung = true
            kill(child.processIdentifier, SIGKILL)
          }
        }
        child.waitUntilExit()
        let place = number("\(folder)/place")
        if child.terminationReason == .exit && child.terminationStatus == 0 { break }
        guard place >= from else {
          print("\(kind.name): the child did not begin (status \(child.terminationStatus))")
          isClean = false
          break
        }
        if isHung { hangs += 1 } else { traps += 1 }
        try FileManager.default.createDirectory(atPath: crashes, withIntermediateDirectories: true)
        for file in try FileManager.default.subpathsOfDirectory(atPath: folder)
        where [
          "x.png", "model.safetensors", "images-idx3-ubyte", "labels", "manifest.jsonl",
          "checkpoint.safetensors",
        ]
        .contains(URL(fileURLWithPath: file).lastPathComponent) {
          let name =
            "\(crashes)/\(kind.name)-\(place)-\(URL(fileURLWithPath: file).lastPathComponent)"
          try? FileManager.default.removeItem(atPath: name)
          try? FileManager.default.copyItem(atPath: "\(folder)/\(file)", toPath: name)
        }
        if traps + hangs >= 30 {
          print("\(kind.name): stopped after \(traps) traps and \(hangs) hangs, at input \(place)")
          break
        }
        from = place + 1
      }
      let report = ((try? String(contentsOfFile: "\(folder)/report", encoding: .utf8)) ?? "").split(
        separator: " ")
      let slow = ((try? String(contentsOfFile: "\(folder)/slow", encoding: .utf8)) ?? "").split(
        separator: "\n"
      ).count
      let seconds = Date().timeIntervalSince(start)
      print(
        "\(kind.name): \(inputs) inputs in \(Int(seconds)) s, \(traps) traps, \(hangs) hangs, \(slow) over a second of processor time"
          + (report.count == 3
            ? ", slowest \(Int((Double(report[0]) ?? 0) * 1000)) ms, largest memory \((Int(report[1]) ?? 0) >> 10) MiB, \(report[2]) commands came to their end"
            : ""))
      fflush(nil)
      isClean = isClean && traps + hangs + slow == 0
      if isClean { try? FileManager.default.removeItem(atPath: folder) }
    }
    exit(isClean ? 0 : 1)
  }
}
