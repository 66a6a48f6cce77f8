import CKernels

extension Tensor {
  /// The maximum over windows of `size` × `size` pixels, `stride` apart, and where each was found.
  ///
  /// **Shapes.** `[batch, height, width, channels]` → `[batch, ⌊(height − size) / stride⌋ + 1, …, channels]`.
  ///
  /// - Returns: The maxima, and for each the offset of its (first) place within its image.
  public func maxPooled(size: Int, stride: Int) -> (values: Tensor, chosen: [Int32]) {
    Profiler.count("max pool", arithmetic: shape.count, elements: shape.count) {
      pooled(size, stride)
    }
  }

  private func pooled(_ size: Int, _ stride: Int) -> (values: Tensor, chosen: [Int32]) {
    precondition(
      shape.rank == 4 && shape[1] >= size && shape[2] >= size && size > 0 && stride > 0,
      "pooling \(shape) by \(size)")
    let (height, width, channels) = (shape[1], shape[2], shape[3])
    let result = Shape([
      shape[0], (height - size) / stride + 1, (width - size) / stride + 1, channels,
    ])
    let source = contiguous
    let perImage = result.count / max(1, shape[0])
    var chosen = [Int32](repeating: 0, count: result.count)
    let values = unsafe chosen.withUnsafeMutableBufferPointer { places in
      guard let base = places.baseAddress else { return Tensor.zeros(result) }
      let places = unsafe SendableAddress(base)
      return unsafe Tensor(result) { target in
        let address = unsafe SendableAddress(target)
        Parallel.ranges(shape[0], grain: 8) { range in
          unsafe source.withElements { x in
            for n in range {
              unsafe ck_max_pool(
                height, width, channels, size, stride, x + n * height * width * channels,
                address.pointer + n * perImage, places.pointer + n * perImage)
            }
          }
        }
      }
    }
    return (values, chosen)
  }

  /// The gradient of `maxPooled` by its input.
  public func maxPoolGradient(inputShape: Shape, chosen: [Int32]) -> Tensor {
    Profiler.count("max pool gradient", elements: inputShape.count + 2 * shape.count) {
      poolGradient(inputShape, chosen)
    }
  }

  private func poolGradient(_ inputShape: Shape, _ chosen: [Int32]) -> Tensor {
    let gradient = contiguous
    let perImage = shape.count / max(1, shape[0])
    let inputSize = inputShape.count / max(1, inputShape[0])
    var result = Tensor.zeros(inputShape)
    unsafe result.withMutableElements { target in
      let address = unsafe SendableAddress(target)
      Parallel.ranges(shape[0], grain: 8) { range in
        unsafe gradient.withElements { dy in
          unsafe chosen.withUnsafeBufferPointer { places in
            guard let places = places.baseAddress else { return }
            for n in range {
              unsafe ck_max_pool_pullback(
                perImage, places + n * perImage, dy + n * perImage,
                address.pointer + n * inputSize)
            }
          }
        }
      }
    }
    return result
  }
}
