import Autodiff
import Layers
import TensorCore
import TestSupport
import Testing

@Suite struct PyTorchWeightsTests {
  /// A convolution, a batch norm with its rectifier, and a matrix behind the flattened image.
  private func network() -> Sequential {
    var random = RandomStream(seed: 1, name: "network")
    return Sequential([
      Convolution(2, 3, kernel: 2, using: &random), BatchNorm(3, relu: true), Function.flatten,
      Linear(12, 2, using: &random),
    ])
  }

  /// As PyTorch names and orders them, of any numbers.
  private let state: [String: Tensor] = {
    func count(_ shape: Shape, from start: Float) -> Tensor {
      Tensor((0..<shape.count).map { start + Float($0) / 64 }, shape: shape)
    }
    return [
      "conv.weight": count([3, 2, 2, 2], from: -0.2), "conv.bias": count([3], from: 0.1),
      "norm.weight": count([3], from: 0.5), "norm.bias": count([3], from: -0.1),
      "norm.running_mean": count([3], from: 0), "norm.running_var": count([3], from: 1),
      "norm.num_batches_tracked": Tensor([7]).reshaped([]),
      "fc.weight": count([2, 12], from: -0.1), "fc.bias": count([2], from: 0), "extra": Tensor([1]),
    ]
  }()

  private func torch(_ name: String) -> String {
    for (own, other) in [("0.", "conv."), ("1.", "norm."), ("3.", "fc.")]
    where name.hasPrefix(own) { return other + name.dropFirst(own.count) }
    return name
  }

  @Test("A state dictionary gives what PyTorch's layers do, computed number by number") func loads()
    throws
  {
    let network = network()
    let unused = try network.load(
      pyTorch: state, renaming: torch,
      flattened: ["3.weight": FlattenedImage(channels: 3, height: 2, width: 2)])
    #expect(unused == ["extra"])
    var random = RandomStream(seed: 2, name: "images")
    let x = Tensor.uniform([1, 3, 3, 2], using: &random)
    // The formula of each layer, in PyTorch's order of axes.
    func at(_ c: Int, _ i: Int, _ j: Int) -> Double { Double(x.elements[(i * 3 + j) * 2 + c]) }
    func w(_ name: String, _ index: Int) -> Double { Double(state[name]?.elements[index] ?? .nan) }
    var flat: [Double] = []
    for o in 0..<3 {
      for i in 0..<2 {
        for j in 0..<2 {
          var sum = w("conv.bias", o)
          for c in 0..<2 {
            for k in 0..<4 {
              sum += w("conv.weight", (o * 2 + c) * 4 + k) * at(c, i + k / 2, j + k % 2)
            }
          }
          let scale = (w("norm.running_var", o) + 1e-5).squareRoot()
          let normal = (sum - w("norm.running_mean", o)) / scale
          flat.append(max(0, normal * w("norm.weight", o) + w("norm.bias", o)))
        }
      }
    }
    let output = network.predict(x).elements
    for o in 0..<2 {
      let expected = (0..<12).reduce(w("fc.bias", o)) {
        $0 + w("fc.weight", o * 12 + $1) * flat[$1]
      }
      #expect(abs(Double(output[o]) - expected) < 1e-5)
    }
  }

  @Test("What is missing, or of another shape, is named, and changes nothing") func refuses() {
    let network = network()
    let before = network.parameters.map(\.parameter.value)
    for (name, value) in [("fc.bias", nil), ("conv.weight", Tensor.zeros([3, 2, 3, 3]))]
      as [(String, Tensor?)]
    {
      var wrong = state
      wrong[name] = value
      let error = #expect(throws: WeightsError.self) {
        try network.load(pyTorch: wrong, renaming: torch)
      }
      #expect(error?.description.contains(name) == true)
    }
    #expect(network.parameters.map(\.parameter.value) == before)
  }

  @Test("A parameter keeps its shape") func shape() async {
    await #expect(processExitsWith: .failure) { Parameter(.zeros([2])).value = .zeros([3]) }
  }
}
