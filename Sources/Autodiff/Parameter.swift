import Synchronization
public import TensorCore

/// A tensor that a model owns and training changes: a weight, or a running statistic.
///
/// It has identity: layers that share a parameter share its value and its gradient.
public final class Parameter: Sendable {
  private let state: Mutex<(value: Tensor, version: Int)>
  /// How often any parameter was changed.
  fileprivate static let changes = Atomic<Int>(0)
  /// Whether an optimizer changes it; running statistics are not.
  public let isTrainable: Bool

  /// Creates a parameter.
  public init(_ value: Tensor, isTrainable: Bool = true) {
    state = Mutex((value, 0))
    self.isTrainable = isTrainable
  }

  /// The current value; a new one has the same shape.
  public var value: Tensor {
    get { state.withLock { $0.value } }
    set { update { $0 = newValue } }
  }

  /// Changes the value in place.
  public func update(_ body: (inout Tensor) -> Void) {
    state.withLock {
      let shape = $0.value.shape
      body(&$0.value)
      require(
        $0.value.shape == shape, "a parameter of \(shape) cannot become one of \($0.value.shape)")
      $0.version += 1
      Self.changes.wrappingAdd(1, ordering: .releasing)
    }
  }

  /// How often the value was changed.
  var version: Int { state.withLock { $0.version } }
}

/// Something made of parameters, such as folded weights: kept until one of them changes.
public final class Derived<Value: Sendable>: Sendable {
  private let parameters: [Parameter]
  private let make: @Sendable () -> Value
  private struct Kept {
    let versions: [Int]
    let value: Value
    /// How often any parameter had been changed when the versions were last compared.
    var changes: Int
  }
  private let kept = Mutex<Kept?>(nil)

  /// - Parameters:
  ///   - parameters: All that `make` depends on.
  ///   - make: Makes the value anew.
  public init(from parameters: [Parameter], _ make: @escaping @Sendable () -> Value) {
    self.parameters = parameters
    self.make = make
  }

  /// The value for the parameters as they are.
  public var value: Value {
    // Read first: what changes meanwhile is found the next time.
    let changes = Parameter.changes.load(ordering: .acquiring)
    if let kept = kept.withLock({ $0 }), kept.changes == changes { return kept.value }
    let versions = parameters.map(\.version)
    let known = kept.withLock { kept -> Value? in
      guard kept?.versions == versions else { return nil }
      kept?.changes = changes
      return kept?.value
    }
    if let known { return known }
    let value = make()
    kept.withLock { $0 = Kept(versions: versions, value: value, changes: changes) }
    return value
  }
}

/// One pass through a model: whether it learns, and what is random in it.
///
/// Layers read their parameters through the tape: in training each becomes a leaf that gradients
/// are taken by, in inference a constant. Mode and randomness are thus explicit, with no global
/// switch.
public final class Tape {
  /// Whether layers behave as in training: batch statistics, dropout.
  public let isTraining: Bool
  /// Which piece of its batch the pass is of; `nil` where the batch is in one.
  public let piece: (any BatchPiece)?
  private var leaves: [ObjectIdentifier: Variable] = [:]
  private var random: RandomStream

  /// A pass that learns; `random` feeds dropout.
  public static func training(random: RandomStream, piece: (any BatchPiece)? = nil) -> Tape {
    Tape(isTraining: true, random: random, piece)
  }

  /// A pass that only predicts.
  public static func inference() -> Tape {
    Tape(isTraining: false, random: RandomStream(seed: 0, name: "inference"))
  }

  private init(isTraining: Bool, random: RandomStream, _ piece: (any BatchPiece)? = nil) {
    self.piece = piece
    self.isTraining = isTraining
    self.random = random
  }

  /// The parameter as a variable of this pass, the same at every call.
  public func callAsFunction(_ parameter: Parameter) -> Variable {
    guard isTraining && parameter.isTrainable else { return Variable(parameter.value) }
    if let leaf = leaves[ObjectIdentifier(parameter)] { return leaf }
    let leaf = Variable(parameter.value, requiresGradient: true)
    leaves[ObjectIdentifier(parameter)] = leaf
    return leaf
  }

  /// The leaf that a parameter became in this pass, if it was read.
  public func leaf(of parameter: Parameter) -> Variable? { leaves[ObjectIdentifier(parameter)] }

  /// How many parameters were read in this pass to be learned.
  public var leafCount: Int { leaves.count }

  /// A stream of its own to draw from.
  public func stream() -> RandomStream {
    RandomStream(seed: random.next(), name: "tape")
  }

  /// Draws uniform numbers on [0, 1).
  public func uniform(_ shape: Shape) -> Tensor { .uniform(shape, using: &random) }
}
