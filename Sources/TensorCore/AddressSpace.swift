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

  /// What is missing, in bytes, for so many threads to begin to compute; `nil` where nothing is.
  public static func shortage(threads: Int) -> Int? {
    guard let limit else { return nil }
    // The threads that OpenBLAS has started of itself take one each.
    let buffers = threads + max(0, Int(openblas_get_num_threads()) - 1)
    let missing = used + buffers * blasBuffer + (32 << 20) - limit
    return missing > 0 ? missing : nil
  }

  /// From now on an allocation that fails, in Swift's runtime or anywhere else, ends the program with a sentence and status 1, where
  /// there is a limit.
  public static func explainFailures() {
    guard limit != nil else { return }
    for number in [SIGABRT, SIGILL, SIGTRAP, SIGSEGV] {
      signal(number) { _ in AddressSpace.fail() }
    }
  }

  /// Ends the program. Nothing is allocated for it.
  static func fail() -> Never {
    let text: StaticString =
      "Error: no more memory could be had: it is used up, or the address space is limited (ulimit -v). Allow more, or give fewer --threads, a smaller batch, or less to do at once.\n"
    _ = unsafe write(2, text.utf8Start, text.utf8CodeUnitCount)
    _exit(1)
  }
}
