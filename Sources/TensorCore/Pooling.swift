import CKernels

/// Which pixel of its window each result of a maximum pooling came from.
@safe public struct PoolingChoice: @unchecked Sendable {
  fileprivate let storage: Storage
  fileprivate let size, stride: Int

  fileprivate init(count: Int, size: Int, stride: Int) {
    storage = Storage(count: (count + 3) / 4)
    self.size = size
    self.stride = stride
  }

  fileprivate var bytes: UnsafeMutablePointer<UInt8> {
    unsafe UnsafeMutableRawPointer(storage.base).assumingMemoryBound(to: UInt8.self)
  }
}

extension Tensor {
  /// The maximum over windows of `size` × `size` pixels, `stride` apart, and where each was found.
  ///
  /// **Shapes.** `[batch, height, width, channels]` → `[batch, ⌊(height − size) / stride⌋ + 1, …, channels]`.
  ///
  /// Of equal maxima the first counts; a NaN is the maximum of its window.
  ///
  /// - Precondition: `size` is at most 16, and the image no smaller.
  public func maxPooled(size: Int, stride: Int) -> (values: Tensor, choice: PoolingChoice) {
    require(
      shape.rank == 4 && shape[1] >= size && shape[2] >= size && 1...16 ~= size && stride > 0,
      "pooling \(shape) by \(size)")
    let (height, width, channels) = (shape[1], shape[2], shape[3])
    let result = Shape([
      shape[0], (height - size) / stride + 1, (width - size) / stride + 1, channels,
    ])
    let source = contiguous
    let perImage = result.count / max(1, shape[0])
    let choice = PoolingChoice(count: result.count, size: size, stride: stride)
    let values = Profiler.count(
      "max pool", arithmetic: shape.count, elements: shape.count + result.count
    ) {
      unsafe Tensor(result) { target in
        let address = unsafe SendableAddress(target)
        Parallel.ranges(shape[0], grain: 8) { range in
          unsafe source.withElements { x in
            for n in range {
              unsafe ck_max_pool(
                height, width, channels, size, stride, x + n * height * width * channels,
                address.pointer + n * perImage, choice.bytes + n * perImage)
            }
          }
        }
      }
    }
    return (values, choice)
  }

  /// The gradient of `maxPooled` by its input.
  public func maxPoolGradient(inputShape: Shape, choice: PoolingChoice) -> Tensor {
    let gradient = contiguous
    let (size, stride) = (choice.size, choice.stride)
    let (height, width, channels) = (inputShape[1], inputShape[2], inputShape[3])
    let (perImage, inputSize) = (shape.count / max(1, shape[0]), height * width * channels)
    let isCovered = stride == size && height % size == 0 && width % size == 0
    return Profiler.count("max pool gradient", elements: inputShape.count + shape.count) {
      unsafe Tensor(inputShape) { target in
        if !isCovered { unsafe target.update(repeating: 0, count: inputShape.count) }
        let address = unsafe SendableAddress(target)
        Parallel.ranges(shape[0], grain: 8) { range in
          unsafe gradient.withElements { dy in
            for n in range {
              unsafe ck_max_pool_pullback(
                height, width, channels, size, stride, stride < size ? 1 : 0,
                choice.bytes + n * perImage, dy + n * perImage, address.pointer + n * inputSize)
            }
          }
        }
      }
    }
  }
}
