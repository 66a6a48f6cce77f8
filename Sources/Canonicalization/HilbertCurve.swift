/// How far along the Hilbert curve through the cube −2…2 a point lies (Skilling 2004,
/// doi 10.1063/1.1751381).
///
/// - Parameter place: 1 to 4 coordinates; what is outside the cube counts as at its surface.
func hilbertIndex(_ place: [Double], bits: Int = 12) -> UInt64 {
  let n = place.count
  let largest = Double(1 << bits) - 1
  var x = place.map { UInt64(min(max(($0 + 2) / 4, 0), 1) * largest) }
  // Undo the reflections and exchanges of the finer levels, from the coarsest on.
  var q: UInt64 = 1 << UInt64(bits - 1)
  while q > 1 {
    let p = q - 1
    for i in 0..<n {
      if x[i] & q != 0 {
        x[0] ^= p
      } else {
        let t = (x[0] ^ x[i]) & p
        x[0] ^= t
        x[i] ^= t
      }
    }
    q >>= 1
  }
  // Gray code.
  for i in stride(from: 1, to: n, by: 1) { x[i] ^= x[i - 1] }
  var t: UInt64 = 0
  q = 1 << UInt64(bits - 1)
  while q > 1 {
    if x[n - 1] & q != 0 { t ^= q - 1 }
    q >>= 1
  }
  for i in 0..<n { x[i] ^= t }
  // Interleave, the most significant bits first.
  var index: UInt64 = 0
  for bit in (0..<bits).reversed() {
    for i in 0..<n { index = index << 1 | (x[i] >> UInt64(bit)) & 1 }
  }
  return index
}
