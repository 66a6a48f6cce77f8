// Inputs that are changed after what they reach in the code: libFuzzer, which brings its own `main` (make fuzz-guided).
#if GUIDED
  import Canon
  import Foundation

  private struct Guided {
    let kind: Kind
    let folder: String
    let seeds: [Bytes]
    var count = 0

    /// The kind that CANON_FUZZ names, in the folder CANON_FUZZ_FOLDER, whose `corpus` gets its seeds.
    init() throws {
      let words = ProcessInfo.processInfo.environment
      guard let kind = kinds.first(where: { $0.name == words["CANON_FUZZ"] }),
        let folder = words["CANON_FUZZ_FOLDER"]
      else {
        print("CANON_FUZZ must be one of \(kinds.map(\.name).joined(separator: ", "))")
        exit(1)
      }
      try FileManager.default.createDirectory(
        atPath: "\(folder)/corpus", withIntermediateDirectories: true)
      try prepare(kind, in: folder)
      MemoryLimit.bytes = memoryLimit << 20
      (self.kind, self.folder, seeds) = (kind, folder, try kind.seeds(folder))
      for (n, seed) in seeds.enumerated() {
        try Data(seed).write(to: URL(fileURLWithPath: "\(folder)/corpus/seed-\(n)"))
      }
    }
  }

  nonisolated(unsafe) private var guided: Guided?

  @_cdecl("LLVMFuzzerInitialize")
  public func begin(
    _ count: UnsafeMutablePointer<CInt>?, _ words: UnsafeMutableRawPointer?
  ) -> CInt {
    do { guided = try Guided() } catch {
      print("\(error)")
      exit(1)
    }
    return 0
  }

  @_cdecl("LLVMFuzzerTestOneInput")
  public func test(_ data: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
    guard let kind = guided?.kind, let folder = guided?.folder, let n = guided?.count else {
      return 0
    }
    guided?.count += 1
    let input = Bytes(UnsafeBufferPointer(start: data, count: size))
    try? (parsers[kind.name] ?? kind.use)(input, folder, n)
    return 0
  }

  @_silgen_name("LLVMFuzzerMutate")
  private func mutateByDefault(
    _ data: UnsafeMutablePointer<UInt8>?, _ size: Int, _ most: Int
  ) -> Int

  /// In libFuzzer's own way, or, every other time, in that of the kind, which keeps checksums and lengths right.
  @_cdecl("LLVMFuzzerCustomMutator")
  public func change(
    _ data: UnsafeMutablePointer<UInt8>?, _ size: Int, _ most: Int, _ seed: UInt32
  ) -> Int {
    guard seed % 2 == 1, let guided, let data, !guided.seeds.isEmpty else {
      return mutateByDefault(data, size, most)
    }
    var dice = Dice(state: UInt64(seed))
    let input = Bytes(UnsafeBufferPointer(start: data, count: size))
    let other = guided.seeds[dice.roll(guided.seeds.count)]
    let changed = guided.kind.mutate(input.isEmpty ? other : input, other, &dice).prefix(most)
    for (n, byte) in changed.enumerated() { data[n] = byte }
    return changed.count
  }
#endif
