/// The free parts of some memory, by address: blocks are cut from them, and joined with their neighbors when they come back.
///
/// Memory that had blocks of one size has room for others afterwards: what networks make falls and rises in size from
/// layer to layer, and blocks that each keep their size would add up to twice what is ever in use at once.
struct FreeExtents {
  /// In order; no two touch.
  private(set) var extents: [Range<Int>] = []

  /// Cuts a block from the smallest extent that holds it, of the lowest address, at its low end: best fit.
  ///
  /// - Returns: Where it begins, or `nil` where nothing holds it.
  /// - Complexity: O(extents).
  mutating func take(_ count: Int) -> Int? {
    var best: Int?
    for (n, extent) in extents.enumerated() where extent.count >= count {
      if best.map({ extent.count < extents[$0].count }) ?? true { best = n }
    }
    guard let best else { return nil }
    let extent = extents[best]
    if extent.count == count {
      extents.remove(at: best)
    } else {
      extents[best] = extent.lowerBound + count..<extent.upperBound
    }
    return extent.lowerBound
  }

  /// Takes memory back, or new memory in.
  ///
  /// - Precondition: Nothing of it is free.
  /// - Complexity: O(extents).
  mutating func give(_ block: Range<Int>) {
    var (after, end) = (0, extents.count)
    while after < end {
      let middle = (after + end) / 2
      if extents[middle].lowerBound < block.upperBound { after = middle + 1 } else { end = middle }
    }
    var joined = block
    if after < extents.count, extents[after].lowerBound == block.upperBound {
      joined = joined.lowerBound..<extents.remove(at: after).upperBound
    }
    if after > 0, extents[after - 1].upperBound == block.lowerBound {
      extents[after - 1] = extents[after - 1].lowerBound..<joined.upperBound
    } else {
      extents.insert(joined, at: after)
    }
  }
}
