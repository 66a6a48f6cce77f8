import CKernels

/// How values between pixels are made.
public enum Interpolation: String, Sendable, CaseIterable, Codable {
  /// The nearest pixel's; for masks of labels.
  case nearest
  /// The weighted mean of the four around.
  case bilinear
  /// Keys' cubic convolution of the sixteen around (a = −½).
  case bicubic

  fileprivate var kernel: ck_interpolation {
    switch self {
    case .nearest: CK_NEAREST
    case .bilinear: CK_BILINEAR
    case .bicubic: CK_BICUBIC
    }
  }
}

/// What lies outside an image.
public enum BorderPolicy: String, Sendable, CaseIterable, Codable {
  /// Zeros.
  case zero
  /// The nearest pixel of the border.
  case edge
  /// The image mirrored at its edges.
  case reflect

  fileprivate var kernel: ck_border {
    switch self {
    case .zero: CK_ZERO
    case .edge: CK_EDGE
    case .reflect: CK_REFLECT
    }
  }
}

/// What is seen beside an image that is turned: a color to which it fades within a pixel.
public struct Backdrop: Sendable {
  let color: [Float]
  let rows, columns: Range<Int>

  /// - Parameters:
  ///   - color: A number for each channel.
  ///   - rows: The rows in which the image is seen, in its own pixels; beyond them its border is continued.
  ///   - columns: The columns.
  public init(_ color: [Float], outside rows: Range<Int>, _ columns: Range<Int>) {
    (self.color, self.rows, self.columns) = (color, rows, columns)
  }
}

/// Where an output pixel looks in the input: *s* = `matrix` · (*x*, *y*) + `offset`, in pixels,
/// both measured from the images' centers, *x* to the right and *y* down.
public struct SamplingMap: Hashable, Sendable {
  /// Row-major 2 × 2.
  public var matrix: [Double]
  /// (x, y).
  public var offset: [Double]

  /// Creates a map.
  ///
  /// - Precondition: `matrix` has four entries and `offset` two.
  public init(matrix: [Double], offset: [Double] = [0, 0]) {
    require(matrix.count == 4 && offset.count == 2, "a map has 4 + 2 entries")
    self.matrix = matrix
    self.offset = offset
  }

  fileprivate func kernel(
    _ shape: Shape, _ height: Int, _ width: Int, _ interpolation: Interpolation,
    _ border: BorderPolicy
  ) -> ck_warp_args {
    unsafe ck_warp_args(
      height: shape[1], width: shape[2], channels: shape[3], out_height: height, out_width: width,
      m: (matrix[0], matrix[1], offset[0], matrix[2], matrix[3], offset[1]),
      interpolation: interpolation.kernel, border: border.kernel, next: nil, fetched: 0,
      backdrop: nil, inside: (0, 0, 0, 0))
  }
}

extension Tensor {
  /// Each image resampled once under a map of its own.
  ///
  /// Displacements from the center are rounded to 2⁻¹⁶ pixel and sums pair opposite corners, so
  /// that a centered rotation commutes bit for bit with quarter turns and flips.
  ///
  /// **Shapes.** `[batch, height, width, channels]` → `[batch, size.height, size.width, channels]`.
  ///
  /// - Parameter backdrop: What values fade to beside the images; without one there is the border alone.
  /// - Precondition: There is one map per image, and a number of the backdrop per channel.
  /// - Complexity: O(elements of the result), times 16 for bicubic.
  public func warped(
    by maps: [SamplingMap], size: (height: Int, width: Int)? = nil,
    _ interpolation: Interpolation = .bilinear, border: BorderPolicy = .zero,
    over backdrop: Backdrop? = nil
  ) -> Tensor {
    require(
      shape.rank == 4 && maps.count == shape[0] && backdrop?.color.count ?? shape[3] == shape[3],
      "\(maps.count) maps for \(shape), a backdrop of \(backdrop?.color.count ?? 0) channels")
    let color = backdrop.map { Tensor($0.color, shape: [shape[3]]) }
    let (height, width) = size ?? (shape[1], shape[2])
    let source = contiguous
    let (inSize, outSize) = (shape[1] * shape[2] * shape[3], height * width * shape[3])
    return Profiler.count("warp", elements: shape[0] * (inSize + outSize)) {
      unsafe Tensor([shape[0], height, width, shape[3]]) { target in
        let address = unsafe SendableAddress(target)
        // Several images of many: each is fetched while the one before is computed.
        let grain = max(1, 4096 / max(1, outSize), shape[0] / 32)
        Parallel.ranges(shape[0], grain: grain) { range in
          unsafe source.withElements { x in
            for n in range {
              var warp = unsafe maps[n].kernel(shape, height, width, interpolation, border)
              unsafe warp.next = n + 1 < range.upperBound ? x + (n + 1) * inSize : nil
              unsafe warp.fetched = n > range.lowerBound ? 1 : 0
              if let backdrop, let color {
                unsafe warp.backdrop = color.elementAddress
                unsafe warp.inside = (
                  Int64(backdrop.columns.lowerBound), Int64(backdrop.rows.lowerBound),
                  Int64(backdrop.columns.upperBound), Int64(backdrop.rows.upperBound)
                )
              }
              unsafe ck_warp(&warp, x + n * inSize, address.pointer + n * outSize)
            }
          }
          withExtendedLifetime(color) {}
        }
      }
    }
  }

  /// The gradients of `warped` by the images and by each map (matrix and offset), for the gradient
  /// `self` by its result.
  ///
  /// Nearest sampling is constant between jumps: its gradient by the map is zero.
  public func warpGradients(
    images: Tensor, maps: [SamplingMap], _ interpolation: Interpolation = .bilinear,
    border: BorderPolicy = .zero, ofImages: Bool = true,
    ofMaps: Bool = true
  ) -> (images: Tensor?, maps: [SamplingMap]) {
    let (source, gradient) = (images.contiguous, contiguous)
    let (inSize, outSize) = (images.shape.count / shape[0], shape.count / shape[0])
    let (height, width) = (shape[1], shape[2])
    var entries = [Double](repeating: 0, count: 6 * maps.count)
    var result = Tensor.zeros(ofImages ? images.shape : [0])
    Profiler.count("warp gradient", elements: 2 * images.shape.count + shape.count) {
      unsafe entries.withUnsafeMutableBufferPointer { entries in
        guard let first = entries.baseAddress else { return }
        let dm = unsafe SendableAddress(first)
        unsafe result.withMutableElements { target in
          let dx = unsafe SendableAddress(target)
          Parallel.forEach(maps.count) { n in
            var warp = unsafe maps[n].kernel(images.shape, height, width, interpolation, border)
            unsafe source.withElements { x in
              unsafe gradient.withElements { dy in
                unsafe ck_warp_pullback(
                  &warp, x + n * inSize, dy + n * outSize, ofImages ? dx.pointer + n * inSize : nil,
                  ofMaps ? dm.pointer + 6 * n : nil)
              }
            }
          }
        }
      }
    }
    let gradients = maps.indices.map { n in
      let e = Array(entries[6 * n..<6 * n + 6])
      return SamplingMap(matrix: [e[0], e[1], e[3], e[4]], offset: [e[2], e[5]])
    }
    return (ofImages ? result : nil, gradients)
  }
}
