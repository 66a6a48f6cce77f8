// A canonicalizer and a network learn together, in a loop of one's own.
import Autodiff
import Canonicalization
import Datasets
import Layers
import Optimizers
import Symmetry
import TensorCore

let signs = DrawnSigns.sample(count: 96, size: 16, seed: 1)
var random = RandomStream(seed: 0, name: "snippet")
let canonicalizer = GroupConvolutionCanonicalizer(
  Cyclic(8), .init(size: 16, kernel: 16), gradient: .mixture(count: 2),
  using: &random)
let network = Backbone.smallCNN(width: 4, classes: 3, using: &random)
var learner = Learner(
  canonicalizer.parameters.map(\.parameter) + network.parameters.map(\.parameter), rule: AdamW())
let targets = Tensor.oneHot(signs.labels, classes: 3)
for step in 0..<30 {
  let tape = Tape.training(random: RandomStream(seed: 0, name: "step/\(step)"))
  let forms = canonicalizer.trainingForms(Variable(signs.inputs), on: tape)
  let goals = forms.move(Scores(), Variable(targets))
  let losses = Loss.crossEntropy().perMember(network(forms.forms, on: tape), goals)
  let loss = forms.mixture(losses).mean()
  if step % 10 == 0 || step == 29 { print("step \(step): \(loss.value.scalar)") }
  learner.step(down: loss, on: tape, rate: 1e-2)
}
