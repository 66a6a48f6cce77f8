import Autodiff
import Glibc
import TensorCore

extension Operators {
  /// Windows of signals: sums of cosines (Harris 1978, doi 10.1109/PROC.1978.10837).
  static let signals: [String: Body] = [
    "HannWindow": { [.floats(try $0.window([0.5, 0.5]))] },
    "HammingWindow": { [.floats(try $0.window([25.0 / 46, 21.0 / 46]))] },
    "BlackmanWindow": { [.floats(try $0.window([0.42, 0.5, 0.08]))] },
  ]
}

extension Call {
  /// Σₖ (−1)ᵏ `terms`ₖ cos(2πkn/N), *N* being one less for a symmetric one.
  fileprivate func window(_ terms: [Double]) throws -> Variable {
    guard let size = try integers(0).elements.first, size >= 0 else {
      throw failure("a window of no size")
    }
    let count = try checked([size])[0]
    let period = Double(max(1, int("periodic") == 0 ? count - 1 : count))
    let numbers = (0..<count).map { n -> Float in
      Float(
        terms.enumerated().reduce(0) { sum, term in
          let sign: Double = term.offset % 2 == 0 ? 1 : -1
          return sum + sign * term.element * cos(2 * .pi * Double(term.offset * n) / period)
        })
    }
    return Variable(Tensor(numbers, shape: [count]))
  }
}
