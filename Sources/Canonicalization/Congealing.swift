import Autodiff
import Foundation
public import Symmetry
public import TensorCore

let Congealing_sharp = Float(ProcessInfo.processInfo.environment["SHARP"] ?? "1") ?? 1
extension ClassAlignment {
  /// Finds the templates: for each class the mean of its images in the poses in which they lie on it best.
  ///
  /// From a random image of the class, sharper from round to round; of several such starts the one
  /// with the largest likelihood stays. Then the templates are turned apart, see `separate`.
  ///
  /// - Parameters:
  ///   - images: `[count, size, size, channels]`; the first 500 of each class are used.
  ///   - labels: Their classes.
  ///   - group: The poses that are tried.
  /// - Complexity: `starts` · `rounds` products of all copies of a class's images with its template.
  public func congeal<Group: FiniteGroup & PlanarGroup>(
    _ images: Tensor, labels: [Int], over group: Group, rounds: Int = 14, starts: Int = 6,
    using random: inout RandomStream
  ) {
    let action = ImageAction(group)
    let classes = templates.value.shape[1]
    let own = (0..<classes).map { c in Array((0..<images.shape[0]).filter { labels[$0] == c }.prefix(500)) }
    let seeds = own.map { rows in
      (0..<starts).map { _ in Int(random.uniform() * Float(max(1, rows.count))) }
    }
    let found = Parallel.map(Array(0..<classes)) { c -> Tensor in
      if own[c].isEmpty { return .zeros([1, templates.value.shape[0]]) }
      let copies = action.orbit(of: images.gathered(own[c]))
      return template(copies.reshaped([copies.shape[0], -1]), group.order, seeds[c], rounds)
    }
    templates.value = Tensor.concatenated(found).permuted([1, 0]).contiguous
    separate(action)
  }

  /// The template `[1, pixels]` of the best of some starts.
  ///
  /// - Parameters:
  ///   - copies: All images' copies, `[count · order, pixels]`.
  ///   - seeds: The images to begin with.
  private func template(
    _ copies: Tensor, _ order: Int, _ seeds: [Int], _ rounds: Int
  ) -> Tensor {
    let count = copies.shape[0] / order
    // The identity comes first.
    var means = copies.gathered(seeds.map { $0 * order })
    var likelihoods: [Float] = []
    for _ in 1...rounds {
      // Sharp: with a soft posterior the mean of all poses, round and round, is a fixed point.
      let sharp = Congealing_sharp
      let products = copies.matmul(means.permuted([1, 0]).contiguous) * sharp
      let logits = products.reshaped([count, order, seeds.count]).permuted([2, 0, 1]).contiguous
      let logPosterior = logits.softmax(logarithm: true)
      let evidence = (logits - logPosterior).sliced(0..<1, axis: 2).reshaped([seeds.count, count])
      let squares = means.squared().sum([1]).elements
      likelihoods = zip(evidence.mean([1]).elements, squares).map { $0 - sharp / 2 * $1 }
      let posterior = logits.softmax().reshaped([seeds.count, count * order])
      means = posterior.matmul(copies) * (1 / Float(count))
    }
    let best = likelihoods.indices.max { likelihoods[$0] < likelihoods[$1] } ?? 0
    return means.sliced(best..<best + 1)
  }

  /// Turns templates that look alike away from each other.
  ///
  /// Where classes are nearly turned copies of each other, as 6 is of 9, the pose can tell them apart: each
  /// template is turned, one after the other, to where the sum of exp(10 · cosine) with the others is
  /// least.
  private func separate<Group: FiniteGroup & PlanarGroup>(_ action: ImageAction<Group>) {
    let (classes, order) = (templates.value.shape[1], action.group.order)
    let images = templates.value.permuted([1, 0]).contiguous.reshaped([classes, size, size, -1])
    let turned = action.orbit(of: images).reshaped([classes * order, -1])
    let lengths = turned.squared().sum([1], keepingAxes: true).squareRoot()
    let unit = turned * (lengths + 1e-12).reciprocal()
    let cosines = unit.matmul(unit.permuted([1, 0]).contiguous).elements
    var chosen = [Int](repeating: 0, count: classes)
    let sign = ProcessInfo.processInfo.environment["SEP"] == "align" ? -1.0 : 1
    func cost(_ c: Int, _ turn: Int) -> Double {
      (0..<classes).filter { $0 != c }.reduce(0.0) { sum, other in
        let row = (c * order + turn) * classes * order
        return sum + sign * exp(10 * Double(cosines[row + other * order + chosen[other]]))
      }
    }
    for _ in 0..<10 {
      for c in 0..<classes {
        chosen[c] = (0..<order).min { cost(c, $0) < cost(c, $1) } ?? 0
      }
    }
    templates.value = turned.gathered((0..<classes).map { $0 * order + chosen[$0] })
      .permuted([1, 0]).contiguous
  }
}
