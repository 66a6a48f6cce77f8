import Autodiff
import Datasets
import Foundation
import MessagePassing
import Optimizers
import Synchronization
import TensorCore

/// The equal pieces that a step's batch is computed in, some of them by this process and the others by others.
///
/// Each piece has a tape, and a thread, of its own. They meet at batch norms, whose moments are those of the whole batch, and at the
/// end: gradients are summed in the order of the pieces. The numbers of a step follow from the batch and the pieces, not from how
/// many processes compute them.
final class BatchPieces: Sendable {
  /// How many there are in all.
  let count: Int
  /// The ones of this process.
  let own: Range<Int>
  let processes: (any Communicator)?
  private let meeting: Meeting

  /// - Precondition: The number of processes divides `count`.
  init(_ count: Int, among processes: (any Communicator)?) {
    let all = processes?.count ?? 1
    require(count % all == 0, "\(count) pieces of a batch for \(all) processes")
    (self.count, self.processes) = (count, processes)
    let first = (processes?.rank ?? 0) * (count / all)
    own = first..<first + count / all
    meeting = Meeting(own.count, processes)
  }

  /// The piece of a number, from 0.
  func piece(_ n: Int) -> any BatchPiece { Piece(place: n - own.lowerBound, meeting: meeting) }

  private struct Piece: BatchPiece {
    let place: Int
    let meeting: Meeting
    var isFirst: Bool { place == 0 }
    func gather(_ numbers: [Double]) -> [[Double]] { meeting.gather(numbers, at: place) }
  }
}

extension BatchPieces {
  /// Computes the pieces of this process at the same time.
  ///
  /// - Parameters:
  ///   - parts: The examples of each.
  ///   - random: The random numbers of the piece of a number.
  /// - Returns: The losses of all pieces, and the gradients of their mean by the learner's parameters; none where a loss is
  ///   not a number.
  func gradients(
    of model: any TrainableModel, on parts: [Examples], _ learner: Learner,
    _ random: @escaping @Sendable (Int) -> RandomStream
  ) -> (losses: [Double], gradients: [Tensor?]) {
    let sum = GradientSum(self, learner.parameters.map(\.value.shape))
    let losses = Mutex<[Double]>([])
    let work: @Sendable (Int) -> Void = { [self] place in
      let piece = piece(own.lowerBound + place)
      let tape = Tape.training(random: random(own.lowerBound + place), piece: piece)
      let loss = model.loss(parts[place], on: tape)
      // Of all pieces, so that none goes on where one is not a number.
      let all = piece.gather([Double(loss.value.scalar)]).map { $0[0] }
      if piece.isFirst { losses.withLock { $0 = all } }
      let leaves = learner.leaves(on: tape)
      var left = Set(leaves.indices)
      if all.allSatisfy(\.isFinite) {
        _ = Gradients(of: loss, leaves: leaves) { n, gradient in
          left.remove(n)
          sum.add(gradient, by: n, of: place)
        }
      }
      for n in left { sum.add(nil, by: n, of: place) }
    }
    if processes == nil {
      Parallel.together(own.count, work)
      sum.run()
    } else {
      Parallel.together(own.count, beside: { sum.run() }, work)
    }
    return (losses.withLock { $0 }, sum.means)
  }
}

/// Where the pieces of a process wait for each other; the last one to come exchanges with other processes.
private final class Meeting: @unchecked Sendable {
  private let count: Int
  private let processes: (any Communicator)?
  private let condition = NSCondition()
  private var brought: [[Double]]
  private var came = 0
  private var round = 0
  private var result: [[Double]] = []

  init(_ count: Int, _ processes: (any Communicator)?) {
    (self.count, self.processes) = (count, processes)
    brought = Array(repeating: [], count: count)
  }

  func gather(_ numbers: [Double], at place: Int) -> [[Double]] {
    condition.lock()
    defer { condition.unlock() }
    brought[place] = numbers
    came += 1
    guard came == count else {
      let now = round
      // The next round cannot end before this piece comes to it.
      while round == now { condition.wait() }
      return result
    }
    let all = processes?.gather(bytes(of: brought.flatMap { $0 })) ?? []
    result =
      processes == nil
      ? brought
      : all.flatMap { part -> [[Double]] in
        let doubles: [Double] = numbers.isEmpty ? [] : values(of: part)
        return (0..<count).map {
          Array(doubles[$0 * numbers.count..<($0 + 1) * numbers.count])
        }
      }
    came = 0
    round += 1
    condition.broadcast()
    return result
  }
}

/// The bytes of numbers, as they lie in memory.
func bytes<Number: BitwiseCopyable>(of numbers: [Number]) -> [UInt8] {
  unsafe numbers.withUnsafeBytes { unsafe Array($0) }
}

/// Numbers of such bytes.
func values<Number: BitwiseCopyable>(of bytes: [UInt8]) -> [Number] {
  let count = bytes.count / MemoryLayout<Number>.stride
  return unsafe [Number](unsafeUninitializedCapacity: count) { numbers, initialized in
    unsafe bytes.withUnsafeBytes {
      unsafe UnsafeMutableRawBufferPointer(numbers).copyMemory(from: $0)
    }
    initialized = count
  }
}
