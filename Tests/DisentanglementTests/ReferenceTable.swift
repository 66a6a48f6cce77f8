import TensorCore

@testable import Disentanglement

/// Numbers in 0…1023 that look random: the same formula stands in the Python of the expected values.
///
///     def noise(row, dim):
///         x = row * 7919 + dim * 104729 + 12345
///         for _ in range(3):
///             x = (1103515245 * x + 12345) & 0x7fffffff
///             x ^= x >> 15
///         return (x >> 8) & 1023
func noise(_ row: Int, _ dimension: Int) -> Int {
  var x = row * 7919 + dimension * 104_729 + 12_345
  for _ in 0..<3 {
    x = (1_103_515_245 &* x &+ 12_345) & 0x7fff_ffff
    x ^= x >> 15
  }
  return (x >> 8) & 1023
}

/// All combinations of three factors of 4, 3 and 5 values, so many times each.
///
///     F = np.array([[r % 4, r // 4 % 3, r // 12 % 5] for r in range(60 * repeats)])
func grid(_ repeats: Int) -> [[Int]] {
  (0..<60 * repeats).map { [$0 % 4, $0 / 4 % 3, $0 / 12 % 5] }
}

/// Codes of 360 rows that say something of their factors, and what is learned from and tested on.
///
///     Z = np.array([[1024*a + noise(r,0), 500*b + 2*noise(r,1), 300*c + noise(r,2) + 300*a, noise(r,3)]
///                   for r, (a, b, c) in enumerate(F)]) / 1024
///     test = (np.arange(360) // 60) % 3 == 2
enum Reference {
  static let factors = grid(6)
  static let codes = factors.enumerated().map { row, factors in
    [
      1024 * factors[0] + noise(row, 0), 500 * factors[1] + 2 * noise(row, 1),
      300 * factors[2] + noise(row, 2) + 300 * factors[0], noise(row, 3),
    ].map { Double($0) / 1024 }
  }
  static let split = (
    train: codes.indices.filter { $0 / 60 % 3 != 2 },
    test: codes.indices.filter { $0 / 60 % 3 == 2 }
  )
  static func table() throws -> LabeledCodes {
    try LabeledCodes(Codes(codes), Factors(factors, names: ["a", "b", "c"]))
  }
}

/// Codes that are the factors, brought to mean 0 and deviation 1.
func standardized(_ factors: [[Int]]) -> [[Double]] {
  let columns = factors[0].indices.map { factor in factors.map { Double($0[factor]) } }
  let scaled = columns.map { column in
    let mean = column.reduce(0, +) / Double(column.count)
    return column.map { ($0 - mean) / variance(of: column).squareRoot() }
  }
  return factors.indices.map { row in scaled.map { $0[row] } }
}

/// The first two dimensions turned by 45°.
func rotated(_ codes: [[Double]]) -> [[Double]] {
  let half = 0.5.squareRoot()
  return codes.map { [half * ($0[0] - $0[1]), half * ($0[0] + $0[1])] + $0.dropFirst(2) }
}

/// Normal numbers that have nothing to do with the factors.
func meaningless(_ rows: Int, _ dimensions: Int) -> [[Double]] {
  var random = RandomStream(seed: 7, name: "meaningless")
  return (0..<rows).map { _ in (0..<dimensions).map { _ in random.normal() } }
}

func labeled(_ codes: [[Double]], _ factors: [[Int]]) throws -> LabeledCodes {
  try LabeledCodes(Codes(codes), Factors(factors))
}
