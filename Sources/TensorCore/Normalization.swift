import CKernels

extension Tensor {
  /// Rows handled by one piece: fixed, so that partial sums do not depend on the threads.
  static var normalizationGrain: Int { 2048 }

  /// Two sums per column over blocks of rows, combined in order in `Double`.
  private func columnSums(
    _ body: @Sendable (Range<Int>, UnsafeMutablePointer<Float>, UnsafeMutablePointer<Float>) -> Void
  ) -> ([Double], [Double]) {
    let (rows, columns) = (shape.count / shape[-1], shape[-1])
    let grain = Tensor.normalizationGrain
    let blocks = (rows + grain - 1) / grain
    let partial = unsafe Tensor([max(1, blocks), 2, columns]) { target in
      unsafe target.update(repeating: 0, count: max(1, blocks) * 2 * columns)
      let address = unsafe SendableAddress(target)
      Parallel.ranges(rows, grain: grain) { range in
        let start = unsafe address.pointer + range.lowerBound / grain * 2 * columns
        unsafe body(range, start, start + columns)
      }
    }.elements
    var sums = ([Double](repeating: 0, count: columns), [Double](repeating: 0, count: columns))
    for block in 0..<blocks {
      for c in 0..<columns {
        sums.0[c] += Double(partial[(block * 2) * columns + c])
        sums.1[c] += Double(partial[(block * 2 + 1) * columns + c])
      }
    }
    return sums
  }

  /// *x* · `scale` + `shift` per channel, clamped at zero if `relu`, in one pass.
  public func scaled(by scale: [Float], shift: [Float], relu: Bool) -> Tensor {
    .joined([self], scaledBy: scale, shift: shift, relu: relu)
  }

  /// Tensors joined along the last axis, and then scaled, shifted and clamped per channel, in one pass.
  ///
  /// - Precondition: There is one at least, with an axis; they differ in the last one alone, and `scale` and `shift` have an element for each channel of all.
  public static func joined(
    _ parts: [Tensor], scaledBy scale: [Float], shift: [Float], relu: Bool
  ) -> Tensor {
    require(!parts.isEmpty, "nothing to join")
    let (parts, columns) = (parts.map(\.contiguous), parts.map { $0.shape[-1] }.reduce(0, +))
    let shape = parts[0].shape.replacing(-1, with: columns)
    require(
      scale.count == columns && shift.count == columns
        && parts.allSatisfy { $0.shape.replacing(-1, with: columns) == shape }, "scaling \(shape)")
    return Profiler.count("scale, shift", arithmetic: 2 * shape.count, elements: 2 * shape.count) {
      unsafe Tensor(shape) { target in
        let address = unsafe SendableAddress(target)
        let rows = columns == 0 ? 0 : shape.count / columns
        Parallel.ranges(rows, grain: max(1, (1 << 13) / max(1, columns))) { range in
          var first = 0
          for part in parts {
            let own = part.shape[-1]
            unsafe scale.withUnsafeBufferPointer { scale in
              unsafe shift.withUnsafeBufferPointer { shift in
                guard let scale = scale.baseAddress, let shift = shift.baseAddress else { return }
                unsafe ck_scale_shift(
                  range.count, own, part.storage.base + part.offset + range.lowerBound * own,
                  scale + first, shift + first, relu ? 1 : 0,
                  address.pointer + range.lowerBound * columns + first, columns)
              }
            }
            first += own
          }
        }
      }
    }
  }

