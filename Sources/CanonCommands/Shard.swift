import ArgumentParser
import Datasets
import Foundation
import Images
import TensorCore

/// One of several equal parts of a job, which one process of several does.
struct Shard: Codable, Equatable {
  /// From 1.
  let index: Int
  let count: Int

  /// - Parameter text: As `2/8`.
  init?(_ text: some StringProtocol) {
    let numbers = text.split(separator: "/", omittingEmptySubsequences: false).map { Int($0) }
    guard numbers.count == 2, let index = numbers[0], let count = numbers[1],
      (1...1_000_000).contains(count), (1...count).contains(index)
    else { return nil }
    (self.index, self.count) = (index, count)
  }

  /// The part that is this process's among those that MPI or Slurm has started; `nil` where neither has.
  ///
  /// Of Slurm the steps of `srun` and the tasks of an array count, of both together each step of each task. The script of a batch job is no step: it runs once.
  init?(environment: [String: String]) {
    func number(_ name: String) -> Int? { environment[name].flatMap { Int($0) } }
    for prefix in ["OMPI_COMM_WORLD", "PMI"] {
      if let rank = number("\(prefix)_RANK"), let count = number("\(prefix)_SIZE"),
        (0..<max(0, count)).contains(rank)
      {
        (index, self.count) = (rank + 1, count)
        return
      }
    }
    var (place, count, isFound) = (0, 1, false)
    if let id = number("SLURM_ARRAY_TASK_ID"), let tasks = number("SLURM_ARRAY_TASK_COUNT") {
      let step = max(1, number("SLURM_ARRAY_TASK_STEP") ?? 1)
      place = (id - (number("SLURM_ARRAY_TASK_MIN") ?? 0)) / step
      (count, isFound) = (tasks, true)
    }
    if let rank = number("SLURM_PROCID"), let steps = number("SLURM_STEP_NUM_TASKS") {
      (place, count, isFound) = (place * steps + rank, count * steps, true)
    }
    guard isFound, (0..<max(0, count)).contains(place) else { return nil }
    (index, self.count) = (place + 1, count)
  }

  var text: String { "\(index)/\(count)" }

  /// The elements that are of this shard, which are dealt out in turn.
  func some<Element>(of all: [Element]) -> [Element] {
    stride(from: index - 1, to: all.count, by: count).map { all[$0] }
  }

  /// The places of the inputs that are of this shard: all pages of a file are of one.
  func places(in names: [String]) -> [Int] {
    var (file, last): (Int, String?) = (-1, nil)
    return names.indices.filter { n in
      let parent = Files.parent(of: names[n])
      let isPage = ImageCodecs.isImage(parent)
      if !isPage || last?.isSameName(as: parent) != true { file += 1 }
      last = isPage ? parent : nil
      return file % count == index - 1
    }
  }
}

extension Shard {
  /// The parts of jobs of which something is in a folder of outputs: a manifest, a list of files, or a journal of what is done.
  static func written(in folder: String) -> [Shard] {
    let shards = (Files.names(in: folder) ?? []).compactMap { name -> Shard? in
      for (start, ending) in [
        ("manifest-", ".jsonl"), (".canon-journal-", ".jsonl"), (".canon-", ""),
      ] where name.hasPrefix(start) && name.hasSuffix(ending) {
        let numbers = name.dropFirst(start.count).dropLast(ending.count)
        if let shard = Shard(numbers.replacing("-of-", with: "/")) { return shard }
      }
      return nil
    }
    return shards.reduce(into: []) { all, shard in if !all.contains(shard) { all.append(shard) } }
  }
}

extension Shard? {
  /// Whether it says what is to be said once.
  var isFirst: Bool { self == nil || self?.index == 1 }

  /// The name of a file that each shard has one of: `manifest.jsonl`, or `manifest-2-of-8.jsonl`.
  func fileName(_ name: String, _ ending: String) -> String {
    name + (map { "-\($0.index)-of-\($0.count)" } ?? "") + ending
  }
}

/// The flag by which a command does one part of several.
struct ShardOptions: ParsableArguments {
  @Option(
    name: .customLong("shard"),
    help: ArgumentHelp(
      "Do one part of several, as 2/8 the second of eight, on this machine or on several; auto: the part of this process among those that mpirun, srun or a Slurm array started. `canon merge` joins what they wrote.",
      valueName: "i/n"))
  var text: String?

  func validate() throws { _ = try shard() }

  /// - Throws: `ValidationError` for what is no part.
  func shard() throws -> Shard? {
    guard let text else { return nil }
    if text == "auto" {
      guard let shard = Shard(environment: ProcessInfo.processInfo.environment) else {
        throw ValidationError(
          "--shard auto is for processes that mpirun, srun or a Slurm array has started; name the part, as in --shard 2/8."
        )
      }
      return shard
    }
    guard let shard = Shard(text) else {
      throw ValidationError("--shard must be a part of so many, as in 2/8, or auto, not '\(text)'.")
    }
    return shard
  }
}
