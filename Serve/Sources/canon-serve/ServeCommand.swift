import ArgumentParser
import Canon
import CanonServe
import Dispatch
import Foundation
import NIOCore

@main
struct Serve: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "canon serve",
    abstract: "Serves a model to a browser and, as JSON, to programs.",
    discussion: """
      The page takes an image, turns it with a slider, and shows its pose, its canonical form, what the model says, and the form \
      brought back. Beside it: POST /predict and POST /canonicalize with an image as the body, GET /health, GET /openapi.json. \
      Only this machine can reach it, unless --host says otherwise. Ctrl-C ends it after what is being answered.

      EXAMPLES
        canon serve runs/c8
        canon serve pages --port 9000
        curl --data-binary @scan.jpg localhost:8080/predict
        curl --data-binary @scan.jpg -H 'Accept: image/png' localhost:8080/canonicalize -o upright.png
      """)

  @Argument(
    help: "A model: a .safetensors file, a folder of `canon train`, or one that comes with canon.")
  var model: String

  @Option(help: "The address to listen on; 0.0.0.0 for all of this machine's.")
  var host = "127.0.0.1"

  @Option(help: "The port; 0 for any that is free.")
  var port = 8080

  @Option(help: "The largest body of a request, in MiB.")
  var maxBody = 32

  @Option(help: "In how many seconds a request must have come whole, and be answered.")
  var timeout = 30

  @Option(help: "How many connections may be open.")
  var connections = 256

  @Option(help: "Refuse images that need more memory, in MiB.")
  var memory = 1024

  @Flag(help: "Print nothing but errors.")
  var quiet = false

  func validate() throws {
    guard (0...65_535).contains(port) else { throw ValidationError("--port must be 0 to 65535.") }
    for (flag, value, range) in [
      ("--max-body", maxBody, 1...4096), ("--timeout", timeout, 1...86_400),
      ("--connections", connections, 1...100_000), ("--memory", memory, 16...1 << 20),
    ] where !range.contains(value) {
      throw ValidationError("\(flag) must be \(range.lowerBound) to \(range.upperBound).")
    }
  }

  func run() async throws {
    MemoryLimit.bytes = memory << 20
    var limits = ServerLimits()
    (limits.body, limits.seconds, limits.connections) = (maxBody << 20, timeout, connections)
    limits.bodies = max(limits.bodies, 2 * limits.body)
    let service: Service
    do { service = try Service(model) } catch let refusal as Refusal {
      throw Failure(refusal.reason)
    } catch { throw Failure("\(error)") }
    let server: Server
    do { server = try await Server(service, host: host, port: port, limits: limits) } catch {
      let reason = (error as? IOError).map { String(cString: strerror($0.errnoCode)) } ?? "\(error)"
      throw Failure(
        "\(host):\(port) cannot be listened to (\(reason)); name another --port or --host.")
    }
    let signals = AsyncStream<Int32> { stream in
      for number in [SIGINT, SIGTERM] {
        signal(number, SIG_IGN)
        let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
        source.setEventHandler { stream.yield(number) }
        source.resume()
        kept.append(source)
      }
    }
    if !quiet { print("http://\(host):\(server.port)/ shows \(model); Ctrl-C ends it.") }
    fflush(nil)
    for await _ in signals { break }
    // A second signal ends it at once.
    for number in [SIGINT, SIGTERM] { signal(number, SIG_DFL) }
    await server.stop()
  }
}

nonisolated(unsafe) private var kept: [any DispatchSourceSignal] = []

struct Failure: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}
