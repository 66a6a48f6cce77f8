import NIOCore
import NIOHTTP1
import Synchronization

/// How many bytes of bodies are in memory, of all connections together.
final class Budget: Sendable {
  private let most: Int
  private let taken = Atomic<Int>(0)

  init(_ most: Int) { self.most = most }

  /// Whether so many more may be held; they are counted if so.
  func take(_ bytes: Int) -> Bool {
    guard taken.wrappingAdd(bytes, ordering: .relaxed).newValue <= most else {
      give(bytes)
      return false
    }
    return true
  }

  func give(_ bytes: Int) { taken.wrappingSubtract(bytes, ordering: .relaxed) }
}

/// A request with its whole body.
struct WholeRequest: Sendable {
  var head: HTTPRequestHead
  var body: [UInt8] = []
}

/// What happens to a connection besides requests.
enum ConnectionEvent: Sendable {
  /// There are too many, and this one has been idle longest.
  case tooMany
  /// A request is refused before it is whole.
  case refused(Reply)
}

/// Collects the parts of requests; bodies that are too large are refused with an answer, before they are all there.
final class RequestCollector: ChannelInboundHandler {
  typealias InboundIn = HTTPServerRequestPart
  typealias InboundOut = WholeRequest
  typealias OutboundOut = HTTPServerResponsePart

  private let connections: Connections
  private let budget: Budget
  private let most: Int
  private var request: WholeRequest?
  /// Of a request that was refused the rest is passed over.
  private var isDeaf = false

  /// Whether a request has begun, and is not whole.
  var isCollecting: Bool { request != nil }

  init(_ connections: Connections, _ budget: Budget, most: Int) {
    (self.connections, self.budget, self.most) = (connections, budget, most)
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    guard !isDeaf else { return }
    connections.touch(context.channel)
    switch unwrapInboundIn(data) {
    case .head(let head):
      let declared = head.headers.first(name: "content-length").flatMap { Int($0) } ?? 0
      guard declared <= most else { return refuse(tooLarge, context) }
      request = WholeRequest(head: head)
      if head.headers["expect"].contains(where: { $0.lowercased() == "100-continue" }) {
        let head = HTTPResponseHead(version: head.version, status: .continue)
        context.writeAndFlush(wrapOutboundOut(.head(head)), promise: nil)
      }
    case .body(let part):
      guard let held = request?.body.count else { return }
      guard held + part.readableBytes <= most else { return refuse(tooLarge, context) }
      guard budget.take(part.readableBytes) else {
        return refuse(
          .refusal(503, "Too much is being sent at once; try again in a moment."), context)
      }
      request?.body += part.readableBytesView
    case .end:
      guard let whole = request else { return }
      request = nil
      context.fireChannelRead(wrapInboundOut(whole))
    }
  }

  func channelInactive(context: ChannelHandlerContext) {
    forget()
    context.fireChannelInactive()
  }

  private var tooLarge: Reply {
    .refusal(413, "The body is larger than \(most >> 20) MiB, which are allowed (--max-body).")
  }

  private func refuse(_ reply: Reply, _ context: ChannelHandlerContext) {
    forget()
    isDeaf = true
    context.fireUserInboundEventTriggered(ConnectionEvent.refused(reply))
  }

  private func forget() {
    budget.give(request?.body.count ?? 0)
    request = nil
  }
}
