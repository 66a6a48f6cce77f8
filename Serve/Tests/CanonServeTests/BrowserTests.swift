import Canon
import Foundation
import Testing

@testable import CanonServe

private let driver = ["/usr/bin/chromedriver", "/usr/local/bin/chromedriver"].first {
  FileManager.default.isExecutableFile(atPath: $0)
}

/// The page in headless Chromium, by WebDriver (W3C); where there is none, what is left out is said.
@Suite struct BrowserTests {
  @Test(
    "An image is chosen and turned: pose, margin, class and pictures follow",
    .enabled(if: driver != nil, "chromedriver is not installed"))
  func page() async throws {
    let server = try await Server(
      try Service("\(project)/demo/model.safetensors"), port: 0)
    let port = 20_000 + Int(ProcessInfo.processInfo.processIdentifier) % 20_000
    let process = Process()
    process.executableURL = URL(fileURLWithPath: try #require(driver))
    process.arguments = ["--port=\(port)", "--log-level=OFF"]
    (process.standardOutput, process.standardError) = (FileHandle.nullDevice, FileHandle.nullDevice)
    try process.run()
    defer { process.terminate() }
    let base = "http://127.0.0.1:\(port)"
    func command(_ method: String, _ path: String, _ body: [String: Any]? = nil) async throws
      -> Any?
    {
      // By curl: FoundationNetworking refuses the driver's headers.
      let curl = Process()
      let pipe = Pipe()
      curl.executableURL = URL(fileURLWithPath: "/usr/bin/env")
      curl.arguments = ["curl", "-s", "--max-time", "60", "-X", method, base + path]
      if let body {
        let data = try JSONSerialization.data(withJSONObject: body)
        curl.arguments? += [
          "-H", "Content-Type: application/json", "-d", String(decoding: data, as: UTF8.self),
        ]
      }
      curl.standardOutput = pipe
      try curl.run()
      let reply = pipe.fileHandleForReading.readDataToEndOfFile()
      curl.waitUntilExit()
      let object = try JSONSerialization.jsonObject(with: reply) as? [String: Any]
      return object?["value"]
    }
    for _ in 0..<100 {
      if (try? await command("GET", "/status")) != nil { break }
      try await Task.sleep(for: .milliseconds(100))
    }
    let options: [String: Any] = [
      "args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1000,900"]
    ]
    let session = try #require(
      try await command(
        "POST", "/session",
        ["capabilities": ["alwaysMatch": ["goog:chromeOptions": options]]]) as? [String: Any])
    let place = "/session/\(try #require(session["sessionId"] as? String))"
    func script(_ text: String) async throws -> String {
      try await command(
        "POST", "\(place)/execute/sync", ["script": "return String(\(text))", "args": []])
        as? String ?? ""
    }
    func until(_ condition: String) async throws -> Bool {
      for _ in 0..<100 {
        if try await script(condition) == "true" { return true }
        try await Task.sleep(for: .milliseconds(100))
      }
      return false
    }
    _ = try await command("POST", "\(place)/url", ["url": "http://127.0.0.1:\(server.port)/"])
    let found = try #require(
      try await command(
        "POST", "\(place)/element", ["using": "css selector", "value": "#file"])
        as? [String: String])
    let digits = try ImageFolder(path: "\(project)/demo/digits")
    _ = try await command(
      "POST", "\(place)/element/\(try #require(found.values.first))/value",
      ["text": "\(digits.path)/\(digits.files[0])"])
    #expect(try await until("document.getElementById('pose').textContent !== ''"))
    let pose = "parseFloat(document.getElementById('pose').textContent)"
    let first = try #require(Double(try await script(pose)))
    let kind = "document.querySelector('#classes td').textContent"
    let before = try await script(kind)
    #expect(!before.isEmpty)
    _ = try await script(
      "(() => { const a = document.getElementById('angle'); a.value = 90; a.dispatchEvent(new Event('input')); })()"
    )
    #expect(try await until("Math.abs(\(pose) - (\(first))) > 1"))
    let second = try #require(Double(try await script(pose)))
    #expect(abs((second - first - 90).remainder(dividingBy: 360)) < 0.11)
    #expect(try await script(kind) == before)
    for id in ["shown", "form", "restored"] {
      #expect(try await until("document.getElementById('\(id)').naturalWidth > 0"), "\(id)")
    }
    _ = try await script("document.getElementById('save').click()")
    #expect(try await until("document.getElementById('save').title.endsWith('-canonical.png')"))
    #expect(try await until("document.getElementById('busy').hidden"))
    // What is no image is said, and what was shown stays.
    _ = try await command(
      "POST", "\(place)/element/\(try #require(found.values.first))/value",
      ["text": "\(project)/README.md"])
    #expect(try await until("!document.getElementById('error').hidden"))
    #expect(try await script("document.getElementById('error').textContent").contains("format"))
    // The next image is shown again.
    _ = try await command(
      "POST", "\(place)/element/\(try #require(found.values.first))/value",
      ["text": "\(project)/demo/pages/\(try ImageFolder(path: "\(project)/demo/pages").files[0])"])
    #expect(try await until("document.getElementById('error').hidden"))
    #expect(try await until("!document.getElementById('pictures').hidden"))
    // A page as wide as a telephone does not scroll sideways.
    _ = try await command("POST", "\(place)/window/rect", ["width": 500, "height": 800])
    #expect(
      try await script(
        "document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        == "true")
    if let folder = ProcessInfo.processInfo.environment["CANON_SCREENSHOTS"] {
      for (name, width) in [("narrow", 400), ("wide", 1400)] {
        _ = try await command("POST", "\(place)/window/rect", ["width": width, "height": 1000])
        let picture = try await command("GET", "\(place)/screenshot") as? String ?? ""
        try Data(base64Encoded: picture)?.write(
          to: URL(fileURLWithPath: "\(folder)/serve-\(name).png"))
      }
    }
    _ = try await command("DELETE", place)
    await server.stop()
  }
}
