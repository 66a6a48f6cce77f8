import Synchronization
import TensorCore

/// The state of a run before its present step, which any thread may write as the run's checkpoint.
public final class Rescue: Sendable {
  private let path: String
  private let state = Mutex<Safetensors?>(nil)

  init(_ path: String) { self.path = path }

  func keep(_ file: Safetensors?) { state.withLock { $0 = file } }

  /// Writes it, where there is one.
  ///
  /// - Returns: Whether there was one, and it could be written.
  public func write() -> Bool {
    guard let file = state.withLock({ $0 }) else { return false }
    return (try? file.write(to: path)) != nil
  }
}