  /// Rows along the last axis made of mean 0 and variance 1, times `scale` plus `shift` (Ba, Kiros & Hinton, arXiv
  /// 1607.06450), in one pass.
  ///
  /// - Parameter epsilon: What is added to the variance.
  /// - Precondition: `scale` and `shift` have an element for each of a row.
  public func layerNormalized(scale: Tensor, shift: Tensor?, epsilon: Float) -> Tensor {
    let columns = shape[-1]
    let (source, scale) = (contiguous, scale.contiguous)
    let shift = (shift ?? .zeros([columns])).contiguous
    require(scale.shape == [columns] && shift.shape == [columns], "layer norm of \(shape)")
    return Profiler.count("layer norm", arithmetic: 6 * shape.count, elements: 2 * shape.count) {
      unsafe Tensor(shape) { target in
        let address = unsafe SendableAddress(target)
        let grain = max(1, (1 << 14) / max(1, columns))
        Parallel.ranges(shape.count / max(1, columns), grain: grain) { range in
          let start = range.lowerBound * columns
          unsafe source.withElements { x in
            unsafe scale.withElements { scale in
              unsafe shift.withElements { shift in
                unsafe ck_layer_norm(
                  range.count, columns, x + start, epsilon, scale, shift, address.pointer + start)
              }
            }
          }
        }
      }
    }
  }

  /// Turns what batch normalization took, `self`, into the gradient by it, for the gradient `dy` by what it gave.
  ///
  /// In its own memory, where nobody else has that. It was normalized, and clamped if `relu`, by `scale` and `shift` as
  /// `scaled(by:shift:relu:)` takes them; where the clamp let nothing through follows from them. Of a batch in pieces the gradients
  /// by weight and bias are those of this piece, and `whole` gives, for its two sums per channel, those of all, and of how many rows.
  ///
  /// **Shapes.** Both `[…, channels]`.
  ///
  /// - Returns: The gradients by the weight and by the bias.
  public mutating func formBatchNormGradient(
    by dy: Tensor, mean: [Double], variance: [Double], epsilon: Float, scale: [Float],
    shift: [Float], relu: Bool,
    whole: (
      (_ sum: [Double], _ product: [Double]) -> (sum: [Double], product: [Double], rows: Int)
    )? =
      nil
  ) -> (weight: Tensor, bias: Tensor) {
    require(dy.shape == shape, "a gradient \(dy.shape) of \(shape)")
    let columns = shape[-1]
    // Of a vector that reaches into the next row another thread may be writing the rest.
    let isOwn =
      isKnownUniquelyReferenced(&storage) && isContiguous
      && columns.isMultiple(of: Int(ck_width()))
    return Profiler.count(
      "batch norm gradient", arithmetic: 8 * shape.count, elements: 5 * shape.count
    ) {
      let center = mean.map { Float($0) }
      let (x, dy, clamp) = (contiguous, dy.contiguous, Int32(relu ? 1 : 0))
      let (sum, product) = unsafe columnSums { range, sum, product in
        let start = range.lowerBound * columns
        unsafe x.withElements { x in
          unsafe dy.withElements { dy in
            unsafe ck_norm_gradient_sums(
              range.count, columns, x + start, dy + start, center, scale, shift, clamp, sum, product
            )
          }
        }
      }
      let all = whole?(sum, product) ?? (sum: sum, product: product, rows: shape.count / columns)
      let rows = Double(all.rows)
      let inverse = variance.map { 1 / ($0 + Double(epsilon)) }
      let slope = (0..<columns).map {
        Float(-Double(scale[$0]) * inverse[$0] * all.product[$0] / rows)
      }
      let offset = (0..<columns).map { Float(-Double(scale[$0]) * all.sum[$0] / rows) }
      func fill(_ target: UnsafeMutablePointer<Float>) {
        let address = unsafe SendableAddress(target)
        Parallel.ranges(x.shape.count / columns, grain: Tensor.normalizationGrain) { range in
          let start = range.lowerBound * columns
          unsafe x.withElements { x in
            unsafe dy.withElements { dy in
              unsafe ck_norm_gradient(
                range.count, columns, x + start, dy + start, center, scale, shift, clamp, slope,
                offset, address.pointer + start)
            }
          }
        }
      }
      if isOwn {
        unsafe fill(storage.base + self.offset)
      } else {
        self = unsafe Tensor(shape) { unsafe fill($0) }
      }
      let byWeight = zip(product, inverse).map { Float($0 * $1.squareRoot()) }
      return (Tensor(byWeight), Tensor(sum.map { Float($0) }))
    }
  }
}
