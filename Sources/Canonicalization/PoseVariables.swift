public import Autodiff
public import Symmetry
import TensorCore

/// A canonicalizer whose poses are a computation of variables: what a pipeline that is exported can carry out.
///
/// **Law.** The poses are those of `poses(of:)` to rounding. Which of several equal scores wins may differ: there the
/// computation takes the first, and does not look for an image's exact normal form.
public protocol ExportableCanonicalizer: TrainableCanonicalizer {
  /// How inputs are moved by poses.
  var inputs: any ExportableQuantity { get }

  /// The pose of each member of a batch, and its margin; nothing in it may depend on how many these are.
  ///
  /// - Throws: `NotExportable` where its settings ask for what cannot be written down.
  func poseVariables(of batch: Variable, on tape: Tape) throws(NotExportable) -> PoseVariables

  /// The pose and its ties, of which another canonicalizer chooses; for each member as many.
  ///
  /// - Throws: `NotExportable`.
  func candidateVariables(
    of batch: Variable, on tape: Tape
  ) throws(NotExportable) -> [PoseVariables]

  /// The frame of each member, of `count` poses where it can have any number, with their weights `[batch, 1]`.
  ///
  /// - Throws: `NotExportable`.
  func frameVariables(
    of batch: Variable, count: Int, on tape: Tape
  ) throws(NotExportable) -> [(pose: PoseVariables, weight: Variable)]
}

extension ExportableCanonicalizer {
  /// The candidates, all of one weight.
  public func frameVariables(
    of batch: Variable, count: Int, on tape: Tape
  ) throws(NotExportable) -> [(pose: PoseVariables, weight: Variable)] {
    let all = try candidateVariables(of: batch, on: tape)
    let weight = Variable(Tensor(repeating: 1 / Float(all.count), shape: [1, 1]))
    return all.map { ($0, weight) }
  }

  public func candidateVariables(
    of batch: Variable, on tape: Tape
  ) throws(NotExportable) -> [PoseVariables] { [try poseVariables(of: batch, on: tape)] }
}

extension ExportableCanonicalizer where Self: ImageCanonicalizer {
  public var inputs: any ExportableQuantity {
    Pixels(action.interpolation, border: action.border)
  }
}

extension ExportableCanonicalizer where InputAction == AffineImageAction {
  public var inputs: any ExportableQuantity {
    Pixels(action.interpolation, border: action.border)
  }
}

extension ExportableCanonicalizer where InputAction == PointAction {
  public var inputs: any ExportableQuantity {
    Members(action.columns, dimension: action.group.spaceDimension)
  }
}

extension ExportableCanonicalizer where InputAction == PermutationAction {
  public var inputs: any ExportableQuantity { Members([], dimension: 1) }
}

/// What of a model cannot be written down as a graph of operators, in a sentence.
public struct NotExportable: Error, CustomStringConvertible {
  public let description: String
  public init(_ description: String) { self.description = description }
}

/// A pose of each member of a batch, as a computation: input = pose · form.
public struct PoseVariables {
  /// The linear part, `[batch, d, d]`; `nil` for the identity.
  public var matrix: Variable?
  /// `[batch, d]`, of images relative to half the smaller side, *y* down; `nil` for none.
  public var translation: Variable?
  /// Whether the linear part is orthogonal, so that its transpose undoes it.
  public var isOrthogonal: Bool
  /// Of sets that are sorted, `[batch, members, members]`: 1 where a place of the form, the row, is taken by a member.
  public var order: Variable?
  /// `[batch]`; `nil` for an infinite one.
  public var margin: Variable?

  public init(
    matrix: Variable? = nil, translation: Variable? = nil, isOrthogonal: Bool = true,
    order: Variable? = nil, margin: Variable? = nil
  ) {
    (self.matrix, self.translation, self.isOrthogonal) = (matrix, translation, isOrthogonal)
    (self.order, self.margin) = (order, margin)
  }

  /// Motions that are constants; `nil` where one is of a group that is no geometry.
  public init?(_ motions: [Motion]) {
    guard motions.allSatisfy({ $0.others.isEmpty }) else { return nil }
    let count = motions.count
    self.init()
    if let d = motions.lazy.compactMap({ $0.map?.dimension ?? $0.isometry.map { _ in 2 } }).first {
      let maps = motions.map { $0.map ?? ($0.isometry == nil ? .identity(d) : $0.planarMap) }
      matrix = Variable(
        Tensor(maps.flatMap { $0.matrix.map { Float($0) } }, shape: [count, d, d]))
      isOrthogonal = motions.allSatisfy { $0.map == nil || $0.isOrthogonal }
      if maps.contains(where: { $0.translation.contains { $0 != 0 } }) {
        translation = Variable(
          Tensor(maps.flatMap { $0.translation.map { Float($0) } }, shape: [count, d]))
      }
    }
    if let members = motions.lazy.compactMap({ $0.permutation?.places.count }).first {
      var rows = [Float](repeating: 0, count: count * members * members)
      for (n, motion) in motions.enumerated() {
        for (place, member) in (motion.permutation?.places ?? Array(0..<members)).enumerated() {
          rows[(n * members + place) * members + member] = 1
        }
      }
      order = Variable(Tensor(rows, shape: [count, members, members]))
    }
  }

