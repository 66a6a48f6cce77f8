// Sets of points in space: a frame that turns with the set, a backbone of one's own, and the laws measured.
import Canonicalization
import Symmetry
import TensorCore

/// Five members of each set: place, velocity, charge.
let action = PointAction(.e(3), columns: [.point, .vector, .scalars(1)])
var random = RandomStream(seed: 0, name: "snippet")
let sets = Tensor.normal([8, 5, 7], using: &random)

/// The "model": each member's next place, by a rule that favors one axis.
let nextPlaces: @Sendable (Tensor) -> Tensor = { sets in
  sets.sliced(0..<3, axis: 2) + sets.sliced(3..<6, axis: 2) * Tensor([2, 1, 0])
}
let frame = LearnedFrame(action, using: &random)
let signs = TiesAveraged(PrincipalFrame(action, usesThirdMoment: false))
let elements = frame.sampledElements(16)
print(frame.deviations(on: sets, under: elements))
for deviation in [
  Equivariant(backbone: nextPlaces, symmetrizer: frame, outputAction: PointAction(.e(3)))
    .deviation(on: sets, under: elements),
  Equivariant(backbone: nextPlaces, symmetrizer: signs, outputAction: PointAction(.e(3)))
    .deviation(on: sets, under: elements),
] { print(deviation) }
