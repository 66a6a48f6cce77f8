import Autodiff
import Glibc
public import Symmetry
public import TensorCore

/// The Fourier transform on a finite group of rotations, with or without reflections: real and orthogonal, and such that a convolution
/// on the group becomes a product with a 2 × 2 matrix in each of order / 2 blocks.
///
/// Its rows are the matrix coefficients √(d / order) · ρᵢⱼ(*g*) of the real irreducible representations ρ of dimension *d*
/// (Serre 1977, *Linear Representations of Finite Groups*, chapters 2 and 5). With *x̂* = *F* *x*, the convolution
/// *y*[*r*] = Σₛ *w*[*r*⁻¹*s*] *x*[*s*] is
///
///     ŷ[k, b] = Σₐ ŵ[k, a, b] x̂[k, a],    ŵ[k, a, b] = Σᵤ w[u] Σᵣ F[(k, b), r] F[(k, a), r u]
///
/// - Complexity: Of order *n* with *c* channels 2*n*(*n* *c* + *c*²) multiply-adds, of which the sum over *s* takes *n*² *c*².
public struct GroupFourierTransform: Sendable {
  /// *F*, `[order, order]`; rows 2*k* and 2*k* + 1 make block *k*.
  public var matrix: Tensor { product.matrix }
  private let product: SpectralProduct
  /// What takes *w* to *ŵ*, `[4 · blocks, order]`, a row for each (*k*, *a*, *b*).
  private let spectrum: Tensor

  /// The transform of a group; `nil` of one whose order is odd, or that is no cyclic or dihedral group about the origin.
  ///
  /// - Complexity: O(order³).
  public init?<Group: FiniteGroup & PlanarGroup>(_ group: Group) {
    let (n, elements) = (group.order, group.elements)
    let isometries = elements.map(group.isometry)
    let turns = isometries.count { !$0.isReflected }
    guard n % 2 == 0, n == turns || n == 2 * turns else { return nil }
    let signs = isometries.map { $0.isReflected ? -1.0 : 1 }
    // Each rotation by its number of steps.
    let steps = isometries.map { ($0.angle * Double(turns) / (2 * .pi)).rounded() }
    let isPlain = n == turns
    var rows: [[Double]] = []
    for frequency in turns % 2 == 0 ? [0, turns / 2] : [0] {
      // 1 or −1, by whole numbers: exact.
      let row = steps.map {
        frequency == 0 || Int($0) % 2 == 0
          ? 1 / Double(n).squareRoot() : -1 / Double(n).squareRoot()
      }
      rows.append(row)
      if !isPlain { rows.append(zip(row, signs).map { $0 * $1 }) }
    }
    let scale = (2 / Double(n)).squareRoot()
    for frequency in 1..<max(1, (turns + 1) / 2) {
      let angles = steps.map { $0 * Double(frequency) * 2 * .pi / Double(turns) }
      let (c, s) = (angles.map { scale * cos($0) }, angles.map { scale * sin($0) })
      rows += [zip(c, signs).map { $0 * $1 }, s]
      if !isPlain { rows += [zip(s, signs).map { $0 * $1 }, c.map { -$0 }] }
    }
    guard rows.count == n else { return nil }
    let products = elements.map { r in elements.map { group.index(of: group.compose(r, $0)) } }
    var values: [Float] = []
    for block in 0..<n / 2 {
      for (a, b) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        let (x, y) = (rows[2 * block + a], rows[2 * block + b])
        values += (0..<n).map { u in
          Float((0..<n).reduce(0.0) { $0 + y[$1] * x[products[$1][u]] })
        }
      }
    }
    product = SpectralProduct(Tensor(rows.flatMap { $0.map { Float($0) } }, shape: [n, n]))
    spectrum = Tensor(values, shape: [2 * n, n])
  }

  /// The blocks of a filter, which inputs are multiplied by.
  ///
  /// **Shapes.** `[order, inputs, channels]` → `[blocks, 2 · inputs, 2 · channels]`.
  func spectrum(of filter: Variable) -> Variable {
    let (n, inputs, channels) = (matrix.shape[0], filter.shape[1], filter.shape[2])
    return Variable(spectrum).matmul(filter.reshaped([n, inputs * channels]))
      .reshaped([n / 2, 2, 2, inputs, channels])  // k, a, b, …
      .permuted([0, 1, 3, 2, 4]).reshaped([n / 2, 2 * inputs, 2 * channels])
  }

  /// The convolution on the group at each position, clamped at zero if `relu`.
  ///
  /// **Shapes.** input `[batch, height, width, order · inputs]`, blocks of `spectrum(of:)`, bias `[order · channels]` → `[…, order · channels]`.
  func convolved(
    _ input: Variable, with blocks: Variable, bias: Variable? = nil, relu: Bool = false
  ) -> Variable {
    if input.isTraced {
      // Written down it is the plain one, which programs that read it do in one operation.
      return input.convolved(with: Variable(kernel(of: blocks.value)), bias: bias, relu: relu)
    }
    let value = product(input.value, blocks.value, bias: bias?.value, relu: relu)
    return Variable(value, inputs: [input, blocks] + (bias.map { [$0] } ?? [])) {
      [
        product, shape = blocks.shape, x = blocks.requiresGradient ? input.kept : nil,
        b = input.requiresGradient ? blocks.value : nil, y = relu ? value : nil,
        needsBias = bias?.requiresGradient ?? false
      ] dy in
      let dy = y.map { dy.reluGradient(output: $0) } ?? dy
      let byBlocks = x.map { product.blocksGradient(dy, input: $0(), blocks: shape) }
      return [
        b.map { product.inputGradient(dy, $0) }, byBlocks, needsBias ? dy.sum([0, 1, 2]) : nil,
      ]
    }
  }

  /// The mean of it over the positions of each image, `[batch, order · channels]`.
  func averaged(
    _ input: Tensor, with blocks: Tensor, bias: Tensor?, relu: Bool
  ) -> Tensor { product.mean(input, blocks, bias: bias, relu: relu) }

  /// The kernel of a plain convolution that does the same, `[1, 1, order · inputs, order · channels]`.
  private func kernel(of blocks: Tensor) -> Tensor {
    let depth = matrix.shape[0] * blocks.shape[1] / 2
    var identity = [Float](repeating: 0, count: depth * depth)
    for n in 0..<depth { identity[n * (depth + 1)] = 1 }
    return product(Tensor(identity, shape: [1, 1, depth, depth]), blocks)
  }
}
