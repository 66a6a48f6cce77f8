import Autodiff
import Datasets
import Foundation
import Layers
import MessagePassing
import Synchronization
import TensorCore
import TestSupport
import Testing

@testable import Training

/// Processes of a test: threads of one program, which exchange through memory.
private final class Threads: Sendable {
  let count: Int
  private let boxes = Mutex<[String: [UInt8]]>([:])

  init(_ count: Int) { self.count = count }

  struct Process: Communicator {
    let all: Threads
    let rank: Int
    /// How many exchanges of either sort have begun.
    let rounds = Rounds()
    var count: Int { all.count }
    func exchange(_ blocks: [[UInt8]], sizes: [Int], isBackground: Bool) -> [[UInt8]] {
      let round = rounds.next(isBackground)
      for (other, block) in blocks.enumerated() {
        all.boxes.withLock { $0["\(isBackground) \(round) \(rank) \(other)"] = block }
      }
      return (0..<count).map { other in
        while true {
          let key = "\(isBackground) \(round) \(other) \(rank)"
          if let found = all.boxes.withLock({ $0.removeValue(forKey: key) }) { return found }
          usleep(50)
        }
      }
    }
    func finish() {}
  }

  final class Rounds: Sendable {
    private let counts = Mutex((0, 0))
    func next(_ isBackground: Bool) -> Int {
      counts.withLock {
        if isBackground { $0.0 += 1 } else { $0.1 += 1 }
        return isBackground ? $0.0 : $0.1
      }
    }
  }

  func process(_ rank: Int) -> any Communicator { Process(all: self, rank: rank) }
}

/// Runs a body on so many threads of their own.
private func together<Value: Sendable>(
  _ count: Int, _ body: @escaping @Sendable (Int) -> Value
) -> [Value] {
  let results = Mutex<[Int: Value]>([:])
  Parallel.together(count) { n in
    let value = body(n)
    results.withLock { $0[n] = value }
  }
  return results.withLock { results in (0..<count).compactMap { results[$0] } }
}

@Suite struct BatchPiecesTests {
  /// Rows of 5 numbers, through a batch norm and what follows.
  private func loss(_ norm: BatchNorm, _ head: Linear, _ rows: Tensor, on tape: Tape) -> Variable {
    head(norm(Variable(rows), on: tape), on: tape).squared().mean()
  }

