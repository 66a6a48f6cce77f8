import ArgumentParser
import Foundation
import TensorCore

/// `canon serve`: a program of its own beside this one, `canon-serve`, so that whoever needs no server builds none.
struct Serve: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "serve",
    abstract: "Serves a model to a browser and, as JSON, to programs.",
    discussion:
      "See `canon serve --help`, by the program canon-serve, which `make serve` and `make install` build."
  )

  @Argument(
    parsing: .captureForPassthrough, help: "What canon-serve takes: a model, --port, --host, …")
  var arguments: [String] = []

  func run() throws {
    let name = "canon-serve"
    let own = Files.real("/proc/self/exe").map { Files.parent(of: $0) } ?? "."
    let folders =
      [own]
      + (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").map(String.init)
    let places: [String] = folders.map { "\($0)/\(name)" }
    guard let program = places.first(where: FileManager.default.isExecutableFile(atPath:)) else {
      throw CommandError(
        "\(name) is neither beside this program nor on the PATH; `make serve` builds it, `make install` installs both."
      )
    }
    var words: [UnsafeMutablePointer<CChar>?] = unsafe []
    for word in [program] + arguments { unsafe words.append(strdup(word)) }
    unsafe words.append(nil)
    unsafe execv(program, words)
    throw CommandError("\(program) cannot be started (\(unsafe String(cString: strerror(errno)))).")
  }
}
