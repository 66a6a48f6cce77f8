import CKernels
public import TensorCore

/// A rule by which a gradient changes a parameter.
///
/// Its state, one list of tensors per parameter, is a value beside it: a run that is saved and
/// resumed goes on bit for bit.
public protocol Optimizer: Sendable {
  /// How many tensors of state each parameter has.
  var stateCount: Int { get }

  /// Changes one parameter in place.
  ///
  /// - Parameters:
  ///   - value: The parameter.
  ///   - gradient: The gradient by it, of its shape.
  ///   - state: What the rule keeps beside the parameter, `stateCount` tensors; zeros at first.
  ///   - rate: The learning rate of this step.
  ///   - step: The number of the step, from 1.
  ///   - decays: Whether weight decay applies: not to biases and normalization weights.
  func update(
    _ value: inout Tensor, gradient: Tensor, state: inout [Tensor], rate: Float, step: Int,
    decays: Bool)
}

/// Adam with decoupled weight decay (Loshchilov & Hutter, ICLR 2019, arXiv 1711.05101); Adam where
/// the decay is 0 (Kingma & Ba, ICLR 2015).
public struct AdamW: Optimizer {
  /// Decay rates of the two moments.
  public let beta1, beta2: Float
  /// Added to the denominator.
  public let epsilon: Float
  /// The fraction, times the learning rate, by which weights shrink each step.
  public let weightDecay: Float

  public init(
    beta1: Float = 0.9, beta2: Float = 0.999, epsilon: Float = 1e-8, weightDecay: Float = 0.01
  ) {
    self.beta1 = beta1
    self.beta2 = beta2
    self.epsilon = epsilon
    self.weightDecay = weightDecay
  }

  public var stateCount: Int { 2 }

  public func update(
    _ value: inout Tensor, gradient: Tensor, state: inout [Tensor], rate: Float, step: Int,
    decays: Bool
  ) {
    let correction1 = 1 / (1 - power(beta1, step))
    let correction2 = 1 / (1 - power(beta2, step))
    let count = value.shape.count
    var (mean, square) = (state[0], state[1])
    state = []  // so that both are uniquely owned, and changed in place
    // The graph of the loss still holds the old value: what is new goes to another place at once.
    let old = value
    Profiler.count("AdamW", arithmetic: 12 * count, elements: 7 * count) {
      unsafe mean.withMutableElements { m in
        unsafe square.withMutableElements { v in
          unsafe old.withElements { w in
            unsafe gradient.withElements { g in
              unsafe value = Tensor(old.shape) { next in
                let next = unsafe SendableAddress(next)
                let (m, v) = unsafe (SendableAddress(m), SendableAddress(v))
                let w = unsafe SendableAddress(UnsafeMutablePointer(mutating: w))
                let g = unsafe SendableAddress(UnsafeMutablePointer(mutating: g))
                Parallel.ranges(count, grain: 1 << 15) { range in
                  let i = range.lowerBound
                  unsafe ck_adam(
                    range.count, next.pointer + i, w.pointer + i, g.pointer + i, m.pointer + i,
                    v.pointer + i, rate, beta1, beta2, epsilon, correction1, correction2,
                    decays ? weightDecay : 0)
                }
              }
            }
          }
        }
      }
    }
    state = [mean, square]
  }
}

/// Stochastic gradient descent with momentum, optionally Nesterov's.
public struct SGD: Optimizer {
  /// The fraction of the velocity kept from step to step.
  public let momentum: Float
  /// The fraction of the weight added to its gradient.
  public let weightDecay: Float
  /// Whether to look ahead along the velocity.
  public let nesterov: Bool

  public init(momentum: Float = 0.9, weightDecay: Float = 0, nesterov: Bool = false) {
    self.momentum = momentum
    self.weightDecay = weightDecay
    self.nesterov = nesterov
  }

  public var stateCount: Int { 1 }

  public func update(
    _ value: inout Tensor, gradient: Tensor, state: inout [Tensor], rate: Float, step: Int,
    decays: Bool
  ) {
    let (count, old) = (value.shape.count, value)
    unsafe old.withElements { w in
      unsafe gradient.withElements { g in
        unsafe state[0].withMutableElements { v in
          unsafe value = Tensor(old.shape) { next in
            unsafe ck_momentum(
              count, next, w, g, v, rate, momentum, decays ? weightDecay : 0, nesterov ? 1 : 0)
          }
        }
      }
    }
  }
}

private func power(_ base: Float, _ exponent: Int) -> Float {
  var (result, factor, rest) = (1.0, Double(base), exponent)
  while rest > 0 {
    if rest & 1 == 1 { result *= factor }
    factor *= factor
    rest >>= 1
  }
  return Float(result)
}

/// Scales gradients so that their joint Euclidean norm is at most `limit`.
///
/// - Returns: The norm before.
public func clip(_ gradients: inout [Tensor?], toNorm limit: Float) -> Float {
  let square = gradients.reduce(0.0) { $0 + ($1.map { Double($0.squared().sum().scalar) } ?? 0) }
  let norm = Float(square.squareRoot())
  if norm > limit { gradients = gradients.map { $0.map { $0 * (limit / norm) } } }
  return norm
}
