import CKernels
import Glibc
import Synchronization

/// How much memory the system lets this process have addresses of, where it is limited (`ulimit -v`).
///
/// An allocation that fails cannot be caught in Swift, and OpenBLAS asks for its buffers again without end. What is known before is
/// therefore checked before, and what is not ends the program with a sentence.
public enum AddressSpace {
  /// What OpenBLAS takes for each thread that multiplies matrices.
  private static let blasBuffer = 128 << 20
  /// What glibc takes for the heap of a further thread while it makes it; half of it is given back.
  private static let threadHeap = 128 << 20

  /// In bytes; `nil` where there is none.
  public static var limit: Int? {
    var limit = rlimit()
    guard unsafe getrlimit(__rlimit_resource_t(RLIMIT_AS.rawValue), &limit) == 0,
      limit.rlim_cur < rlim_t(Int.max)
    else { return nil }
    return Int(limit.rlim_cur)
  }

  /// The bytes that addresses are taken for.
  ///
  /// Nothing is allocated to know it.
  public static var used: Int {
    let file = unsafe open("/proc/self/statm", O_RDONLY)
    defer { close(file) }
    // The first number is the count of pages.
    var (digits, pages): ((UInt64, UInt64, UInt64), Int) = ((0, 0, 0), 0)
    unsafe withUnsafeMutableBytes(of: &digits) { buffer in
      let count = unsafe read(file, buffer.baseAddress, buffer.count)
      for n in 0..<max(0, count) {
        let digit = unsafe buffer[n]
        guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit) else { break }
        pages = 10 * pages + Int(digit - UInt8(ascii: "0"))
      }
    }
    return pages * sysconf(Int32(_SC_PAGESIZE))
  }

  /// For how many threads OpenBLAS has buffers.
  private static let provided = Atomic<Int>(0)

  /// Ends the program with a sentence where there is too little for so many threads to begin to compute.
  public static func require(threads: Int) {
    let before = provided.load(ordering: .relaxed)
    guard let limit, threads > before else { return }
    // The program and OpenBLAS's library take some 130 MiB, and may not have done so yet.
    let taken = max(used, 132 << 20 + before * blasBuffer)
    let added = (threads - before) * blasBuffer + (threads > 1 ? threadHeap : 0)
    let needed = taken + added + (32 << 20)
    if needed > limit {
      print(
        "Error: the address space is limited to \(limit >> 20) MiB (ulimit -v), and \(threads == 1 ? "a thread needs" : "\(threads) threads need") about \(needed >> 20) MiB to begin with; allow more\(threads > 1 ? ", or give fewer --threads" : "").\n"
      )
      _exit(1)
    }
    // OpenBLAS takes them now, and keeps them: later nothing may be left for them.
    ck_blas_take_buffers(threads)
    provided.store(threads, ordering: .relaxed)
  }

  /// From now on an allocation that fails, in Swift's runtime or anywhere else, ends the program with a sentence and status 1, where
  /// there is a limit and most of it is taken.
  public static func explainFailures() {
    guard limit != nil else { return }
    for number in [SIGABRT, SIGILL, SIGTRAP, SIGSEGV] {
      signal(number) { number in
        // What else ends a program ends it as it would without a limit.
        if let limit = AddressSpace.limit, AddressSpace.used > limit / 2 { AddressSpace.fail() }
        signal(number, SIG_DFL)
        raise(number)
      }
    }
  }

  /// Ends the program where an allocation has failed; nothing is allocated for it.
  ///
  /// At once: at an ordinary end other threads, which may be asking for memory for ever, would be waited for.
  static func fail() -> Never {
    let sentence: StaticString =
      "Error: no more memory could be had: it is used up, or the address space is limited (ulimit -v); allow more, or give fewer --threads, a smaller batch, or less to do at once.\n"
    _ = unsafe write(2, sentence.utf8Start, sentence.utf8CodeUnitCount)
    _exit(1)
  }

  private static func print(_ text: String) {
    var text = text
    text.withUTF8 { _ = unsafe write(2, $0.baseAddress, $0.count) }
  }
}
