// Makes a backbone of one's own equivariant: any function of a batch of images will do.
import Canonicalization
import Symmetry
import TensorCore

/// The "model": how much brighter the right half of each image is than the left.
let myBackbone: @Sendable (Tensor) -> Tensor = { images in
  let half = images.shape[2] / 2
  let left = images.sliced(0..<half, axis: 2).mean([1, 2, 3])
  return images.sliced(half..<2 * half, axis: 2).mean([1, 2, 3]) - left
}
let model = Equivariant(
  backbone: myBackbone, symmetrizer: PrincipalAxis(), outputAction: Trivial(SO2()))

var random = RandomStream(seed: 0, name: "snippet")
let image = Tensor.uniform([1, 16, 16, 1], using: &random)
let turned = model.symmetrizer.action.act([PlanarIsometry(quarterTurns: 1)], on: image)
print(myBackbone(image).elements, myBackbone(turned).elements)  // differ
print(model(image).elements, model(turned).elements)  // equal, bit for bit
