import ArgumentParser
import Datasets
import Foundation
import Images
import TensorCore

/// One of several equal parts of a job, which one process of several does.
struct Shard: Codable, Hashable {
  /// From 1.
  let index: Int
  let count: Int

  /// - Parameter text: As `2/8`.
  init?(_ text: some StringProtocol) {
    let numbers = text.split(separator: "/", omittingEmptySubsequences: false).map { Int($0) }
    guard numbers.count == 2, let index = numbers[0], let count = numbers[1],
      index > 0
    else { return nil }
    self.init(index - 1, of: count)
  }

  /// The part that is this process's among those that MPI or Slurm has started; `nil` where neither has.
  ///
  /// Of Slurm the steps of `srun` and the tasks of an array count, of both together each step of each task. The script of a batch job is no step: it runs once.
  init?(environment: [String: String]) {
    // Of what no scheduler counts to nothing is computed.
    func number(_ name: String) -> Int? {
      environment[name].flatMap { Int32($0) }.flatMap { $0 < 0 ? nil : Int($0) }
    }
    let started = ["OMPI_COMM_WORLD", "PMI"].lazy.compactMap { prefix in
      number("\(prefix)_RANK").flatMap { rank in number("\(prefix)_SIZE").map { (rank, $0) } }
    }.first
    var (place, count, isFound) = (0, 1, false)
    if let id = number("SLURM_ARRAY_TASK_ID"), let tasks = number("SLURM_ARRAY_TASK_COUNT") {
      let step = max(1, number("SLURM_ARRAY_TASK_STEP") ?? 1)
      let first = number("SLURM_ARRAY_TASK_MIN") ?? 0
      // Some tasks of an array, done again, do not say of how many parts theirs are.
      let last = number("SLURM_ARRAY_TASK_MAX") ?? first + (tasks - 1) * step
      guard (last - first) / step + 1 == tasks, tasks > 1 || id == 0 else { return nil }
      place = (id - first) / step
      (count, isFound) = (tasks, true)
    }
    if let (rank, processes) = started {
      guard rank < processes else { return nil }
      (place, count, isFound) = (place * processes + rank, count * processes, true)
    } else if let steps = number("SLURM_STEP_NUM_TASKS"), environment["SLURM_PROCID"] != nil {
      guard let rank = number("SLURM_PROCID"), rank < steps else { return nil }
      (place, count, isFound) = (place * steps + rank, count * steps, true)
    }
    guard isFound else { return nil }
    self.init(place, of: count)
  }

  /// - Parameter place: From 0.
  private init?(_ place: Int, of count: Int) {
    guard (1...Shard.largestCount).contains(count), (0..<count).contains(place) else { return nil }
    (index, self.count) = (place + 1, count)
  }

  /// In how many parts a job can be.
  private static let largestCount = 1_000_000

  var text: String { "\(index)/\(count)" }

  /// The places of the inputs that are of this shard, which are dealt out in turn: all pages of a file are of one.
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

extension Shard? {
  /// Whether it says what is to be said once.
  var isFirst: Bool { self == nil || self?.index == 1 }

  /// The file of a part, as `later-2-of-8.safetensors`; of no part the file itself.
  func file(_ path: String) -> String {
    guard let shard = self else { return path }
    let name = Files.name(of: path)
    let ending = name.contains(".") ? "." + (name.split(separator: ".").last ?? "") : ""
    return "\(path.dropLast(ending.count))-\(shard.index)-of-\(shard.count)\(ending)"
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
          "--shard auto is for processes that mpirun, srun or a whole Slurm array has started; of one task alone name the part, as in --shard 2/8."
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
