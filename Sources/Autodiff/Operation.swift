public import TensorCore

/// What an operation of variables computes, for who writes a computation down in another form.
///
/// Of the variables that `Variable(traced:)` leads to; constants come with their values alone.
public enum Operation: Sendable {
  /// A function of each number; `softmax` and its logarithm of the numbers along the last axis.
  public enum Function: Sendable, Hashable {
    case relu, sigmoid, tanh, silu, sine, cosine, exponential, logarithm, square, squareRoot
    case softplus, roundDown, softmax, logSoftmax
    case leakyRelu(slope: Float)
  }

  case same
  case function(Function)
  case add, subtract, multiply, divide
  /// Whether the first is greater than the second, or equal, as 1 or 0.
  case isGreater, isEqual
  /// The second where the first is not 0, else the third.
  case choose
  /// The angle of the second (along) and the first (across).
  case arcTangent
  case product
  /// Whether the axes stay, with extent 1, its shape tells.
  case sum(axes: [Int])
  case maximum(axis: Int)
  case logSumExp
  /// 1 where the first of the largest numbers along the last axis is, else 0.
  case firstLargest
  /// The `count` largest along the last axis, in order.
  case largest(count: Int)
  case reshape
  case permute([Int])
  case slice(Range<Int>, axis: Int)
  case concatenate(axis: Int)
  case convolution(ConvolutionGeometry, isClamped: Bool)
  case maximumPool(size: Int, stride: Int)
  /// Images, under maps `[batch, 4 or 6]`.
  case warp(Interpolation, BorderPolicy)
  /// Images, each under every one of some maps.
  case warpByEach([SamplingMap], Interpolation, BorderPolicy)
  /// One's own, for who knows it.
  case own(any OwnOperation)
  /// What cannot be written down, by the words that say what it is.
  case unwritable(String)
}

/// An operation of another module, which whoever writes computations down may know.
public protocol OwnOperation: Sendable {}
