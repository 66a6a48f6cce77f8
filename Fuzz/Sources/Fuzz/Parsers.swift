// What reads each kind of file, without the command around it: some thousands of inputs a second.
#if GUIDED
  import Canon
  @testable import CanonCommands
  import Foundation

  /// Reads an input, in a folder of its own.
  typealias Parser = @Sendable (_ input: Bytes, _ folder: String, _ count: Int) throws -> Void

  /// Reads every page, and writes the first one again in its own format.
  private func images(_ ending: String) -> Parser {
    { input, folder, _ in
      put(input, "\(folder)/x.\(ending)")
      for page in ImageCodecs.pages(of: "x.\(ending)", in: folder).prefix(4) {
        _ = try Image(path: "\(folder)/\(page)").encoded(as: ending)
      }
    }
  }

  private let network: Parser = { input, folder, _ in
    put(input, "\(folder)/input.safetensors")
    _ = try ModelFile(path: "\(folder)/input.safetensors").model()
  }

  /// A run that came to its end, whose checkpoint is the seed.
  nonisolated(unsafe) private var run: TrainingRun?

  private let checkpoint: Parser = { input, folder, _ in
    if run == nil {
      let text = try String(contentsOfFile: "\(folder)/run.yaml", encoding: .utf8)
      run = try TrainingRun(
        RunConfiguration(text: text, source: "fuzz"), folder: "\(folder)/again")
    }
    put(input, "\(folder)/input.safetensors")
    let file = try Safetensors(path: "\(folder)/input.safetensors")
    var trainer = run?.trainer
    try trainer?.resume(from: file, path: "input")
  }

  let parsers: [String: Parser] = [
    "png": images("png"), "jpeg": images("jpg"), "tiff": images("tif"), "webp": images("webp"),
    "tar": { input, folder, _ in
      put(input, "\(folder)/x.tar")
      let archive = try TarArchive(path: "\(folder)/x.tar")
      for name in archive.names { _ = (archive.bytes(of: name), archive.pages(of: name)) }
    },
    "safetensors": network, "checkpoint": checkpoint,
    "idx": { input, folder, _ in
      put(input, "\(folder)/x-idx")
      _ = try IDX(path: "\(folder)/x-idx")
    },
    "manifest": { input, folder, _ in
      put(input, "\(folder)/canonical/manifest.jsonl")
      _ = try Manifest(folder: "\(folder)/canonical")
    },
    "journal": { input, folder, _ in
      // By the input alone: what falls falls again.
      let count = input.count
      let file = [OwnFile.journal, .journal, .ledger][count % 3]
      let path = file.path(in: "\(folder)/out")
      put(input, path)
      defer { unlink(path) }
      _ = OutputLedger(folder: "\(folder)/out")
      guard file == .journal else { return }
      let job = JobDescription("canonicalize", [:])
      // Half of them are of this job, whatever they begin with.
      if count % 2 == 0, let end = input.firstIndex(of: 0x0A) {
        put(Bytes("canon journal 1: \(job.text)".utf8) + input[end...], path)
      }
      let journal = try Journal(
        "\(folder)/out", job, inputs: "\(folder)/in", names: (0..<3).map { "\($0).png" },
        shard: nil)
      try journal.forEach { _, _ in }
    },
  ]
#endif
