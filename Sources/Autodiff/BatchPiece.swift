import TensorCore

/// One of several equal pieces of a batch, each computed with a tape of its own at the same time, in this process or in others.
///
/// Pieces go the same way, and meet where a layer looks at the whole batch.
public protocol BatchPiece: Sendable {
  /// Whether it is the first one of this process: it alone changes what the pieces share, such as running statistics.
  var isFirst: Bool { get }

  /// The numbers that all pieces bring, in the order of the pieces, once all have come.
  ///
  /// - Precondition: All bring equally many.
  func gather(_ numbers: [Double]) -> [[Double]]
}

extension BatchPiece {
  /// The sums of what all pieces bring, in the order of the pieces, and how many these are.
  func sums(_ numbers: [Double]) -> (sums: [Double], count: Int) {
    let parts = gather(numbers)
    let sums = parts.dropFirst().reduce(into: parts[0]) { sums, part in
      for n in sums.indices { sums[n] += part[n] }
    }
    return (sums, parts.count)
  }
}

extension Variable {
  /// The mean of what all pieces of a batch have here; the value itself where the batch is in one.
  ///
  /// Its gradient is that of the sum of the pieces' losses: the mean of the gradients that the pieces bring.
  public func mean(overPiecesOf tape: Tape) -> Variable {
    guard let piece = tape.piece else { return self }
    return Variable(value.mean(over: piece), inputs: [self]) { dy in [dy.mean(over: piece)] }
  }
}

extension Tensor {
  /// Summed in the order of the pieces, in `Double`.
  fileprivate func mean(over piece: any BatchPiece) -> Tensor {
    let (sums, count) = piece.sums(elements.map { Double($0) })
    return Tensor(sums.map { Float($0 / Double(count)) }, shape: shape)
  }
}

extension ChannelMoments {
  /// The moments of all pieces of a batch, of each of which these are so many rows' (Chan, Golub & LeVeque 1983).
  func combined(over piece: any BatchPiece, rows: Int) -> (moments: ChannelMoments, rows: Int) {
    let channels = mean.count
    let parts = piece.gather([Double(rows)] + mean + variance)
    var (mean, square) = (
      [Double](repeating: 0, count: channels), [Double](repeating: 0, count: channels)
    )
    var count = 0.0
    for part in parts {
      let (rows, total) = (part[0], count + part[0])
      for c in 0..<channels {
        let delta = part[1 + c] - mean[c]
        square[c] += part[1 + channels + c] * rows + delta * delta * count * rows / total
        mean[c] += delta * rows / total
      }
      count = total
    }
    return (ChannelMoments(mean: mean, variance: square.map { $0 / count }), Int(count))
  }
}
