import NIOCore
import NIOHTTP1

/// The end of a pipeline next to the socket: says what no request has asked for, which NIO's HTTP handlers refuse to write.
final class Front: ChannelOutboundHandler {
  typealias OutboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer
  private var context: ChannelHandlerContext?

  func handlerAdded(context: ChannelHandlerContext) { self.context = context }
  func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

  /// Writes a reply, and closes; a client that is still sending would not see it if what it sends were not read to its end.
  func end(_ reply: Reply, isSending: Bool) {
    guard let context else { return }
    let status = HTTPResponseStatus(statusCode: reply.status)
    let head =
      "HTTP/1.1 \(status.code) \(status.reasonPhrase)\r\nContent-Type: \(reply.type)\r\n"
      + "Content-Length: \(reply.body.count)\r\nConnection: close\r\n\r\n"
    let buffer = context.channel.allocator.buffer(bytes: Array(head.utf8) + reply.body)
    let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
    context.writeAndFlush(wrapOutboundOut(buffer)).whenComplete { _ in
      bound.value.close(mode: isSending ? .output : .all, promise: nil)
    }
  }
}

/// One connection: each request whole, its answer, and the time that both may take.
final class ConnectionHandler: ChannelInboundHandler {
  typealias InboundIn = WholeRequest
  typealias OutboundOut = HTTPServerResponsePart

  private let service: Service
  private let queue: WorkQueue
  private let connections: Connections
  private let limits: ServerLimits
  private let front: Front
  private let collector: RequestCollector
  private let budget: Budget
  private var deadline: Scheduled<Void>?
  /// What the connection is doing.
  private enum Phase { case reading, working, writing, refused, closed }
  private var phase = Phase.reading
  /// A request, or why one is refused, that came before the answer to the last one was gone.
  private var (next, nextRefusal): (WholeRequest?, Reply?) = (nil, nil)

  init(
    _ service: Service, _ queue: WorkQueue, _ connections: Connections, _ limits: ServerLimits,
    _ front: Front, _ collector: RequestCollector, _ budget: Budget
  ) {
    (self.service, self.queue, self.connections) = (service, queue, connections)
    (self.limits, self.front, self.collector, self.budget) = (limits, front, collector, budget)
  }

  func channelActive(context: ChannelHandlerContext) {
    context.fireChannelActive()
    guard connections.add(context.channel) else {
      refuse(.refusal(503, "Too many connections are open; try again in a moment."), context)
      return
    }
    arm(context)
  }

  func channelInactive(context: ChannelHandlerContext) {
    phase = .closed
    deadline?.cancel()
    budget.give(next?.body.count ?? 0)
    next = nil
    connections.remove(context.channel)
    context.fireChannelInactive()
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    switch event as? ConnectionEvent {
    case .tooMany:
      if phase == .reading {
        refuse(.refusal(408, "The connection was idle, and others wait."), context)
      } else if phase == .refused {
        context.close(promise: nil)
      }
    case .refused(let reply):
      if phase == .reading { refuse(reply, context, isSending: true) } else { nextRefusal = reply }
    case nil: context.fireUserInboundEventTriggered(event)
    }
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    let request = unwrapInboundIn(data)
    if phase == .reading { answer(request, context) } else { next = request }
  }

