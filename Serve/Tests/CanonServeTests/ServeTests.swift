import Canon
import Foundation
import Testing

@testable import CanonServe

private let model = "\(project)/demo/model.safetensors"

@Suite(.serialized) struct ServeTests {
  private func started(_ change: (inout ServerLimits) -> Void = { _ in }) async throws -> Server {
    var limits = ServerLimits()
    change(&limits)
    return try await Server(try Service(model), port: 0, limits: limits)
  }

  private func digits() throws -> [String] {
    let folder = try ImageFolder(path: "\(project)/demo/digits")
    return folder.files.prefix(6).map { "\(folder.path)/\($0)" }
  }

  private func answer(_ data: Data) throws -> Service.Answer {
    try JSONDecoder().decode(Service.Answer.self, from: data)
  }

  @Test("A prediction is the model's own, and that of the turned image turns with it")
  func predictions() async throws {
    let server = try await started()
    let direct = try loadModel(model)
    for path in try digits() {
      let image = try Image(path: path)
      let (status, _, body) = try await ask(
        "POST", "http://127.0.0.1:\(server.port)/predict", body: try content(path))
      let own = direct.predict(image.modelInput(size: 28, channels: 1))
      let found = try answer(body)
      #expect(status == 200 && found.width == image.width)
      #expect(found.pose.degrees == own.poses[0].element.planarIsometry.angle * 180 / .pi)
      #expect(
        found.probabilities?[found.class ?? ""] == own.output.elements.max().map { Double($0) })
      let turned = PictureAction().act(
        Motion(isometry: PlanarIsometry(quarterTurns: 1)), on: image)
      let (_, _, other) = try await ask(
        "POST", "http://127.0.0.1:\(server.port)/predict", body: try turned.encoded())
      let moved = try answer(other)
      #expect(moved.probabilities == found.probabilities)
      let apart = (moved.pose.degrees - found.pose.degrees).remainder(dividingBy: 360)
      #expect(abs(apart - 90) < 1e-6)
    }
    await server.stop()
  }

  @Test(
    "The canonical image is the one that canonicalizing writes; the page's pictures come back as they were"
  )
  func pictures() async throws {
    let server = try await started()
    let path = try digits()[0]
    let image = try Image(path: path)
    let base = "http://127.0.0.1:\(server.port)"
    let json = try await ask("POST", "\(base)/canonicalize", body: try content(path))
    let png = try await ask(
      "POST", "\(base)/canonicalize", body: try content(path), accept: "image/png")
    #expect(json.headers["content-type"] == "application/json")
    #expect(png.headers["content-type"] == "image/png")
    #expect(try answer(json.body).canonical == png.body.base64EncodedString())
    let pose = try loadModel(model).poses(of: image.modelInput(size: 28, channels: 1))[0].element
    let own = PictureAction(background: .color(image.edgeColor)).act(pose.inverse, on: image)
    #expect(try Image(bytes: [UInt8](png.body)).samples == own.samples)
    #expect(Double(png.headers["canon-degrees"] ?? "") == (try answer(json.body)).pose.degrees)
    // The page says of the file what is said without it.
    let said = try answer(json.body).pose
    let shown = try await ask("POST", "\(base)/view?angle=0", body: try content(path))
    #expect(try answer(shown.body).pose.margin == said.margin)
    for angle in [0, 90, -90] {
      let view = try await ask("POST", "\(base)/view?angle=\(angle)", body: try content(path))
      let pictures = try #require(try answer(view.body).pictures)
      func decoded(_ name: String) throws -> Image {
        let text = try #require(pictures[name]?.split(separator: ",").last)
        return try Image(bytes: [UInt8](try #require(Data(base64Encoded: String(text)))))
      }
      if try answer(view.body).pose.isQuarterTurn {
        #expect(try decoded("restored").samples == decoded("shown").samples)
      }
    }
    await server.stop()
  }

  @Test("What is no image, too large, too slow, of another path or no HTTP: a status of its own")
  func refusals() async throws {
    let server = try await started {
      $0.body = 1 << 20; $0.seconds = 1
    }
    let base = "http://127.0.0.1:\(server.port)"
    for (method, path, body, expected) in [
      ("POST", "/predict", Array("no image".utf8), 400), ("POST", "/predict", [], 400),
      ("POST", "/predict", Array("--x\r\nContent-Disposition: form-data".utf8), 400),
      ("GET", "/predict", [], 405), ("POST", "/", [1], 405), ("GET", "/none", [], 404),
      ("POST", "/view?angle=north", try content(try digits()[0]), 400),
      ("POST", "/view?angle=nan", try content(try digits()[0]), 400),
      ("POST", "/predict", [UInt8](repeating: 1, count: 3 << 20), 413),
      ("GET", "/health", [], 200),
    ] as [(String, String, [UInt8], Int)] {
      let (status, _, reply) = try await ask(method, base + path, body: body)
      #expect(status == expected, "\(method) \(path)")
      let isJSON = (try? JSONSerialization.jsonObject(with: reply)) is [String: Any]
      #expect(isJSON, "\(method) \(path)")
    }
    for (text, expected) in [
      ("NONSENSE\r\n\r\n", 400),
      ("POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf", 408),
      ("GET /health HTT", 408), ("", 408),
      ("POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\n", 400),
    ] {
      let wire = try Wire(port: server.port)
      wire.send(text)
      let reply = wire.rest()
      #expect(reply.hasPrefix("HTTP/1.1 \(expected) "), "\(text)")
      #expect(reply.contains("{\"error\":"), "\(text)")
    }
    await server.stop()
  }

  @Test("Requests in one write are answered one after the other")
  func pipelined() async throws {
    let server = try await started()
    // What is no HTTP behind a request does not take its answer.
    let body = String(decoding: Array("no image".utf8), as: UTF8.self)
    let mixed = try Wire(port: server.port)
    mixed.send(
      "POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)NONSENSE\r\n\r\n"
    )
    #expect(mixed.rest().components(separatedBy: "HTTP/1.1 400").count == 3)
    let wire = try Wire(port: server.port)
    wire.send(
      String(repeating: "GET /health HTTP/1.1\r\nHost: a\r\n\r\n", count: 2)
        + "GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    let text = wire.rest()
    #expect(text.components(separatedBy: "HTTP/1.1 200").count == 4)
    await server.stop()
  }

  @Test("Idle connections take nobody's place")
  func idle() async throws {
    let server = try await started { $0.connections = 8 }
    let wires = try (0..<40).map { _ in try Wire(port: server.port) }
    let (status, _, _) = try await ask("GET", "http://127.0.0.1:\(server.port)/health")
    #expect(status == 200)
    #expect(wires[0].status() == 408)
    // Nor do requests that have begun, or clients that stay although they were refused.
    for text in [
      "NONSENSE\r\n\r\n", "POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx",
    ] {
      let held = try (0..<40).map { _ in try Wire(port: server.port) }
      for wire in held { wire.send(text) }
      try await Task.sleep(for: .milliseconds(100))
      let wire = try Wire(port: server.port)
      wire.send("GET /health HTTP/1.1\r\nHost: a\r\n\r\n")
      #expect(wire.status() == 200, "\(text)")
      withExtendedLifetime(held) {}
    }
    let begun = try Wire(port: server.port)
    begun.send("POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx")
    try await Task.sleep(for: .milliseconds(100))
    let waited = await ContinuousClock().measure { await server.stop() }
    #expect(waited < .seconds(5))
    withExtendedLifetime(begun) {}
  }

  @Test(
    "A body that is too large is refused while it is sent, with an answer that arrives; one that is announced is asked for"
  )
  func largeBodies() async throws {
    let server = try await started {
      $0.body = 1 << 20; $0.bodies = 3 << 19
    }
    for announced in ["Content-Length: 52428800", "Transfer-Encoding: chunked"] {
      let wire = try Wire(port: server.port)
      wire.send("POST /predict HTTP/1.1\r\nHost: a\r\n\(announced)\r\n\r\n")
      let part = String(repeating: "x", count: 1 << 16)
      let chunk = announced.hasPrefix("T") ? "10000\r\n\(part)\r\n" : part
      for _ in 0..<64 { wire.send(chunk) }
      #expect(wire.status() == 413, "\(announced)")
    }
    let patient = try Wire(port: server.port)
    patient.send(
      "POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
    #expect(patient.status() == 100)
    patient.send("ab")
    #expect(patient.status() == 400)
    // Two halves of what all may hold: the second one is refused, and room again when the first has gone.
    func upload() throws -> Wire {
      let wire = try Wire(port: server.port)
      wire.send("POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n")
      wire.send(String(repeating: "x", count: 900_000))
      return wire
    }
    do {
      let first = try upload()
      try await Task.sleep(for: .milliseconds(200))
      #expect(try upload().status() == 503)
      withExtendedLifetime(first) {}
    }
    try await Task.sleep(for: .milliseconds(200))
    let third = try upload()
    third.send(String(repeating: "x", count: 100_000))
    #expect(third.status() == 400)
    await server.stop()
  }

  @Test(
    "While the model is busy, whether it runs is told at once; what clients that have gone wanted is not done"
  )
  func busy() async throws {
    let server = try await started {
      $0.threads = 1; $0.waiting = 200
    }
    let body = try content(try digits()[0])
    let request =
      Array("POST /view?angle=30 HTTP/1.1\r\nHost: a\r\nContent-Length: \(body.count)\r\n\r\n".utf8)
      + body
    func answered() throws -> Duration {
      let wire = try Wire(port: server.port)
      wire.send(request)
      return ContinuousClock().measure { #expect(wire.status() == 200) }
    }
    _ = try answered()
    let one = try answered()
    do {
      let wires = try (0..<150).map { _ in try Wire(port: server.port) }
      for wire in wires { wire.send(request) }
      let health = try Wire(port: server.port)
      health.send("GET /health HTTP/1.1\r\nHost: a\r\n\r\n")
      #expect(health.status() == 200)
      // The last of the others waits still.
      #expect(!wires[149].hasAnswer)
    }
    // All of them have gone: the next one does not wait for what they wanted.
    #expect(try answered() < one * 75)
    await server.stop()
  }

  @Test("More than what may wait is refused at once, and every answer is one or the other")
  func overload() async throws {
    let server = try await started {
      $0.waiting = 2; $0.threads = 1
    }
    let body = try content(try digits()[0])
    let port = server.port
    let found = try await withThrowingTaskGroup(of: Int.self) { group in
      for _ in 0..<40 {
        group.addTask {
          try await ask("POST", "http://127.0.0.1:\(port)/view?angle=30", body: body).status
        }
      }
      return try await group.reduce(into: [Int]()) { $0.append($1) }
    }
    #expect(found.count == 40 && Set(found).isSubset(of: [200, 503]) && found.contains(200))
    await server.stop()
  }

  @Test("Stopping lets what is being answered come to its end")
  func stopping() async throws {
    let server = try await started()
    let body = try content(try digits()[0])
    let port = server.port
    let asked = Task { try await ask("POST", "http://127.0.0.1:\(port)/view?angle=30", body: body) }
    try await Task.sleep(for: .milliseconds(30))
    await server.stop()
    let result = await asked.result
    // It was asked before the end, or after it: never half answered.
    if let reply = try? result.get() { #expect(reply.status == 200 || reply.status == 503) }
    #expect(throws: (any Error).self) { _ = try Wire(port: port) }
  }

  @Test("What is said of the interface is JSON, and has every path that is answered")
  func openAPI() async throws {
    let service = try Service(model)
    let reply = service.reply(to: Call("GET", "/openapi.json"))
    let text = try #require(
      try JSONSerialization.jsonObject(with: Data(reply.body)) as? [String: Any])
    let paths = try #require(text["paths"] as? [String: Any])
    #expect(Set(paths.keys) == ["/health", "/predict", "/canonicalize", "/view"])
    for path in paths.keys { #expect(service.reply(to: Call("GET", path)).status != 404) }
    #expect(throws: (any Error).self) { _ = try Service("\(project)/none") }
    #expect { _ = try Service("pagse") } throws: { "\($0)".contains("did you mean 'pages'?") }
  }
}
