public import Autodiff
import Glibc
public import Symmetry
public import TensorCore

/// A canonicalizer that undoes only poses within a window: what turns by more is left as it came.
///
/// So a 6 does not become a 9, and what upright data tell by their pose stays told. Of a pose and its ties the first one within the window
/// is taken, or else the identity.
///
/// It is equivariant under no group, and claims none: *x* and *g*·*x* have one form where both poses are in the window, and each its own
/// where they are not. In training forms are left as they came in the same way; a prior, which says where poses are to be, is told of
/// all of them.
///
/// The margin is the other's, or less where the pose, or a tie, is near the window's edge, in radians.
public struct PartialPoses<Base: TrainableCanonicalizer>: TrainableCanonicalizer {
  public let base: Base
  /// By how much poses turn at most that are undone, in radians.
  public let radius: Double
  public let action: MotionAction

  /// - Precondition: `radius` is positive, and π at most.
  public init(_ base: Base, within radius: Double, of inputs: any Quantity) {
    require(radius > 0 && radius <= .pi, "poses within \(radius)")
    (self.base, self.radius) = (base, radius)
    action = MotionAction(MotionGroup([]), on: inputs)
  }

  public var parameters: [(name: String, parameter: Parameter)] { base.parameters }

  /// The edge, with what rounding may make of an angle that lies on it.
  private var edge: Double { radius + 1e-4 }

  public var window: Double? { radius }

  private func isUndone(_ motion: Motion) -> Bool { motion.turn <= edge }

  public func poses(of batch: Tensor) -> [Pose<Motion>] {
    base.motionPoses(of: batch).map { pose in
      // Half around there is no edge.
      let lead =
        radius >= .pi ? .infinity : pose.candidates.map { abs($0.turn - radius) }.min() ?? 0
      let near = pose.candidates.filter(isUndone)
      return Pose(
        near.first ?? Motion(), margin: pose.margin.smaller(Float(lead)),
        ties: Array(near.dropFirst())
      )
    }
  }

  public func frames(of batch: Tensor, count: Int) -> [[WeightedPose<Motion>]] {
    base.motionFrames(of: batch, count: count).map { frame in
      frame.map { WeightedPose(isUndone($0.element) ? $0.element : Motion(), weight: $0.weight) }
    }
  }

  public func act(_ elements: [Motion], on batch: Variable) -> Variable {
    action.inputs.act(elements, on: batch)
  }

  public func trainingForms(_ batch: Variable, on tape: Tape) -> TrainingForms {
    let made = base.trainingForms(batch, on: tape)
    let turns = made.turns(of: batch.shape[0], action.inputs as? Members)
    let isUndone = Tensor(turns.map { $0 <= edge ? 1 : 0 }, shape: [turns.count])
    /// What was moved, or where its pose is outside the window what was not.
    func kept(_ moved: Variable, _ still: Variable) -> Variable {
      let shape = [turns.count] + [Int](repeating: 1, count: moved.shape.rank - 1)
      return .choose(
        Variable(isUndone.reshaped(Shape(shape))), moved,
        .concatenated([Variable](repeating: still, count: made.count)))
    }
    var forms = TrainingForms(
      forms: kept(made.forms, batch), count: made.count, logWeights: made.logWeights,
      priorLoss: made.priorLoss, alignmentLoss: made.alignmentLoss,
      regularization: made.regularization
    ) { quantity, values in kept(made.move(quantity, values), values) }
    forms.priorLossOfTurned = made.priorLossOfTurned
    return forms
  }
}

extension TrainableCanonicalizer {
  /// The canonicalizer that undoes only poses that turn by so much, in radians; `nil` where its group turns nothing, as orders of a
  /// set or shifts do.
  public func within(_ radius: Double, of inputs: any Quantity) -> (any TrainableCanonicalizer)? {
    var random = RandomStream(seed: 0, name: "within")
    let turns = (0..<16).contains { _ in
      action.anyMotion(of: action.group.sample(using: &random)).turn > 1e-9
    }
    return turns ? PartialPoses(self, within: radius, of: inputs) : nil
  }
}

