import Foundation

/// A Python process that times the peer on demand: Benchmarks/peer.py.
final class Peer {
  private let process = Process()
  private let input = Pipe()
  private let output = Pipe()
  private var pending = Data()

  /// - Parameter python: An interpreter that has the peer.
  init?(python: String, script: String, threads: Int) {
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = [python, script]
    process.environment = ProcessInfo.processInfo.environment.merging(
      ["PEER_THREADS": "\(threads)"]) { $1 }
    process.standardInput = input
    process.standardOutput = output
    guard (try? process.run()) != nil else { return nil }
  }

  /// The seconds of one run, or `nil` where the peer failed, which is reported once.
  func time(_ command: String) -> Double? {
    guard process.isRunning else { return nil }
    input.fileHandleForWriting.write(Data((command + "\n").utf8))
    guard let line = readLine(),
      let answer = try? JSONDecoder().decode([String: Answer].self, from: line)
    else { return nil }
    if case .text(let error) = answer["error"] {
      FileHandle.standardError.write(Data("the peer: \(error)\n".utf8))
    }
    if case .number(let seconds) = answer["seconds"] { return seconds }
    return nil
  }

  func stop() {
    try? input.fileHandleForWriting.close()
    process.waitUntilExit()
  }

  private func readLine() -> Data? {
    while true {
      if let end = pending.firstIndex(of: 10) {
        let line = pending[pending.startIndex..<end]
        pending = Data(pending[(end + 1)...])
        return Data(line)
      }
      let chunk = output.fileHandleForReading.availableData
      guard !chunk.isEmpty else { return nil }
      pending += chunk
    }
  }

  private enum Answer: Decodable {
    case number(Double), text(String)
    init(from decoder: any Decoder) throws {
      let value = try decoder.singleValueContainer()
      if let number = try? value.decode(Double.self) {
        self = .number(number)
      } else {
        self = .text(try value.decode(String.self))
      }
    }
  }
}
