import Canon
import Foundation
import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization

/// What a server allows.
public struct ServerLimits: Sendable {
  /// The longest body, in bytes.
  public var body = 32 << 20
  /// All bodies that are in memory, or are being sent, together; of more one is refused with 503.
  public var bodies = 256 << 20
  /// In how many seconds a request must have come whole, and an answer gone.
  public var seconds = 30
  /// How many connections are open; of more, the one from which nothing has come for longest is closed.
  public var connections = 256
  /// How many requests wait for a thread; more are refused with 503.
  public var waiting = 64
  /// How many are answered at a time.
  public var threads = 2

  public init() {}
}

/// An HTTP server of one model, by SwiftNIO.
public final class Server: Sendable {
  private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
  private let pool: NIOThreadPool
  private let channel: any Channel
  private let connections: Connections

  /// Where it listens.
  public var port: Int { channel.localAddress?.port ?? 0 }

  /// Begins to listen.
  ///
  /// - Parameter port: 0 for any that is free.
  /// - Throws: Where the address cannot be listened to.
  public init(
    _ service: Service, host: String = "127.0.0.1", port: Int, limits: ServerLimits = ServerLimits()
  ) async throws {
    let pool = NIOThreadPool(numberOfThreads: limits.threads)
    let connections = Connections(most: limits.connections)
    pool.start()
    (self.pool, self.connections) = (pool, connections)
    let queue = WorkQueue(pool, most: limits.waiting)
    let budget = Budget(max(limits.bodies, limits.body))
    channel = try await ServerBootstrap(group: group)
      .serverChannelOption(.backlog, value: 1024)
      .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          let pipeline = channel.pipeline.syncOperations
          let front = Front()
          try pipeline.addHandler(front)
          try pipeline.configureHTTPServerPipeline(withErrorHandling: false)
          let collector = RequestCollector(connections, budget, most: limits.body)
          try pipeline.addHandler(collector)
          try pipeline.addHandler(
            ConnectionHandler(service, queue, connections, limits, front, collector, budget))
        }
      }
      .bind(host: host, port: port).get()
  }

  /// Accepts no more, lets what is being answered come to its end, and returns.
  public func stop(within seconds: Int = 10) async {
    try? await channel.close()
    connections.drain()
    let deadline = ContinuousClock.now + .seconds(seconds)
    while !connections.isEmpty && ContinuousClock.now < deadline {
      try? await Task.sleep(for: .milliseconds(20))
    }
    // What works gives its result to an event loop, which must be there still.
    try? await pool.shutdownGracefully()
    try? await group.shutdownGracefully()
  }
}

/// What waits for a thread.
final class WorkQueue: Sendable {
  private let pool: NIOThreadPool
  private let most: Int
  private let waiting = Atomic<Int>(0)

  init(_ pool: NIOThreadPool, most: Int) { (self.pool, self.most) = (pool, most) }

  /// Does some work on a thread; `nil` at once where too much waits already.
  func run(
    on loop: any EventLoop, _ work: @escaping @Sendable () -> Reply
  ) -> EventLoopFuture<Reply>? {
    guard waiting.wrappingAdd(1, ordering: .relaxed).newValue <= most else {
      waiting.wrappingSubtract(1, ordering: .relaxed)
      return nil
    }
    return pool.runIfActive(eventLoop: loop) { [waiting = self] in
      waiting.waiting.wrappingSubtract(1, ordering: .relaxed)
      return work()
    }
  }
}

/// The open connections, and which of them have waited longest.
final class Connections: Sendable {
  private struct State {
    /// By identity, with the number of the moment since when nothing has come; `nil` while it is answered.
    var open: [ObjectIdentifier: (channel: any Channel, idleSince: Int?)] = [:]
    var moment = 0
    var isDraining = false
  }
  private let state = Mutex(State())
  private let most: Int

  init(most: Int) { self.most = most }

  var isEmpty: Bool { state.withLock { $0.open.isEmpty } }
  var isDraining: Bool { state.withLock { $0.isDraining } }

  /// Adds one; closes the one that has been idle longest where there are too many.
  ///
  /// - Returns: Whether there is a place for it.
  func add(_ channel: any Channel) -> Bool {
    let (isAdded, idlest) = state.withLock { state -> (Bool, (any Channel)?) in
      guard !state.isDraining else { return (false, nil) }
      var idlest: (any Channel)?
      if state.open.count >= most {
        let idle = state.open.filter { $0.value.idleSince != nil }
        guard let first = idle.min(by: { ($0.value.idleSince ?? 0) < ($1.value.idleSince ?? 0) })
        else { return (false, nil) }
        idlest = first.value.channel
        state.open[first.key] = nil
      }
      state.moment += 1
      state.open[ObjectIdentifier(channel)] = (channel, state.moment)
      return (true, idlest)
    }
    idlest?.pipeline.fireUserInboundEventTriggered(ConnectionEvent.tooMany)
    return isAdded
  }

  /// It has sent something: of those that wait it is the last to go.
  func touch(_ channel: any Channel) {
    state.withLock { state in
      let id = ObjectIdentifier(channel)
      guard state.open[id]?.idleSince != nil else { return }
      state.moment += 1
      state.open[id]?.idleSince = state.moment
    }
  }

  func set(_ channel: any Channel, isIdle: Bool) {
    state.withLock { state in
      state.moment += 1
      state.open[ObjectIdentifier(channel)]?.idleSince = isIdle ? state.moment : nil
    }
  }

  func remove(_ channel: any Channel) {
    state.withLock { $0.open[ObjectIdentifier(channel)] = nil }
  }

  /// Closes idle ones; others close themselves after their answer.
  func drain() {
    let idle = state.withLock { state in
      state.isDraining = true
      return state.open.values.filter { $0.idleSince != nil }.map(\.channel)
    }
    for channel in idle { channel.close(promise: nil) }
  }
}