extension TrainingForms {
  /// By how much each form was turned: what is done to vectors along the axes of space.
  ///
  /// `sets`: What inputs are, unless they are images.
  fileprivate func turns(of members: Int, _ sets: Members?) -> [Double] {
    let d = sets?.dimension ?? 2
    let quantity: any Quantity = sets == nil ? Vectors() : Members([.vector], dimension: d)
    let columns = (0..<d).map { axis in
      let vector = (0..<d).map { Float($0 == axis ? 1 : 0) }
      let shape: Shape = sets == nil ? [members, d] : [members, 1, d]
      let all = Tensor((0..<members).flatMap { _ in vector }, shape: shape)
      return move(quantity, Variable(all)).value.elements
    }
    return (0..<members * count).map { n in
      // Row-major: column `axis` is where that axis went.
      let matrix = (0..<d * d).map { i in Double(columns[i % d][n * d + i / d]) }
      return Motion(map: AffineMap(matrix: matrix)).turn
    }
  }
}

extension PartialPoses: ExportableCanonicalizer where Base: ExportableCanonicalizer {
  public var inputs: any ExportableQuantity { base.inputs }

  public func poseVariables(
    of batch: Variable, on tape: Tape
  ) throws(NotExportable) -> PoseVariables {
    let best = try base.poseVariables(of: batch, on: tape)
    guard let d = best.matrix?.shape[-1] else { return best }
    // Of ties the first one within the window, from the last to the first.
    let all = try [best] + base.candidateVariables(of: batch, on: tape)
    let one = Tensor((0..<d * d).map { $0 % (d + 1) == 0 ? 1 : 0 }, shape: [1, d, d])
    var (matrix, shift) = (Variable(one), best.translation.map { $0 * 0 })
    var margin = best.margin
    for pose in all.reversed() {
      guard let own = pose.matrix else { continue }
      let turn = own.reshaped([-1, d * d]).turn(dimension: d)
      let isUndone = Variable(Tensor(Float(edge))).isGreater(than: turn)
      matrix = .choose(isUndone.reshaped([-1, 1, 1]), own, matrix)
      if let here = pose.translation, let there = shift {
        shift = .choose(isUndone, here, there)
      }
      if radius < .pi {
        let lead = (turn - Float(radius)).magnitude.reshaped([-1])
        margin = margin.map { .smaller($0, lead) } ?? lead
      }
    }
    return PoseVariables(
      matrix: matrix, translation: shift, isOrthogonal: best.isOrthogonal, order: best.order,
      margin: margin)
  }
}

extension Variable {
  /// By how much matrices `[batch, d²]` turn, `[batch, 1]`; more than anything where they reflect.
  fileprivate func turn(dimension d: Int) -> Variable {
    func entry(_ row: Int, _ column: Int) -> Variable { self.column(row * d + column) }
    func determinant(_ rows: (Int, Int), _ columns: (Int, Int)) -> Variable {
      entry(rows.0, columns.0) * entry(rows.1, columns.1)
        - entry(rows.0, columns.1) * entry(rows.1, columns.0)
    }
    let along, across, volume: Variable
    if d == 2 {
      along = entry(0, 0) + entry(1, 1)
      across = (entry(0, 1) - entry(1, 0)).magnitude
      volume = determinant((0, 1), (0, 1))
    } else {
      along = entry(0, 0) + entry(1, 1) + entry(2, 2) - 1
      let skew = [(0, 1), (1, 2), (2, 0)].map { (entry($0, $1) - entry($1, $0)).squared() }
      across = (skew[0] + skew[1] + skew[2]).squareRoot()
      let parts = [((1, 2), 0), ((2, 0), 1), ((0, 1), 2)].map { columns, own in
        entry(0, own) * determinant((1, 2), columns)
      }
      volume = parts[0] + parts[1] + parts[2]
    }
    return .choose(
      volume.isGreater(than: Variable(Tensor(0))), .arcTangent(across: across, along: along),
      Variable(Tensor(Float.greatestFiniteMagnitude)))
  }
}
