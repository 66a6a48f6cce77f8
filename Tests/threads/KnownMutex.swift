// In place of Swift's module Synchronization where the thread sanitizer looks: its Mutex is a futex of its own on Linux, which the
// sanitizer does not know, so that what it guards looks unguarded. This one is a lock of POSIX.

import CKnownAtomics
import Glibc

public struct Mutex<Value: ~Copyable>: ~Copyable, @unchecked Sendable {
  private let lock: UnsafeMutablePointer<pthread_mutex_t>
  private let value: UnsafeMutablePointer<Value>

  public init(_ initial: consuming sending Value) {
    lock = .allocate(capacity: 1)
    pthread_mutex_init(lock, nil)
    value = .allocate(capacity: 1)
    value.initialize(to: initial)
  }

  deinit {
    value.deinitialize(count: 1)
    value.deallocate()
    pthread_mutex_destroy(lock)
    lock.deallocate()
  }

  public borrowing func withLock<Result: ~Copyable, Failure: Error>(
    _ body: (inout sending Value) throws(Failure) -> sending Result
  ) throws(Failure) -> sending Result {
    pthread_mutex_lock(lock)
    defer { pthread_mutex_unlock(lock) }
    return try body(&value.pointee)
  }
}

/// What an `Atomic` holds, as a number.
public protocol AtomicNumber {
  init(number: Int)
  var number: Int { get }
}

extension Int: AtomicNumber {
  public init(number: Int) { self = number }
  public var number: Int { self }
}

extension Int32: AtomicNumber {
  public init(number: Int) { self = Int32(truncatingIfNeeded: number) }
  public var number: Int { Int(self) }
}

extension Bool: AtomicNumber {
  public init(number: Int) { self = number != 0 }
  public var number: Int { self ? 1 : 0 }
}

public struct AtomicOrdering: Sendable {
  fileprivate let order: Int32
  public static let relaxed = AtomicOrdering(order: 0)
  public static let acquiring = AtomicOrdering(order: 2)
  public static let releasing = AtomicOrdering(order: 3)
  public static let sequentiallyConsistent = AtomicOrdering(order: 5)
}

public struct Atomic<Value: AtomicNumber>: ~Copyable, @unchecked Sendable {
  private let place: UnsafeMutablePointer<Int>

  public init(_ value: Value) {
    place = .allocate(capacity: 1)
    place.initialize(to: value.number)
  }

  deinit { place.deallocate() }

  public borrowing func load(ordering: AtomicOrdering) -> Value {
    Value(number: known_load(place, ordering.order))
  }

  public borrowing func store(_ value: Value, ordering: AtomicOrdering) {
    known_store(place, value.number, ordering.order)
  }

  public borrowing func exchange(_ value: Value, ordering: AtomicOrdering) -> Value {
    Value(number: known_exchange(place, value.number, ordering.order))
  }
}

extension Atomic where Value == Int {
  @discardableResult
  public borrowing func wrappingAdd(
    _ value: Int, ordering: AtomicOrdering
  ) -> (oldValue: Int, newValue: Int) {
    let old = known_add(place, value, ordering.order)
    return (old, old &+ value)
  }

  @discardableResult
  public borrowing func wrappingSubtract(
    _ value: Int, ordering: AtomicOrdering
  ) -> (oldValue: Int, newValue: Int) {
    wrappingAdd(-value, ordering: ordering)
  }
}
