public import Autodiff
public import Symmetry
public import TensorCore

/// A canonicalizer of sets whose members have places, vectors and numbers, under isometries of space.
public protocol PointCanonicalizer: TrainableCanonicalizer where InputAction == PointAction {}

/// The canonicalizer that leaves every set as it is.
public struct IdentityFrame: PointCanonicalizer {
  public let action: PointAction

  public init(_ action: PointAction) {
    self.action = action
  }

  public func poses(of batch: Tensor) -> [Pose<AffineMap>] {
    [Pose](repeating: Pose(action.group.identity), count: batch.shape[0])
  }
}

extension PointAction {
  /// The mean of each set's points, `[batch, 1, d]`: of the first columns of the kind, the origin
  /// where translations are not of the group.
  func origins(of batch: Tensor) -> Tensor {
    let points = parts(of: batch).first { $0.kind == .point }
    guard group.hasTranslations, let points else {
      return .zeros([batch.shape[0], 1, group.spaceDimension])
    }
    return points.values.mean([1], keepingAxes: true)
  }
}

extension IdentityFrame: ExportableCanonicalizer {
  public func poseVariables(of batch: Variable, on tape: Tape) -> PoseVariables { PoseVariables() }
}

extension Tensor {
  /// The mean step from each point to its nearest others, `[batch, points, d]` → the same.
  ///
  /// - Complexity: O(points²) a set, in parallel over sets.
  func meanStepToNeighbors(_ count: Int) -> Tensor {
    let (batch, points, d) = (shape[0], shape[1], shape[2])
    let values = elements
    let steps = Parallel.map(Array(0..<batch)) { n -> [Float] in
      let set = Array(values[n * points * d..<(n + 1) * points * d])
      var result = [Float](repeating: 0, count: points * d)
      for i in 0..<points {
        var nearest: [(square: Float, point: Int)] = []
        for j in 0..<points where j != i {
          var square: Float = 0
          for c in 0..<d {
            let step = set[j * d + c] - set[i * d + c]
            square += step * step
          }
          if nearest.count == count && square >= nearest[count - 1].square { continue }
          if nearest.count == count { nearest.removeLast() }
          let place = nearest.firstIndex { $0.square > square } ?? nearest.count
          nearest.insert((square, j), at: place)
        }
        for c in 0..<d {
          let sum = nearest.reduce(0) { $0 + set[$1.point * d + c] - set[i * d + c] }
          result[i * d + c] = sum / Float(max(1, nearest.count))
        }
      }
      return result
    }
    return Tensor(steps.flatMap { $0 }, shape: shape)
  }
}

extension PointAction {
  /// The parts of a batch, by what they are.
  func parts(of batch: Variable) -> [(kind: Columns, values: Variable)] {
    ranges.map { ($0.kind, batch.sliced($0.range, axis: 2)) }
  }

  /// The mean of the points of each set, `[batch, 1, d]`; `nil` for a group that leaves the origin.
  func origins(of batch: Variable) -> Variable? {
    guard group.hasTranslations, let points = parts(of: batch).first(where: { $0.kind == .point })
    else { return nil }
    return points.values.mean([1], keepingAxes: true)
  }
}

extension Variable {
  /// The mean step from each point to its nearest neighbors, as `Tensor.meanStepToNeighbors` finds it; of several that are
  /// as far the first are taken.
  func meanStepToNeighbors(_ count: Int) -> Variable {
    let (points, d) = (shape[1], shape[2])
    let steps = reshaped([-1, 1, points, d]) - reshaped([-1, points, 1, d])
    let own = Tensor(
      (0..<points * points).map { $0 % (points + 1) == 0 ? -Float.greatestFiniteMagnitude : 0 },
      shape: [points, points])
    var nearness = Variable(own) - steps.squared().sum([3])
    let none = Variable(Tensor(-Float.infinity))
    var isNear = nearness * 0
    for _ in 0..<count {
      let next = nearness.firstLargest()
      (isNear, nearness) = (isNear + next, .choose(next, none, nearness))
    }
    let sum = (steps * isNear.reshaped([-1, points, points, 1])).sum([2])
    return sum * (1 / Float(count))
  }
}
