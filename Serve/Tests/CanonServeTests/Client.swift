import Foundation
import Glibc
import Testing

#if canImport(FoundationNetworking)
  import FoundationNetworking
#endif

/// The project's folder.
let project = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
  .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().path

func content(_ path: String) throws -> [UInt8] {
  [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
}

/// Asks with a client of its own.
func ask(
  _ method: String, _ address: String, body: [UInt8] = [], accept: String = "*/*"
) async throws -> (status: Int, headers: [String: String], body: Data) {
  var request = URLRequest(url: try #require(URL(string: address)))
  request.httpMethod = method
  request.setValue(accept, forHTTPHeaderField: "Accept")
  if !body.isEmpty { request.httpBody = Data(body) }
  let (data, response) = try await URLSession.shared.data(for: request)
  let http = try #require(response as? HTTPURLResponse)
  let headers = http.allHeaderFields.map { ("\($0.key)".lowercased(), "\($0.value)") }
  return (http.statusCode, Dictionary(headers) { first, _ in first }, data)
}

/// A connection without a client's manners.
final class Wire {
  private let socket: Int32

  init(port: Int) throws {
    socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = UInt16(port).bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    let isConnected = withUnsafePointer(to: &address) { address in
      address.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
      }
    }
    guard isConnected else { throw CocoaError(.fileReadUnknown) }
    var patience = timeval(tv_sec: 20, tv_usec: 0)
    setsockopt(
      socket, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
  }

  deinit { close(socket) }

  func send(_ text: String) { send(Array(text.utf8)) }

  func send(_ bytes: [UInt8]) {
    _ = bytes.withUnsafeBytes {
      Glibc.send(socket, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
    }
  }

  /// Whether something has come.
  var hasAnswer: Bool {
    var byte: UInt8 = 0
    return recv(socket, &byte, 1, Int32(MSG_PEEK | MSG_DONTWAIT)) > 0
  }

  /// All that comes until the connection ends.
  func rest() -> String {
    var (all, bytes): ([UInt8], [UInt8]) = ([], [UInt8](repeating: 0, count: 4096))
    while case let count = recv(socket, &bytes, bytes.count, 0), count > 0 {
      all += bytes[..<count]
    }
    return String(decoding: all, as: UTF8.self)
  }

  /// The status of the answer; `nil` where the connection ends without one.
  func status() -> Int? {
    var bytes = [UInt8](repeating: 0, count: 4096)
    let count = recv(socket, &bytes, bytes.count, 0)
    guard count > 12 else { return nil }
    return Int(String(decoding: bytes[9..<12], as: UTF8.self))
  }
}
