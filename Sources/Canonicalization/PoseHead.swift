public import Autodiff
public import Symmetry
import TensorCore

/// The end of a network that finds elements of a group: from its numbers to points of the group.
public enum PoseHead: String, Sendable, CaseIterable, Codable {
  /// Onto the group from its ambient space: circles from the plane, rotations from two vectors.
  case projection
  /// By `exp` from the algebra: a map that goes around no circle, so that it tears on every closed orbit. For
  /// comparison.
  case exponential

  /// How many numbers it takes.
  public func inputCount(_ group: AmbientGroup) -> Int {
    self == .projection ? group.ambientCount : group.dimension
  }

  /// The points of the group, `[batch, inputCount]` → `[batch, elementCount]`.
  public func callAsFunction(_ input: Variable, in group: AmbientGroup) -> Variable {
    .concatenated(
      group.places.map { place in
        let numbers = place.factor.numbers
        guard self == .projection else {
          let part = input.sliced(place.algebra..<place.algebra + numbers.algebra, axis: 1)
          return PoseHead.exponential(part, place.factor)
        }
        let part = input.sliced(place.ambient..<place.ambient + numbers.ambient, axis: 1)
        return PoseHead.projection(part, place.factor)
      }, axis: 1)
  }

  private static func projection(_ part: Variable, _ factor: AmbientGroup.Factor) -> Variable {
    switch factor {
    case .line: return part
    case .circle: return part / (part.squared().sum([1], keepingAxes: true) + 1e-20).squareRoot()
    case .rotations:
      let columns = part.reshaped([part.shape[0], 2, 3]).permuted([0, 2, 1])
      return columns.orthonormalized(by: .gramSchmidt).reshaped([part.shape[0], 9])
    }
  }

  private static func exponential(_ part: Variable, _ factor: AmbientGroup.Factor) -> Variable {
    switch factor {
    case .line: return part
    case .circle: return .concatenated([part.cosine(), part.sine()], axis: 1)
    case .rotations: return part.rotationExponential().reshaped([part.shape[0], 9])
    }
  }
}

extension Variable {
  /// The rotations of space by axis times angle, `[batch, 3]` → `[batch, 3, 3]` (Rodrigues):
  /// 1 + *a* *K* + *b* *K*², with *K* the matrix of the vector product, *a* = sin θ / θ, *b* = (1 − cos θ) / θ².
  ///
  /// Gradients are finite everywhere, at 0 and at half a turn too: θ² is kept from 0 by 10⁻¹², far below what a `Float`
  /// tells of θ⁠/sin θ.
  public func rotationExponential() -> Variable {
    let square = squared().sum([1], keepingAxes: true) + 1e-12
    let angle = square.squareRoot()
    let (a, half) = (angle.sine() / angle, (angle * 0.5).sine())
    // 1 − cos θ = 2 sin² θ/2 loses nothing near 0.
    let b = half.squared() * 2 / square
    func part(_ i: Int) -> Variable { sliced(i..<i + 1, axis: 1) }
    let (x, y, z) = (part(0), part(1), part(2))
    let zero = x * 0
    let cross = Variable.concatenated([zero, -z, y, z, zero, -x, -y, x, zero], axis: 1)
      .reshaped([shape[0], 3, 3])
    let scaled = cross * a.reshaped([-1, 1, 1]) + cross.matmul(cross) * b.reshaped([-1, 1, 1])
    return scaled + Variable(Tensor([1, 0, 0, 0, 1, 0, 0, 0, 1], shape: [3, 3]))
  }

  /// Points of a group, multiplied from the left by elements that are constants: *g* · *h*(*x*).
  ///
  /// **Shapes.** `[batch, elementCount]`, of an element each → the same.
  public func multiplied(by elements: [AmbientGroup.Element], in group: AmbientGroup) -> Variable {
    require(
      shape.extents == [elements.count, group.elementCount],
      "points \(shape) of \(group.elementCount) numbers for \(elements.count) elements")
    func constant(_ places: [Int]) -> Variable {
      Variable(
        Tensor(
          elements.flatMap { g in places.map { Float(g.numbers[$0]) } },
          shape: [elements.count, places.count]))
    }
    return .concatenated(
      group.places.map { place in
        let i = place.element
        let own = sliced(i..<i + place.factor.numbers.element, axis: 1)
        switch place.factor {
        case .line: return own + constant([i])
        case .circle:
          let (c, s) = (own.sliced(0..<1, axis: 1), own.sliced(1..<2, axis: 1))
          let (gc, gs) = (constant([i]), constant([i + 1]))
          return .concatenated([gc * c - gs * s, gs * c + gc * s], axis: 1)
        case .rotations:
          let matrices = constant(Array(i..<i + 9)).reshaped([elements.count, 3, 3])
          return matrices.matmul(own.reshaped([elements.count, 3, 3]))
            .reshaped([elements.count, 9])
        }
      }, axis: 1)
  }

  /// Vectors on which a group's circles and rotations, in turn, act by their matrices: of each circle one of the plane, of
  /// each rotation so many of space, two as its ambient space has them.
  ///
  /// **Shapes.** `[batch, 2 · circles + 3 · vectors · rotations]` → the same.
  public func movedByMatrices(
    of elements: [AmbientGroup.Element], in group: AmbientGroup, vectors perRotation: Int = 2
  ) -> Variable {
    let count = elements.count
    var start = 0
    return .concatenated(
      group.places.filter { $0.factor != .line }.map { place in
        let (side, vectors) = place.factor == .circle ? (2, 1) : (3, perRotation)
        defer { start += side * vectors }
        let matrices = elements.flatMap { g -> [Float] in
          let i = place.element
          // Transposed: vectors are rows.
          return place.factor == .circle
            ? [g.numbers[i], g.numbers[i + 1], -g.numbers[i + 1], g.numbers[i]].map { Float($0) }
            : (0..<9).map { Float(g.numbers[i + $0 % 3 * 3 + $0 / 3]) }
        }
        return sliced(start..<start + side * vectors, axis: 1).reshaped([count, vectors, side])
          .matmul(Variable(Tensor(matrices, shape: [count, side, side])))
          .reshaped([count, side * vectors])
      }, axis: 1)
  }
}
