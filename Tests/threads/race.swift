// Two threads add to one number, with the lock or without it: what the sanitizer must pass, and what it must see.

import Glibc
import Synchronization

@main
enum Race {
  nonisolated(unsafe) static var number = 0
  static let lock = Mutex(())
  static let isLocked = CommandLine.arguments.contains("locked")

  static func main() {
    var threads = [pthread_t](repeating: 0, count: 2)
    for n in threads.indices {
      pthread_create(
        &threads[n], nil,
        { _ in
          for _ in 0..<1_000 {
            if Race.isLocked {
              Race.lock.withLock { _ in Race.number += 1 }
            } else {
              Race.number += 1
            }
          }
          return nil
        }, nil)
    }
    for thread in threads { pthread_join(thread, nil) }
  }
}
