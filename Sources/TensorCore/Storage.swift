import CKernels
import Glibc
import Synchronization

/// A block of floats, 64-byte aligned, taken from a pool and given back to it.
///
/// Fresh pages from the system cost more than the arithmetic on them at the sizes that networks
/// use, so memory is recycled. Blocks are readable `CK_SLACK` floats past their end: kernels load whole vectors.
@safe final class Storage: @unchecked Sendable {
  let base: UnsafeMutablePointer<Float>
  private let capacity: Int

  /// Takes a block of at least `count` floats, of unspecified content.
  init(count: Int) {
    let bytes = 4 * (count + Int(CK_SLACK))
    capacity = StoragePool.capacity(for: bytes)
    unsafe base = StoragePool.shared.take(capacity)
    unsafe ck_mark_block(base, bytes, capacity)
  }

  deinit {
    unsafe ck_mark_block(base, 0, capacity)
    unsafe StoragePool.shared.give(base, capacity)
  }
}

/// The free memory: small blocks by their size, large ones cut from what is free and joined with it again.
@safe final class StoragePool: Sendable {
  static let shared = StoragePool()

  private struct State {
    /// Where small blocks begin, by size.
    var small: [Int: [Int]] = [:]
    /// What further small blocks are cut from, apart from the others, which they would cut up.
    var uncut = FreeExtents()
    var large = FreeExtents()
    /// How many bytes came back, more than were taken, since pages went to the system.
    var resident = 0
    var fresh = 0
  }
  /// From so many bytes on a block is large.
  private static let largeSize = 1 << 18
  /// Where so many bytes are free, the pages of large blocks go back to the system.
  private let limit: Int
  private let hugePage = 1 << 21
  private let state = Mutex(State())

  init(limit: Int = 1 << 30) { self.limit = limit }

  /// How often memory came from the system, rather than from the pool, since the program began.
  var freshBlocks: Int { state.withLock { $0.fresh } }

  /// The size of the block for so many bytes.
  ///
  /// Of a small one the next of 2ᵏ, 1.25·2ᵏ, 1.5·2ᵏ, 1.75·2ᵏ: at most a quarter is unused.
  static func capacity(for bytes: Int) -> Int {
    guard bytes < largeSize else { return (bytes + 63) / 64 * 64 }
    let exponent = max(8, Int.bitWidth - 1 - bytes.leadingZeroBitCount)
    let step = (1 << exponent) / 4
    return (bytes + step - 1) / step * step
  }

  func take(_ capacity: Int) -> UnsafeMutablePointer<Float> {
    let start = state.withLock { state -> Int? in
      state.resident = max(0, state.resident - capacity)
      if capacity >= StoragePool.largeSize {
        return cut(capacity, from: &state.large, &state.fresh)
      }
      return state.small[capacity]?.popLast() ?? cut(capacity, from: &state.uncut, &state.fresh)
    }
    guard let start, let block = unsafe UnsafeMutableRawPointer(bitPattern: start) else {
      AddressSpace.fail()
    }
    return unsafe block.bindMemory(to: Float.self, capacity: capacity / 4)
  }

  func give(_ pointer: UnsafeMutablePointer<Float>, _ capacity: Int) {
    let start = Int(bitPattern: pointer)
    state.withLock { state in
      if capacity < StoragePool.largeSize {
        state.small[capacity, default: []].append(start)
      } else {
        state.large.give(start..<start + capacity)
      }
      state.resident += capacity
      guard state.resident > limit else { return }
      // Their addresses stay, and are empty: of whatever is cut from them later the pages come anew, once.
      state.large.extents.forEach(release)
      state.resident = 0
    }
  }

  private func cut(_ capacity: Int, from extents: inout FreeExtents, _ fresh: inout Int) -> Int? {
    if let start = extents.take(capacity) { return start }
    fresh += 1
    extents.give(freshMemory(capacity))
    return extents.take(capacity)
  }

  /// Memory from the system, of huge pages: fewer faults, and fewer misses where rows lie pages apart.
  ///
  /// A huge page takes as long as a hundred small ones, and a program that answers for one image touches four hundred.
  private func freshMemory(_ capacity: Int) -> Range<Int> {
    let bytes = (capacity + hugePage - 1) / hugePage * hugePage
    var start = mapped(bytes)
    // The system puts one region beside the other, so that the first one alone is not where it should be.
    if start % hugePage != 0 {
      unsafe munmap(UnsafeMutableRawPointer(bitPattern: start), bytes)
      let whole = mapped(bytes + hugePage)
      start = (whole + hugePage - 1) / hugePage * hugePage
      unsafe munmap(UnsafeMutableRawPointer(bitPattern: whole), start - whole)
      let end = start + bytes
      unsafe munmap(UnsafeMutableRawPointer(bitPattern: end), whole + hugePage - start)
    }
    unsafe madvise(UnsafeMutableRawPointer(bitPattern: start), bytes, MADV_HUGEPAGE)
    return start..<start + bytes
  }

  private func mapped(_ bytes: Int) -> Int {
    let region = unsafe mmap(
      nil, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    guard let region = unsafe region, unsafe region != MAP_FAILED else { AddressSpace.fail() }
    return Int(bitPattern: region)
  }

  /// Gives the pages back that lie in a range of addresses as a whole.
  private func release(_ range: Range<Int>) {
    let page = sysconf(Int32(_SC_PAGESIZE))
    let (first, end) = ((range.lowerBound + page - 1) / page * page, range.upperBound / page * page)
    guard first < end else { return }
    unsafe madvise(UnsafeMutableRawPointer(bitPattern: first), end - first, MADV_DONTNEED)
  }
}

/// What the tensor core has done since the program began, for benchmarks and bug reports.
public enum TensorCoreStatistics {
  /// How many memory blocks came from the system rather than from the pool of recycled ones.
  ///
  /// A steady training step leaves it unchanged.
  public static var freshBlocks: Int { StoragePool.shared.freshBlocks }

  /// The instruction set of the kernels: `"avx512"`, `"avx2"` or `"portable"`.
  public static var instructionSet: String { unsafe String(cString: ck_path()) }
}