  /// Rotations of images by angles, given by cosines and sines `[batch, 1]`, counterclockwise as seen.
  ///
  /// - Parameter sense: 1, or −1 for the reflection left to right before it, `[batch, 1]`.
  public init(cosine c: Variable, sine s: Variable, sense: Variable? = nil, margin: Variable?) {
    let second = sense.map { (s * $0, c * $0) } ?? (s, c)
    let rows = Variable.concatenated([c, second.0, -s, second.1], axis: 1)
    self.init(matrix: rows.reshaped([-1, 2, 2]), margin: margin)
  }

  /// The pose that undoes it.
  public var inverse: PoseVariables {
    let back = matrix.map { isOrthogonal ? $0.permuted([0, 2, 1]) : $0.planarInverse }
    let shift = translation.map { t in -(back.map { $0.applied(to: t) } ?? t) }
    return PoseVariables(
      matrix: back, translation: shift, isOrthogonal: isOrthogonal,
      order: order?.permuted([0, 2, 1]), margin: margin)
  }

  /// This pose after another one, of a form of a form; its margin is the smaller one.
  public func after(_ other: PoseVariables) -> PoseVariables {
    let moved = other.translation.map { t in matrix.map { $0.applied(to: t) } ?? t }
    func joined(_ a: Variable?, _ b: Variable?, _ both: (Variable, Variable) -> Variable)
      -> Variable?
    { a.map { a in b.map { both(a, $0) } ?? a } ?? b }
    return PoseVariables(
      matrix: joined(matrix, other.matrix) { $0.matmul($1) },
      translation: joined(translation, moved, +),
      isOrthogonal: isOrthogonal && other.isOrthogonal,
      order: joined(order, other.order) { $1.matmul($0) },
      margin: joined(margin, other.margin, Variable.smaller))
  }

  /// One of some poses for each member, by 1 and 0 `[batch, poses]`.
  static func chosen(_ choice: Variable, of all: [PoseVariables]) -> PoseVariables {
    func picked(_ parts: [Variable]) -> Variable? {
      guard let first = parts.first, parts.count == all.count else { return nil }
      let extents = Array(first.shape.extents.dropFirst())
      let size = extents.reduce(1, *)
      let rows = Variable.concatenated(parts.map { $0.reshaped([-1, 1, size]) }, axis: 1)
      return choice.reshaped([-1, 1, all.count]).matmul(rows).reshaped([-1] + extents)
    }
    return PoseVariables(
      matrix: picked(all.compactMap(\.matrix)), translation: picked(all.compactMap(\.translation)),
      isOrthogonal: all.allSatisfy(\.isOrthogonal), margin: all.first?.margin)
  }
}

extension Variable {
  /// 0 for each member of a batch, `[batch, 1]`, whatever the batch holds.
  var zeroPerMember: Variable {
    let sums = sum(Array(1..<shape.rank)).reshaped([-1, 1])
    return sums.isGreater(than: sums)
  }

  static func smaller(_ a: Variable, _ b: Variable) -> Variable {
    choose(b.isGreater(than: a), a, b)
  }

  var magnitude: Variable { .choose(isGreater(than: Variable(Tensor(0))), self, -self) }

  /// The quotient, or another value where it is divided by 0.
  func divided(by other: Variable, orElse rest: Float) -> Variable {
    .choose(other.isEqual(to: Variable(Tensor(0))), Variable(Tensor(rest)), self / other)
  }

  /// Column `i` of `[batch, columns]`, as `[batch, 1]`.
  func column(_ i: Int) -> Variable { sliced(i..<i + 1, axis: 1) }

  /// How far the largest of each row is ahead of the next, `[batch]`, with 1 where it is.
  func lead(of first: Variable) -> Variable {
    let others = Variable.choose(first, Variable(Tensor(-Float.greatestFiniteMagnitude)), self)
    return maximum(1) - others.maximum(1)
  }

  /// Matrices `[batch, d, d]` applied to vectors `[batch, d]`.
  fileprivate func applied(to vectors: Variable) -> Variable {
    let d = vectors.shape[1]
    return vectors.reshaped([-1, 1, d]).matmul(permuted([0, 2, 1])).reshaped([-1, d])
  }

  /// The inverses of `[batch, 2, 2]`.
  fileprivate var planarInverse: Variable {
    let rows = reshaped([-1, 4])
    let (a, b, c, d) = (rows.column(0), rows.column(1), rows.column(2), rows.column(3))
    return (Variable.concatenated([d, -b, -c, a], axis: 1) / (a * d - b * c)).reshaped([-1, 2, 2])
  }
}
