import COpenBLAS
import Glibc

/// How much memory the system lets this process have addresses of, where it is limited (`ulimit -v`).
///
/// An allocation that fails cannot be caught in Swift, and OpenBLAS asks for its buffers again without end. What is known before is
/// therefore checked before, and what is not ends the program with a sentence.
public enum AddressSpace {
  /// What OpenBLAS takes for each thread that multiplies matrices.
  private static let blasBuffer = 128 << 20

  /// In bytes; `nil` where there is none.
  public static var limit: Int? {
    var limit = rlimit()
    guard unsafe getrlimit(__rlimit_resource_t(RLIMIT_AS.rawValue), &limit) == 0,
      limit.rlim_cur < rlim_t(Int.max)
    else { return nil }
    return Int(limit.rlim_cur)
  }

  /// The bytes that addresses are taken for.
  public static var used: Int {
    let text = Files.prefix(of: "/proc/self/statm", 32).prefix { $0 != UInt8(ascii: " ") }
    return (Int(String(decoding: text, as: UTF8.self)) ?? 0) * sysconf(Int32(_SC_PAGESIZE))
  }

  /// Ends the program with a sentence where there is too little for so many threads to begin to compute.
  public static func require(threads: Int) {
    guard let limit else { return }
    // The threads that OpenBLAS has started of itself take one each.
    let buffers = threads + max(0, Int(openblas_get_num_threads()) - 1)
    let needed = used + buffers * blasBuffer + (32 << 20)
    if needed > limit {
      end(
        "the address space is limited to \(limit >> 20) MiB (ulimit -v), and \(threads) threads need \(needed >> 20) MiB to begin with; allow more, or give fewer --threads"
      )
    }
    takeBuffers(threads)
  }

  /// Lets OpenBLAS take the buffers of so many threads now, which it keeps: later nothing may be left for them.
  private static func takeBuffers(_ count: Int) {
    typealias Allocate = @convention(c) (Int32) -> UnsafeMutableRawPointer?
    typealias Free = @convention(c) (UnsafeMutableRawPointer?) -> Void
    guard let allocate = unsafe dlsym(nil, "blas_memory_alloc"),
      let free = unsafe dlsym(nil, "blas_memory_free")
    else { return }
    let buffers = unsafe (0..<count).map { _ in
      unsafe unsafeBitCast(allocate, to: Allocate.self)(0)
    }
    unsafe buffers.forEach { unsafe unsafeBitCast(free, to: Free.self)($0) }
  }

  /// From now on an allocation that fails, in Swift's runtime or anywhere else, ends the program with a sentence and status 1, where
  /// there is a limit.
  public static func explainFailures() {
    guard limit != nil else { return }
    for number in [SIGABRT, SIGILL, SIGTRAP, SIGSEGV] {
      signal(number) { _ in AddressSpace.fail() }
    }
  }

  /// Ends the program where an allocation has failed; nothing is allocated for it.
  static func fail() -> Never {
    end(
      "no more memory could be had: it is used up, or the address space is limited (ulimit -v); allow more, or give fewer --threads, a smaller batch, or less to do at once"
    )
  }

  /// At once: at an ordinary end OpenBLAS waits for its threads, which may be asking for memory for ever.
  private static func end(_ sentence: String) -> Never {
    for part in ["Error: ", sentence, ".\n"] {
      var part = part
      part.withUTF8 { text in _ = unsafe write(2, text.baseAddress, text.count) }
    }
    _exit(1)
  }
}
