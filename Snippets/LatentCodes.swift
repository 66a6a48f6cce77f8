// A canonicalizer of codes: whatever encoder you have, if its codes move by a shift.

import Canonicalization
import Symmetry
import TensorCore

// Eight numbers for each of ten steps of a cycle.
let steps = FiniteAbelian([10])
let shift = Regular(steps, copies: 8)

// Codes in canonical pose: here random ones, in earnest those of your training data.
var random = RandomStream(seed: 0, name: "codes")
let references = Tensor.normal([100, shift.dimension], using: &random)
let canonicalizer = TransportCanonicalizer(shift, references: references, neighbors: 1)

// A code that came three steps further is brought back, bit for bit.
let moved = shift.act([steps.element([3])], on: references.sliced(0..<1))
let found = canonicalizer.canonicalize(moved)
print("step \(found.poses[0].element.steps[0]), ties \(found.poses[0].ties.count)")
print("brought back: \(found.form.elements == references.sliced(0..<1).elements)")
print(canonicalizer.deviations(on: references, under: steps.elements))
