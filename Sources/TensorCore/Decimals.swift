import CKernels

extension Double {
  /// The number with some decimals, rounded to the nearest, ties to even; `nan`, `inf` and `-inf` where it is none.
  ///
  /// `String(format:)` takes half a millisecond when it is first called, of the thirty that a first answer has.
  ///
  /// - Precondition: At most 100 decimals.
  package func formatted(_ decimals: Int) -> String {
    require(0...100 ~= decimals, "\(decimals) decimals")
    guard !isNaN else { return "nan" }
    return unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: 512) { text in
      guard let start = text.baseAddress else { return "" }
      unsafe ck_decimals(self, Int32(decimals), start, text.count)
      return unsafe String(cString: start)
    }
  }
}