  @Test(
    "A batch in pieces has the moments, the loss and the gradients of the whole", arguments: [2, 4])
  func whole(count: Int) throws {
    var random = RandomStream(seed: 3, name: "rows")
    // Pieces that differ much, so that moments of their own would be others.
    let rows =
      Tensor.uniform([8, 5], using: &random) + Tensor((0..<8).map { Float($0) }, shape: [8, 1])
    func layers() -> (BatchNorm, Linear) {
      var random = RandomStream(seed: 4, name: "layers")
      return (BatchNorm(5, relu: true), Linear(5, 3, using: &random))
    }
    let (norm, head) = layers()
    let tape = Tape.training(random: RandomStream(seed: 0, name: "a"))
    let whole = loss(norm, head, rows, on: tape)
    let parameters = (norm.parameters + head.parameters).map(\.parameter).filter(\.isTrainable)
    let leaves = parameters.map { tape.leaf(of: $0) }
    let known = Gradients(of: whole)
    let (other, otherHead) = layers()
    let others = (other.parameters + otherHead.parameters).map(\.parameter).filter(\.isTrainable)
    let pieces = BatchPieces(count, among: nil)
    let found = together(count) { n -> (Double, [Tensor?]) in
      let tape = Tape.training(random: RandomStream(seed: 0, name: "b"), piece: pieces.piece(n))
      let size = 8 / count
      let loss = loss(other, otherHead, rows.sliced(n * size..<(n + 1) * size), on: tape)
      let leaves = others.map { tape.leaf(of: $0) }
      let gradients = Gradients(of: loss)
      return (Double(loss.value.scalar), leaves.map { $0.flatMap { gradients[$0] } })
    }
    let mean = found.map(\.0).reduce(0, +) / Double(count)
    #expect(abs(mean - Double(whole.value.scalar)) < 1e-5)
    for (n, leaf) in leaves.enumerated() {
      let expected = try #require(leaf.flatMap { known[$0] }).elements
      let parts = try found.map { try #require($0.1[n]).elements }
      for i in expected.indices {
        let mean = parts.reduce(0) { $0 + $1[i] } / Float(count)
        #expect(abs(mean - expected[i]) < 1e-4 * max(1, abs(expected[i])), "\(n) \(i)")
      }
    }
    // Running statistics moved once, by the moments of all.
    for (one, two) in zip(norm.parameters, other.parameters) where !one.parameter.isTrainable {
      for (a, b) in zip(one.parameter.value.elements, two.parameter.value.elements) {
        #expect(abs(a - b) < 1e-5)
      }
    }
  }

  @Test("A gradient is told when it is whole, once for each leaf")
  func told() {
    let (a, b) = (
      Variable(Tensor([2, 3]), requiresGradient: true),
      Variable(Tensor([5, 7]), requiresGradient: true)
    )
    var seen: [(Int, [Float])] = []
    let all = Gradients(of: (a * b + a * a).sum(), leaves: [b, nil, a]) { leaf, gradient in
      seen.append((leaf, gradient.elements))
    }
    #expect(seen.map(\.0).sorted() == [0, 2])
    for (leaf, gradient) in seen { #expect(all[leaf == 0 ? b : a]?.elements == gradient) }
    #expect(all[a]?.elements == [9, 13] && all[b]?.elements == [2, 3])
  }

  /// A run of some steps, in pieces, on processes.
  private func run(pieces: Int, processes: Int, resume: Safetensors? = nil, steps: Int) throws
    -> [Safetensors]
  {
    let text = """
      name: pieces
      data: {kind: drawn, count: 80}
      canonicalizer: {kind: learned, group: C4, layers: 2, channels: 4}
      backbone: {kind: mlp}
      training: {epochs: 4, batch: 8, pieces: \(pieces), augment: true}
      """
    let configuration = try RunConfiguration(text: text, source: "test")
    let data = try configuration.loadData()
    let threads = Threads(processes)
    return together(processes) { rank in
      do {
        var trainer = try Trainer(
          configuration, data: data, among: processes > 1 ? threads.process(rank) : nil)
        if let resume { try trainer.resume(from: resume, path: "before") }
        for _ in 0..<steps { try trainer.advance() }
        return trainer.checkpoint
      } catch {
        Issue.record(error)
        return Safetensors(tensors: [:])
      }
    }
  }

  @Test("Any number of processes that divides the pieces comes to the same numbers, bit for bit")
  func sameNumbers() throws {
    let one = try run(pieces: 4, processes: 1, steps: 5)[0]
    #expect(one.tensors.count > 10)
    for count in [2, 4] {
      for file in try run(pieces: 4, processes: count, steps: 5) {
        #expect(file.tensors == one.tensors && file.metadata == one.metadata, "\(count)")
      }
    }
    // Other pieces have random numbers of their own.
    #expect(try run(pieces: 2, processes: 1, steps: 5)[0].tensors != one.tensors)
    // A run goes on with another number.
    let half = try run(pieces: 4, processes: 4, steps: 2)[3]
    for count in [1, 2] {
      let rest = try run(pieces: 4, processes: count, resume: half, steps: 3)
      #expect(rest[0].tensors == one.tensors)
    }
  }

  @Test(
    "Validation that is shared has the figures of one process, bit for bit",
    arguments: ["{kind: drawn, count: 2500}", "{kind: bodies}"])
  func validation(data: String) throws {
    let isBodies = data.contains("bodies")
    let configuration = try RunConfiguration(
      text: "data: \(data)\n"
        + (isBodies ? "" : "canonicalizer: {kind: learned, group: C8, layers: 2, channels: 5}\n")
        + "training: {batch: 12, epochs: 1}", source: "test")
    let trainer = try Trainer(configuration, data: try configuration.loadData())
    let (model, valid) = (trainer.model, trainer.data.valid)
    // Lots that are whole and one that is not.
    #expect(valid.count > 3 * 128 && valid.count % 128 != 0)
    let one = model.quality(on: valid)
    #expect(one.loss.isFinite)
    for count in [2, 3, 5] {
      let threads = Threads(count)
      for found in together(count, { model.quality(on: valid, among: threads.process($0)) }) {
        #expect(found.loss == one.loss && found.error == one.error, "\(count)")
        #expect(found.lossSampling == one.lossSampling)
        #expect(found.calibrationError == one.calibrationError)
      }
    }
  }

  @Test("Pieces that are not equal, or not to be shared, are refused")
  func refused() throws {
    func configuration(_ training: String) throws -> RunConfiguration {
      try RunConfiguration(
        text: "data: {kind: drawn, count: 80}\ntraining: \(training)", source: "test")
    }
    #expect(throws: (any Error).self) { try configuration("{batch: 8, pieces: 3}") }
    let settings = try configuration("{batch: 8, pieces: 2}")
    let data = try settings.loadData()
    #expect(throws: TrainingError.self) {
      try Trainer(settings, data: data, among: Threads(4).process(0))
    }
  }

  @Test("Processes that begin with something else are told in what they differ")
  func differing() throws {
    func refusal(_ other: String) -> String {
      let threads = Threads(2)
      return together(2) { rank in
        do {
          let settings = try RunConfiguration(
            text: "data: {kind: drawn, count: 80}\nbackbone: {kind: mlp}\n"
              + "training: {batch: 8, pieces: 2, epochs: 1}\n" + (rank == 1 ? other : ""),
            source: "test")
          var run = try TrainingRun(
            settings, folder: "", isKept: false,
            among: threads.process(rank))
          try run.train()
          return ""
        } catch { return "\(error)" }
      }[1]
    }
    #expect(refusal("") == "")
    #expect(refusal("name: other").contains("another configuration than"))
    #expect(refusal("seed: 4").contains("another configuration than"))
  }

  @Test("MPI is used where several processes were started")
  func environment() {
    #expect(MPI.isUsed(in: ["OMPI_COMM_WORLD_SIZE": "2"]))
    #expect(MPI.isUsed(in: ["PMIX_RANK": "0", "SLURM_STEP_NUM_TASKS": "4"]))
    for other in [[:], ["OMPI_COMM_WORLD_SIZE": "1"], ["SLURM_PROCID": "0", "SLURM_NTASKS": "8"]] {
      #expect(!MPI.isUsed(in: other))
    }
  }
}
