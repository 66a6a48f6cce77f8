/// A linear support vector classifier of one feature, one class against the rest.
///
/// Of each class the minimum over weight *w* and bias *b* of ½ (*w*² + *b*²) + Σ *C*ᵢ max(0, 1 − *y*ᵢ (*w* *x*ᵢ + *b*))², the squared hinge,
/// with the bias penalized as the weight is. "Balanced": *C*ᵢ of a class's own rows is `C` · rows / (classes · its rows), and of the
/// rest `C` itself where there are three classes or more, as LIBLINEAR has it (`LinearSVC(C=…, class_weight="balanced")`). The function is
/// convex and piecewise quadratic in two numbers: Newton's method ends at its minimum.
struct LinearSVM: Sendable {
  /// By class, of those among the labels.
  let classes: [(label: Int, weight: Double, bias: Double)]

  init(_ feature: [Double], _ labels: [Int], penalty: Double) {
    let counts = labels.reduce(into: [Int: Int]()) { $0[$1, default: 0] += 1 }
    let present = counts.keys.sorted()
    func balanced(_ label: Int) -> Double {
      penalty * Double(labels.count) / Double(present.count * (counts[label] ?? 1))
    }
    classes = present.map { label in
      // Of two classes each has its own weight; the two problems are then one, seen from both sides.
      let rest =
        present.count == 2 ? balanced(present[0] == label ? present[1] : present[0]) : penalty
      let (weight, bias) = LinearSVM.minimum(
        feature, labels.map { $0 == label }, own: balanced(label), rest: rest)
      return (label, weight, bias)
    }
  }

  /// The class of the largest value, the first of equal ones.
  func label(of x: Double) -> Int {
    var best = classes[0]
    for other in classes.dropFirst()
    where other.weight * x + other.bias > best.weight * x + best.bias { best = other }
    return best.label
  }

  private static func minimum(
    _ feature: [Double], _ isOwn: [Bool], own: Double, rest: Double
  ) -> (weight: Double, bias: Double) {
    // From the mean: second derivatives far from 0 differ by less than they are rounded. The bias there is b + w · mean.
    let mean = feature.reduce(0, +) / Double(feature.count)
    /// The function's value, gradient and second derivatives; those of active rows alone.
    func derivatives(_ w: Double, _ b: Double) -> (
      value: Double, gradient: (Double, Double), second: (ww: Double, wb: Double, bb: Double)
    ) {
      let bias = b - w * mean
      var value = (w * w + bias * bias) / 2
      var (gw, gb, ww, wb, bb) = (w - bias * mean, bias, 1 + mean * mean, -mean, 1.0)
      for (number, isOwn) in zip(feature, isOwn) {
        let x = number - mean
        let (y, c) = isOwn ? (1.0, own) : (-1.0, rest)
        let slack = 1 - y * (w * x + b)
        guard slack > 0 else { continue }
        value += c * slack * slack
        gw -= 2 * c * slack * y * x
        gb -= 2 * c * slack * y
        ww += 2 * c * x * x
        wb += 2 * c * x
        bb += 2 * c
      }
      return (value, (gw, gb), (ww, wb, bb))
    }
    var (w, b) = (0.0, 0.0)
    var here = derivatives(w, b)
    for _ in 0..<200 {
      let (gradient, second) = (here.gradient, here.second)
      let determinant = second.ww * second.bb - second.wb * second.wb
      let dw = (second.bb * gradient.0 - second.wb * gradient.1) / determinant
      let db = (second.ww * gradient.1 - second.wb * gradient.0) / determinant
      let slope = gradient.0 * dw + gradient.1 * db
      guard slope > 1e-14 * here.value else { break }
      var length = 1.0
      var next = derivatives(w - dw, b - db)
      while next.value > here.value - 1e-4 * length * slope && length > 1e-10 {
        length /= 2
        next = derivatives(w - length * dw, b - length * db)
      }
      guard next.value < here.value else { break }
      (w, b, here) = (w - length * dw, b - length * db, next)
    }
    return (w, b - w * mean)
  }
}
