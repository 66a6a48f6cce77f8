import Canon
import Foundation

/// A request, as far as it matters here.
public struct Call: Sendable {
  public var method, path: String
  public var query: [String: String]
  /// Whether an image rather than JSON is wanted back.
  public var wantsImage: Bool
  public var body: [UInt8]

  public init(
    _ method: String, _ target: String, accept: String = "", body: [UInt8] = []
  ) {
    let parts = target.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
    (self.method, path, self.body) = (method, parts.first.map(String.init) ?? "/", body)
    wantsImage = accept.lowercased().hasPrefix("image/")
    query = [:]
    for pair in parts.count > 1 ? parts[1].split(separator: "&") : [] {
      let sides = pair.split(separator: "=", maxSplits: 1).map { $0.removingPercentEncoding ?? "" }
      query[sides.first ?? ""] = sides.count > 1 ? sides[1] : ""
    }
  }
}

extension Call {
  /// Whether it is one that the model is asked; everything else is answered at once.
  var asksModel: Bool { method == "POST" && Service.routes[path] == "POST" }
}

/// What is answered.
public struct Reply: Sendable {
  public var status: Int
  public var type: String
  public var headers: [(String, String)] = []
  public var body: [UInt8]

  static func json(_ status: Int = 200, _ value: some Encodable) -> Reply {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    let body = (try? encoder.encode(value)).map(Array.init) ?? []
    return Reply(status: status, type: "application/json", body: body)
  }

  /// An error, in words.
  public static func refusal(_ status: Int, _ reason: String) -> Reply {
    json(status, ["error": reason])
  }
}

extension Service {
  /// The paths, each with its method.
  fileprivate static let routes = [
    "/": "GET", "/health": "GET", "/openapi.json": "GET", "/predict": "POST",
    "/canonicalize": "POST", "/view": "POST",
  ]

  /// Answers a request.
  ///
  /// - Complexity: That of a prediction; nothing waits.
  public func reply(to call: Call) -> Reply {
    guard let method = Service.routes[call.path] else {
      return .refusal(404, "There is nothing at this path; GET /openapi.json lists what is.")
    }
    guard call.method == method || (call.method == "HEAD" && method == "GET") else {
      var reply = Reply.refusal(405, "\(call.path) is asked with \(method).")
      reply.headers.append(("Allow", method))
      return reply
    }
    do {
      switch call.path {
      case "/": return Reply(status: 200, type: "text/html; charset=utf-8", body: Array(page.utf8))
      case "/health": return .json(200, ["status": "ok", "model": name])
      case "/openapi.json":
        return Reply(status: 200, type: "application/json", body: Array(openAPI.utf8))
      case "/predict": return .json(200, try predict(call.body))
      case "/view":
        guard let degrees = Double(call.query["angle"] ?? "0") else {
          throw Refusal(400, "'angle' is a number of degrees.")
        }
        return .json(200, try view(call.body, degrees: degrees))
      default:
        let (answer, file) = try canonicalize(call.body)
        guard call.wantsImage else { return .json(200, answer) }
        return Reply(
          status: 200, type: "image/png",
          headers: [
            ("Canon-Degrees", "\(answer.pose.degrees)"),
            ("Canon-Margin", answer.pose.margin.map { "\($0)" } ?? "inf"),
            ("Canon-Unsure", "\(answer.pose.isUnsure ?? false)"),
          ], body: file)
      }
    } catch let refusal as Refusal {
      return .refusal(refusal.status, refusal.reason)
    } catch { return .refusal(500, "\(error)") }
  }
}
