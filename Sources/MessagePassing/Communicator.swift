/// Processes that compute one thing together, and exchange bytes.
///
/// What one's own transport has to do to train on it; `MPI` is one.
public protocol Communicator: Sendable {
  /// Which of the processes this is, from 0.
  var rank: Int { get }
  /// How many there are.
  var count: Int { get }

  /// Gives each process a block of bytes, and takes one from each; waits for all.
  ///
  /// - Parameters:
  ///   - blocks: One for each process, in the order of ranks; this one's own comes back as it is.
  ///   - sizes: How many bytes come from each.
  ///   - isBackground: Whether it happens beside a computation: on a thread of its own, and without haste. One exchange of each
  ///     of both sorts may be under way, and all processes begin those of a sort in the same order.
  func exchange(_ blocks: [[UInt8]], sizes: [Int], isBackground: Bool) -> [[UInt8]]

  /// Leaves the others, once all do; nothing is exchanged afterwards.
  func finish()
}

extension Communicator {
  /// What each process has, in the order of ranks, of the same size on each.
  public func gather(_ bytes: [UInt8], isBackground: Bool = false) -> [[UInt8]] {
    exchange(
      Array(repeating: bytes, count: count), sizes: Array(repeating: bytes.count, count: count),
      isBackground: isBackground)
  }
}