  private func answer(_ request: WholeRequest, _ context: ChannelHandlerContext) {
    phase = .working
    deadline?.cancel()
    connections.set(context.channel, isIdle: false)
    let call = Call(
      request.head.method.rawValue, request.head.uri,
      accept: request.head.headers["accept"].first ?? "", body: request.body)
    let isKept = request.head.isKeepAlive
    let isHead = request.head.method == .HEAD
    // What asks the model nothing does not wait for those that do: whether it runs is told while it is busy.
    guard call.asksModel else {
      budget.give(request.body.count)
      return write(service.reply(to: call), isKept: isKept, isHead: isHead, context)
    }
    let latest = NIODeadline.now() + .seconds(Int64(limits.seconds))
    let work = queue.run(on: context.eventLoop) {
      [service, connections, channel = context.channel] in
      if connections.isDraining { return .refusal(503, "The server is about to stop.") }
      guard channel.isActive else { return .refusal(408, "The client has gone.") }
      // Who has waited so long has gone.
      return NIODeadline.now() < latest
        ? service.reply(to: call) : .refusal(503, "Too many requests wait; try again in a moment.")
    }
    guard let work else {
      var reply = Reply.refusal(503, "Too many requests wait; try again in a moment.")
      reply.headers.append(("Retry-After", "1"))
      budget.give(request.body.count)
      return write(reply, isKept: isKept, isHead: isHead, context)
    }
    let context = NIOLoopBound(context, eventLoop: context.eventLoop)
    let handler = NIOLoopBound(self, eventLoop: context.value.eventLoop)
    work.whenComplete { [budget, size = request.body.count] result in
      budget.give(size)
      let reply = (try? result.get()) ?? .refusal(503, "The server is about to stop.")
      handler.value.write(reply, isKept: isKept, isHead: isHead, context.value)
    }
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    guard error is HTTPParserError, phase != .refused else { return context.close(promise: nil) }
    let reply = Reply.refusal(400, "What came is no HTTP.")
    // What was asked before it is answered first.
    if phase == .reading { refuse(reply, context, isSending: true) } else { nextRefusal = reply }
  }

  /// The time for what comes next begins.
  private func arm(_ context: ChannelHandlerContext, within seconds: Int? = nil) {
    deadline?.cancel()
    let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
    let handler = NIOLoopBound(self, eventLoop: context.eventLoop)
    deadline = context.eventLoop.scheduleTask(in: .seconds(Int64(seconds ?? limits.seconds))) {
      let (context, handler) = (bound.value, handler.value)
      switch handler.phase {
      case .reading:
        handler.refuse(
          .refusal(408, "The request did not come whole in time."), context,
          isSending: handler.collector.isCollecting)
      case .writing, .refused: context.close(promise: nil)
      case .working, .closed: break
      }
    }
  }

  /// Says why, and closes.
  private func refuse(
    _ reply: Reply, _ context: ChannelHandlerContext, isSending: Bool = false
  ) {
    phase = .refused
    // Long enough for the answer to arrive; what is sent meanwhile is read, and passed over.
    arm(context, within: min(limits.seconds, 5))
    front.end(reply, isSending: isSending)
  }

  private func write(
    _ reply: Reply, isKept: Bool, isHead: Bool, _ context: ChannelHandlerContext
  ) {
    guard phase != .closed, context.channel.isActive else { return }
    phase = .writing
    arm(context)
    let isKept = isKept && !connections.isDraining
    var headers = HTTPHeaders([
      ("Content-Type", reply.type), ("Content-Length", "\(reply.body.count)"),
      ("X-Content-Type-Options", "nosniff"), ("Cache-Control", "no-store"),
    ])
    headers.add(contentsOf: reply.headers)
    if !isKept { headers.replaceOrAdd(name: "Connection", value: "close") }
    let head = HTTPResponseHead(
      version: .http1_1, status: HTTPResponseStatus(statusCode: reply.status), headers: headers)
    context.write(wrapOutboundOut(.head(head)), promise: nil)
    if !isHead {
      let buffer = context.channel.allocator.buffer(bytes: reply.body)
      context.write(wrapOutboundOut(.body(.byteBuffer(buffer))), promise: nil)
    }
    let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
    let handler = NIOLoopBound(self, eventLoop: context.eventLoop)
    context.writeAndFlush(wrapOutboundOut(.end(nil))).whenComplete { _ in
      let (context, handler) = (bound.value, handler.value)
      guard handler.phase == .writing else { return }
      guard isKept else { return context.close(promise: nil) }
      handler.phase = .reading
      handler.connections.set(context.channel, isIdle: !handler.collector.isCollecting)
      handler.arm(context)
      if let refusal = handler.nextRefusal {
        handler.refuse(refusal, context, isSending: true)
      } else if let next = handler.next {
        handler.next = nil
        handler.answer(next, context)
      }
    }
  }
}
