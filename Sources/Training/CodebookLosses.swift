public import Autodiff
import Layers
public import TensorCore

// What a codebook is made small by, beside how well it explains pairs: that sections are directions of one factor each.
extension SymmetryCodebook {
  /// How far each element moves each code: *z* − *z* exp(*g*).
  ///
  /// **Shapes.** codes `[batch, dimension]`, generators `[sections, elements, dimension, dimension]` →
  /// `[sections, elements · batch, dimension]`.
  ///
  /// - Complexity: One exponential for each element.
  public static func displacements(of codes: Variable, by generators: Variable) -> Variable {
    let (sections, elements) = (generators.shape[0], generators.shape[1])
    let (count, all, dimension) = (codes.shape[0], sections * elements, codes.shape[1])
    let matrices = generators.reshaped([all, dimension, dimension]).matrixExponential()
    let moved = codes.matmul(matrices.permuted([1, 0, 2]).reshaped([dimension, all * dimension]))
    return (codes.reshaped([count, 1, dimension]) - moved.reshaped([count, all, dimension]))
      .reshaped([count, sections, elements, dimension]).permuted([1, 2, 0, 3])
      .reshaped([sections, elements * count, dimension])
  }

  /// Displacements brought to length 1; one of no length stays so.
  public static func directions(_ displacements: Variable) -> Variable {
    displacements / (displacements.squared().sum([2], keepingAxes: true) + 1e-20).squareRoot()
  }

  /// L_pl: how far directions of a section are from parallel, the mean of −log(cos² + 10⁻⁹) over pairs of them.
  ///
  /// - Parameters:
  ///   - directions: `[sections, count, dimension]`, of length 1.
  ///   - rows: Those that are compared with all; a random choice of them makes an unbiased estimate of the mean over all pairs, each with
  ///     itself among them.
  public static func parallelLoss(_ directions: Variable, rows: [Int]) -> Variable {
    let some = directions.permuted([1, 0, 2]).gathered(rows).permuted([1, 0, 2])
    return -(some.matmul(directions.permuted([0, 2, 1])).squared() + 1e-9).log().mean()
  }

  /// L_pd: how far directions of unlike sections are from perpendicular, the mean of cos² over all pairs of such.
  ///
  /// With *M* = Σ *u* *u*ᵀ of a section, Σ cos² between two is ⟨*M*, *M*′⟩: so all elements count, where the public code draws one of
  /// each section.
  ///
  /// - Complexity: O(sections · count · dimension²).
  public static func perpendicularLoss(_ directions: Variable) -> Variable {
    let (sections, count) = (directions.shape[0], Float(directions.shape[1]))
    guard sections > 1 else { return Variable(Tensor(0)) }
    let moments = directions.permuted([0, 2, 1]).matmul(directions) * (1 / count)
    let between = moments.sum([0]).squared().sum() - moments.squared().sum()
    return between * (1 / Float(sections * (sections - 1)))
  }

  /// L_s: how far displacements are from lying along one axis, the mean of (Σ *d*² − max *d*²)².
  public static func sparsityLoss(_ displacements: Variable) -> Variable {
    let squares = displacements.squared()
    return (squares.sum([2]) - squares.maximum(2)).squared().mean()
  }

  /// L_c: how far elements are from commuting, the mean of squared numbers of *g* *h* − *h* *g*, over all pairs of unlike elements of the
  /// whole codebook.
  ///
  /// - Complexity: O((sections · elements)² · dimension³).
  public static func commutatorLoss(_ generators: Variable) -> Variable {
    let (all, d) = (generators.shape[0] * generators.shape[1], generators.shape[2])
    guard all > 1 else { return Variable(Tensor(0)) }
    let matrices = generators.reshaped([all, d, d])
    // (g, row, h, column): every product of two.
    let products = matrices.reshaped([all * d, d])
      .matmul(matrices.permuted([1, 0, 2]).reshaped([d, all * d])).reshaped([all, d, all, d])
    let squares = (products - products.permuted([2, 1, 0, 3])).squared().sum()
    return squares * (1 / Float(all * (all - 1) * d * d))
  }

  /// L_p: the cross entropy of switches against whether each number of a code differs, summed over sections.
  ///
  /// - Parameters:
  ///   - logits: Off and on, before any softmax, `[pairs, sections, 2]`.
  ///   - hasChanged: 1 where |*z*₁ − *z*₂| is above the threshold, else 0, `[pairs, sections]`.
  public static func predictionLoss(_ logits: Variable, hasChanged: Tensor) -> Variable {
    let (pairs, sections) = (logits.shape[0], logits.shape[1])
    let picked = logits.logSoftmax().reshaped([pairs * sections, 2])
      .picked(hasChanged.elements.map { $0 > 0 ? 1 : 0 })
    return -picked.sum() * (1 / Float(pairs))
  }

  /// Which numbers of codes are farther apart than a threshold, as 1 or 0.
  public static func changes(_ first: Tensor, _ second: Tensor, threshold: Float) -> Tensor {
    (first - second).absolute().isGreater(than: Tensor(threshold))
  }
}
