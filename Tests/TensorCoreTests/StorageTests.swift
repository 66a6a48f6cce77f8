import CKernels
import Glibc
import Testing

@testable import TensorCore

/// Memory is cut and joined without loss, and no two blocks share any.
struct StorageTests {
  @Test(
    "Blocks that are taken and given back in any order lie apart, and all is one again at the end")
  func extents() {
    var random = RandomStream(seed: 3, name: "extents")
    let whole = 4096..<4096 + (1 << 20)
    var free = FreeExtents()
    free.give(whole)
    var taken: [Range<Int>] = []
    var refused = 0
    for _ in 0..<4000 {
      if Int(random.next() % 5) < 3 {
        let count = 64 * (1 + Int(random.next() % 1500))
        let largest = free.extents.map(\.count).max() ?? 0
        if let start = free.take(count) {
          taken.append(start..<start + count)
        } else {
          #expect(largest < count, "what would have held it was there")
          refused += 1
        }
      } else if !taken.isEmpty {
        free.give(taken.remove(at: Int(random.next() % UInt64(taken.count))))
      }
      #expect((free.extents + taken).map(\.count).reduce(0, +) == whole.count)
      let parts = (free.extents + taken).sorted { $0.lowerBound < $1.lowerBound }
      #expect(
        parts.first?.lowerBound == whole.lowerBound && parts.last?.upperBound == whole.upperBound)
      #expect(zip(parts, parts.dropFirst()).allSatisfy { $0.upperBound == $1.lowerBound })
      #expect(
        zip(free.extents, free.extents.dropFirst()).allSatisfy { $0.upperBound < $1.lowerBound })
    }
    #expect(refused > 0, "it was never full")
    taken.forEach { free.give($0) }
    #expect(free.extents == [whole])
  }

  @Test("A block is cut from the smallest extent that holds it, of the lowest address")
  func bestFit() {
    var free = FreeExtents()
    for extent in [0..<1000, 2000..<2300, 3000..<3300, 4000..<4100] { free.give(extent) }
    #expect(free.take(200) == 2000)
    #expect(free.take(300) == 3000)
    #expect(free.take(100) == 2200)
    #expect(free.take(1001) == nil)
    #expect(free.extents == [0..<1000, 4000..<4100])
  }

  @Test("Memory of one size serves others afterwards: nothing more comes from the system")
  func isShared() {
    let pool = StoragePool()
    let sizes = [6, 6, 4, 2, 3, 1, 2, 5].map { StoragePool.capacity(for: $0 << 20) }
    func hold(_ sizes: ArraySlice<Int>) {
      let blocks = sizes.map { Int(bitPattern: unsafe pool.take($0)) }
      for (block, size) in zip(blocks, sizes) {
        unsafe pool.give(UnsafeMutablePointer(bitPattern: block)!, size)
      }
    }
    hold(sizes[..<2])
    let before = pool.freshBlocks
    #expect(before > 0)
    hold(sizes[2..<4])
    hold(sizes[4..<7])
    hold(sizes[7...])
    #expect(pool.freshBlocks == before)
  }

  @Test("Pages go back to the system where too much is free, and not again and again")
  func pagesGoBack() {
    let size = StoragePool.capacity(for: 8 << 20)
    let pool = StoragePool(limit: 20 << 20)
    func mark(_ count: Int) -> [Float] {
      let blocks = (0..<count).map { _ in Int(bitPattern: unsafe pool.take(size)) }
      return blocks.map { block in
        let pointer = unsafe UnsafeMutablePointer<Float>(bitPattern: block)!
        let before = unsafe pointer[1 << 20]
        unsafe pointer[1 << 20] = 7
        unsafe pool.give(pointer, size)
        return before
      }
    }
    #expect(mark(1) == [0])
    #expect(mark(1) == [7], "what is below the limit stays")
    _ = mark(3)
    #expect(mark(1) == [0], "it did not go back")
    for _ in 0..<20 { #expect(mark(1) == [7], "it goes back each time") }
  }

  @Test(
    "Blocks lie at multiples of 64 bytes, and can be read past their end",
    arguments: [1, 65_504, 65_505, 300_000])
  func alignment(count: Int) {
    let block = Storage(count: count)
    #expect(Int(bitPattern: unsafe block.base) % 64 == 0)
    unsafe block.base[count + 31] = 1
    #expect(unsafe block.base[count + 31] == 1)
  }

  /// Whether the address sanitizer looks on.
  private static let isSanitized = unsafe dlsym(nil, "__asan_init") != nil

  @Test(
    "The address sanitizer sees who reads past a block, or what was given back",
    .enabled(if: isSanitized))
  func isSeen() async {
    await #expect(processExitsWith: .failure) {
      let block = Storage(count: 10)
      print(unsafe block.base[10 + Int(CK_SLACK)])
    }
    await #expect(processExitsWith: .failure) {
      var block: Storage? = Storage(count: 300_000)
      let address = Int(bitPattern: unsafe block?.base)
      block = nil
      print(unsafe UnsafePointer<Float>(bitPattern: address)?[0] ?? 0)
    }
  }
}

/// Batch norm's gradient takes the place of what was normalized, where nobody else has that.
struct GradientInPlaceTests {
  @Test(
    "It is the same in its own memory and beside it, and who holds what was normalized keeps it",
    arguments: [3, 32, 128])
  func isTheSame(channels: Int) {
    var random = RandomStream(seed: 5, name: "in place")
    let shape: Shape = [5000, channels]
    let (x, dy) = (Tensor.uniform(shape, using: &random), Tensor.uniform(shape, using: &random))
    let before = x.elements
    let moments = x.channelMoments()
    let (scale, shift) = (
      [Float](repeating: 1.5, count: channels), [Float](repeating: -0.6, count: channels)
    )
    func form(_ input: inout Tensor) -> (weight: Tensor, bias: Tensor) {
      input.formBatchNormGradient(
        by: dy, mean: moments.mean, variance: moments.variance, epsilon: 1e-5, scale: scale,
        shift: shift, relu: true)
    }
    var shared = x
    let beside = form(&shared)
    #expect(x.elements == before)
    var own = Tensor(before).reshaped(shape)
    let place = unsafe own.elementAddress
    let inPlace = form(&own)
    #expect(own == shared && inPlace == beside)
    #expect(own.elements != before)
    #expect(unsafe (own.elementAddress == place) == channels.isMultiple(of: Int(ck_width())))
  }
}
