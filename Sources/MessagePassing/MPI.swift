import Glibc
import Synchronization

/// The processes that `mpirun`, or `srun` with PMIx, has started: Open MPI, loaded where it is used.
///
/// A machine that trains alone needs none. Calls are made by one thread at a time, and wait by asking. Where a process is gone
/// `mpirun` asks the others to end, by a signal, and they wait until then.
@safe public final class MPI: Communicator, @unchecked Sendable {
  /// Why processes cannot work together.
  public struct Failure: Error, CustomStringConvertible {
    public let description: String
  }

  private typealias Handle = OpaquePointer
  private typealias Send =
    @convention(c) (UnsafeRawPointer?, CInt, Handle, CInt, CInt, Handle, UnsafeMutableRawPointer) ->
    CInt
  private typealias Receive =
    @convention(c) (
      UnsafeMutableRawPointer?, CInt, Handle, CInt, CInt, Handle, UnsafeMutableRawPointer
    ) -> CInt
  private typealias Test =
    @convention(c) (UnsafeMutableRawPointer, UnsafeMutablePointer<CInt>, UnsafeMutableRawPointer?)
    ->
    CInt

  private typealias Begin =
    @convention(c) (
      UnsafeMutableRawPointer?, UnsafeMutableRawPointer?, CInt, UnsafeMutablePointer<CInt>
    ) -> CInt
  private typealias Ask = @convention(c) (Handle, UnsafeMutablePointer<CInt>) -> CInt

  /// How often a thread looks before it sleeps between.
  private static let patience = 100

  public let rank: Int
  public let count: Int
  private let send: Send
  private let receive: Receive
  private let test: Test
  private let end: @convention(c) () -> CInt
  private let world: Handle
  private let byte: Handle
  private let calls = Mutex(())

  /// Whether this process was started as one of several.
  ///
  /// Of `srun` the steps that PMIx serves; the script of a batch job is none.
  public static func isUsed(in environment: [String: String]) -> Bool {
    func count(_ name: String) -> Int { environment[name].flatMap { Int($0) } ?? 1 }
    return count("OMPI_COMM_WORLD_SIZE") > 1
      || environment["PMIX_RANK"] != nil && count("SLURM_STEP_NUM_TASKS") > 1
  }

  /// Joins the processes.
  ///
  /// - Throws: `MPI.Failure` where Open MPI is not there, or cannot be used.
  public init() throws(Failure) {
    // What it loads itself looks for its symbols.
    let names = ["libmpi.so.40", "libmpi.so"]
    guard
      let library = unsafe names.lazy.compactMap({ unsafe dlopen($0, RTLD_NOW | RTLD_GLOBAL) })
        .first
    else {
      throw Failure(
        description:
          "this process was started by mpirun, and libmpi is not there; install Open MPI (libopenmpi-dev)."
      )
    }
    func symbol<Kind>(_ name: String, as kind: Kind.Type) throws(Failure) -> Kind {
      guard let found = unsafe dlsym(library, name) else {
        throw Failure(
          description: "libmpi has no '\(name)': it is not Open MPI, the one that is supported.")
      }
      return unsafe unsafeBitCast(found, to: kind)
    }
    unsafe world = try symbol("ompi_mpi_comm_world", as: Handle.self)
    unsafe byte = try symbol("ompi_mpi_byte", as: Handle.self)
    unsafe send = try symbol("MPI_Isend", as: Send.self)
    unsafe receive = try symbol("MPI_Irecv", as: Receive.self)
    unsafe test = try symbol("MPI_Test", as: Test.self)
    end = try symbol("MPI_Finalize", as: (@convention(c) () -> CInt).self)
    let begin = unsafe try symbol("MPI_Init_thread", as: Begin.self)
    let askRank = unsafe try symbol("MPI_Comm_rank", as: Ask.self)
    let askSize = unsafe try symbol("MPI_Comm_size", as: Ask.self)
    // Several threads, one call at a time: MPI_THREAD_SERIALIZED.
    let serialized: CInt = 2
    var (level, rank, size): (CInt, CInt, CInt) = (0, 0, 1)
    guard unsafe begin(nil, nil, serialized, &level) == 0, level >= serialized,
      unsafe askRank(world, &rank) == 0, unsafe askSize(world, &size) == 0
    else { throw Failure(description: "MPI could not be started, or serves no threads.") }
    (self.rank, count) = (Int(rank), Int(size))
  }

  public func finish() { calls.withLock { _ in _ = end() } }

  public func exchange(_ blocks: [[UInt8]], sizes: [Int], isBackground: Bool) -> [[UInt8]] {
    let largest = max(sizes.max() ?? 0, blocks.map(\.count).max() ?? 0)
    precondition(largest <= Int(CInt.max), "a message of \(largest) bytes")
    let others = (0..<count).filter { $0 != rank }
    let tag: CInt = isBackground ? 2 : 1
    // What is under way lies in memory that does not move.
    let requests = UnsafeMutablePointer<Handle?>.allocate(capacity: max(1, 2 * others.count))
    let received = sizes.map { Buffer(count: $0) }
    let sent = blocks.map(Buffer.init)
    defer { unsafe requests.deallocate() }
    calls.withLock { _ in
      for (n, other) in others.enumerated() {
        let (from, to) = (received[other], sent[other])
        _ = unsafe receive(
          from.address, CInt(from.count), byte, CInt(other), tag, world, requests + 2 * n)
        _ = unsafe send(
          to.address, CInt(to.count), byte, CInt(other), tag, world, requests + 2 * n + 1)
      }
    }
    // What is sent is read until then.
    withExtendedLifetime(sent) {
      for n in 0..<2 * others.count { unsafe wait(requests + n, isBackground) }
    }
    return sizes.indices.map { $0 == rank ? blocks[$0] : received[$0].bytes }
  }

  /// Bytes at a place of their own.
  @safe private final class Buffer {
    let address: UnsafeMutableRawPointer
    let count: Int

    init(count: Int) {
      self.count = count
      unsafe address = .allocate(byteCount: max(1, count), alignment: 16)
    }

    convenience init(_ bytes: [UInt8]) {
      self.init(count: bytes.count)
      unsafe bytes.withUnsafeBytes { source in
        if let base = source.baseAddress {
          unsafe address.copyMemory(from: base, byteCount: bytes.count)
        }
      }
    }

    deinit { unsafe address.deallocate() }

    var bytes: [UInt8] { unsafe Array(UnsafeRawBufferPointer(start: address, count: count)) }
  }

  private func wait(_ request: UnsafeMutablePointer<Handle?>, _ isBackground: Bool) {
    var (isDone, looked): (CInt, Int) = (0, 0)
    while true {
      calls.withLock { _ in _ = unsafe test(request, &isDone, nil) }
      if isDone != 0 { return }
      looked += 1
      // Processors are for those that compute.
      if isBackground || looked > MPI.patience { usleep(50) } else { sched_yield() }
    }
  }
}
