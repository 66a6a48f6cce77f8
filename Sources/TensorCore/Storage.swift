import CKernels
import Glibc
import Synchronization

/// A block of floats, 64-byte aligned, taken from a pool and given back to it.
///
/// Fresh pages from the system cost more than the arithmetic on them at the sizes that networks
/// use, so blocks are recycled by size class. Blocks are readable `CK_SLACK` floats past their end:
/// kernels load whole vectors.
@safe final class Storage: @unchecked Sendable {
  let base: UnsafeMutablePointer<Float>
  private let capacity: Int

  /// Takes a block of at least `count` floats, of unspecified content.
  init(count: Int) {
    capacity = Storage.sizeClass(count + Int(CK_SLACK))
    unsafe base = StoragePool.shared.take(capacity)
  }

  deinit { unsafe StoragePool.shared.give(base, capacity) }

  /// The next of 2ᵏ, 1.25·2ᵏ, 1.5·2ᵏ, 1.75·2ᵏ: at most a quarter of a block is unused.
  private static func sizeClass(_ count: Int) -> Int {
    let exponent = max(6, Int.bitWidth - 1 - max(count, 1).leadingZeroBitCount)
    let step = (1 << exponent) / 4
    return (count + step - 1) / step * step
  }
}

/// The free blocks, by size.
@safe final class StoragePool: Sendable {
  static let shared = StoragePool()

  @safe private struct Address: @unchecked Sendable {
    let pointer: UnsafeMutablePointer<Float>
  }
  private struct State {
    var free: [Int: [Address]] = [:]
    var freeBytes = 0
    var fresh = 0
  }
  /// More than this many bytes are not kept: they go back to the system.
  private let limit = 1 << 30
  private let hugePage = 1 << 21
  private let state = Mutex(State())

  /// How many blocks came from the system, rather than from the pool, since the program began.
  var freshBlocks: Int { state.withLock { $0.fresh } }

  func take(_ capacity: Int) -> UnsafeMutablePointer<Float> {
    let recycled = state.withLock { state -> Address? in
      guard let address = state.free[capacity]?.popLast() else {
        state.fresh += 1
        return nil
      }
      state.freeBytes -= capacity * 4
      return address
    }
    if let recycled = recycled { return unsafe recycled.pointer }
    // Large blocks on huge pages: fewer faults, and fewer misses where rows lie pages apart.
    let isLarge = capacity * 4 >= 2 * hugePage
    var found: UnsafeMutableRawPointer?
    guard unsafe posix_memalign(&found, isLarge ? hugePage : 64, capacity * 4) == 0,
      let block = unsafe found
    else { AddressSpace.fail() }
    if isLarge { unsafe madvise(block, capacity * 4, MADV_HUGEPAGE) }
    return unsafe block.bindMemory(to: Float.self, capacity: capacity)
  }

  func give(_ pointer: UnsafeMutablePointer<Float>, _ capacity: Int) {
    let address = unsafe Address(pointer: pointer)
    let kept = state.withLock { state -> Bool in
      guard state.freeBytes + capacity * 4 <= limit else { return false }
      state.free[capacity, default: []].append(address)
      state.freeBytes += capacity * 4
      return true
    }
    if !kept { unsafe free(pointer) }
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
