import Foundation

/// Inputs that are changed after what they reach in the code: libFuzzer, where the program was built for it (`make fuzz`).
enum Guided {
  private typealias Callback = @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt
  private typealias Driver =
    @convention(c) (
      UnsafeMutablePointer<CInt>,
      UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?>, Callback
    ) -> CInt
  fileprivate typealias Mutate = @convention(c) (UnsafeMutablePointer<UInt8>, Int, Int) -> Int

  nonisolated(unsafe) fileprivate static var kind = kinds[0]
  nonisolated(unsafe) private static var folder = "."
  nonisolated(unsafe) private static var count = 0
  nonisolated(unsafe) fileprivate static var seeds: [Bytes] = []

  fileprivate static func symbol<Kind>(_ name: String, as kind: Kind.Type) -> Kind? {
    dlsym(nil, name).map { unsafeBitCast($0, to: kind) }
  }

  /// Runs for some seconds, and ends the program; what falls, hangs or takes too much memory is kept in a folder.
  static func run(_ kind: Kind, seconds: Int, in folder: String, crashes: String) throws -> Never {
    guard let driver = symbol("LLVMFuzzerRunDriver", as: Driver.self) else {
      print("this program was not built for libFuzzer (--sanitize fuzzer)")
      exit(1)
    }
    (self.kind, self.folder, seeds) = (kind, folder, try kind.seeds(folder))
    let corpus = "\(folder)/corpus"
    for path in [corpus, crashes] {
      try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }
    for (n, seed) in seeds.enumerated() {
      try Data(seed).write(to: URL(fileURLWithPath: "\(corpus)/seed-\(n)"))
    }
    let words = [
      "fuzz", corpus, "-max_total_time=\(seconds)", "-artifact_prefix=\(crashes)/\(kind.name)-",
      "-timeout=20", "-rss_limit_mb=2048", "-print_final_stats=1", "-max_len=65536", "-verbosity=1",
    ]
    let pointers = UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>.allocate(
      capacity: words.count + 1)
    for (n, word) in words.enumerated() { pointers[n] = strdup(word) }
    pointers[words.count] = nil
    var (argc, argv): (CInt, UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?) = (
      CInt(words.count), pointers
    )
    let status = driver(&argc, &argv) { data, size in
      let input = Bytes(UnsafeBufferPointer(start: data, count: size))
      try? Guided.kind.use(input, Guided.folder, Guided.count)
      Guided.count += 1
      return 0
    }
    exit(status)
  }
}

/// How libFuzzer changes inputs: in its own way, or, every other time, in that of the kind, which keeps checksums and lengths right.
@_cdecl("LLVMFuzzerCustomMutator")
public func customMutator(
  _ data: UnsafeMutablePointer<UInt8>, _ size: Int, _ most: Int, _ seed: UInt32
) -> Int {
  if seed % 2 == 0, let mutate = Guided.symbol("LLVMFuzzerMutate", as: Guided.Mutate.self) {
    return mutate(data, size, most)
  }
  var dice = Dice(state: UInt64(seed))
  let input = Bytes(UnsafeBufferPointer(start: data, count: size))
  let other = Guided.seeds.isEmpty ? input : Guided.seeds[dice.roll(Guided.seeds.count)]
  let changed = Guided.kind.mutate(input.isEmpty ? other : input, other, &dice).prefix(most)
  for (n, byte) in changed.enumerated() { data[n] = byte }
  return changed.count
}
