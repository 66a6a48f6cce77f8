import Autodiff
public import TensorCore

/// Where PyTorch flattened the channels of an image before a linear layer: its rows are in another order here.
public struct FlattenedImage: Sendable, Hashable {
  public let channels, height, width: Int

  public init(channels: Int, height: Int, width: Int) {
    (self.channels, self.height, self.width) = (channels, height, width)
  }
}

extension Layer {
  /// Takes the weights of a PyTorch state dictionary, by name.
  ///
  ///     let file = try Safetensors(path: "model.safetensors")   // safetensors.torch.save_model
  ///     let unused = try network.load(
  ///       pyTorch: file.tensors, renaming: { $0.replacing("13.", with: "fc.") },
  ///       flattened: ["13.weight": FlattenedImage(channels: 64, height: 7, width: 7)])
  ///
  /// PyTorch keeps images as `[batch, channels, height, width]`, here channels are last. So kernels
  /// `[out, in, height, width]` become `[height, width, in, out]`, and matrices `[out, in]` become `[in, out]`; a
  /// matrix behind a flattened image has rows in the order channel, row, column there, and row, column, channel
  /// here: name it in `flattened`. Vectors are the same; `num_batches_tracked` is left out.
  ///
  /// - Parameters:
  ///   - tensors: By PyTorch's names; of any type that `Safetensors` reads.
  ///   - renaming: From a name of this layer's `parameters` to PyTorch's.
  ///   - flattened: By names of this layer's `parameters`.
  /// - Returns: The names that nothing has asked for.
  /// - Throws: `WeightsError` where a tensor is missing, of another shape, or not of numbers; nothing is changed then.
  @discardableResult
  public func load(
    pyTorch tensors: [String: Tensor], renaming: (String) -> String = { $0 },
    flattened: [String: FlattenedImage] = [:]
  ) throws(WeightsError) -> [String] {
    var found: [(parameter: Parameter, value: Tensor)] = []
    var unused = Set(tensors.keys.filter { !$0.hasSuffix("num_batches_tracked") })
    for (name, parameter) in parameters {
      let other = renaming(name)
      guard let tensor = tensors[other] else {
        throw WeightsError("the state dictionary", "'\(other)', wanted for '\(name)', is missing")
      }
      unused.remove(other)
      let value = tensor.fromPyTorch(flattened[name])
      let wanted = parameter.value.shape
      guard value.shape == wanted else {
        throw WeightsError(
          "the state dictionary",
          "'\(other)' has shape \(tensor.shape), which gives \(value.shape) here, "
            + "not the \(wanted) of '\(name)'")
      }
      guard value.isFinite else {
        throw WeightsError("the state dictionary", "'\(other)' holds values that are not numbers")
      }
      found.append((parameter, value))
    }
    for (parameter, value) in found { parameter.value = value }
    return unused.sorted()
  }
}

extension Tensor {
  /// A weight in this library's order of axes.
  fileprivate func fromPyTorch(_ image: FlattenedImage?) -> Tensor {
    switch shape.rank {
    case 4: return permuted([2, 3, 1, 0]).contiguous
    case 2:
      guard let image, shape[1] == image.channels * image.height * image.width else {
        return transposed().contiguous
      }
      return reshaped([shape[0], image.channels, image.height, image.width])
        .permuted([2, 3, 1, 0]).contiguous.reshaped([shape[1], shape[0]])
    default: return self
    }
  }
}
