import Glibc

/// How the learning rate changes from step to step, as a factor of its peak.
public enum Schedule: Sendable, Equatable {
  /// The same throughout.
  case constant
  /// Multiplied by `factor` at the end of every `fraction` of the run.
  case step(every: Float, factor: Float)
  /// Half a cosine from the peak to zero (Loshchilov & Hutter, SGDR, 2017).
  case cosine
  /// A rise over the first `warmup` of the run, then half a cosine to zero (after Smith 2018).
  case oneCycle(warmup: Float)

  /// The factor for a step, from 0, of a run of `total` steps.
  public func factor(step: Int, total: Int) -> Float {
    let progress = total > 0 ? Float(step) / Float(total) : 0
    switch self {
    case .constant: return 1
    case .step(let every, let factor): return pow(factor, (progress / every).rounded(.down))
    case .cosine: return (1 + cos(.pi * progress)) / 2
    case .oneCycle(let warmup):
      if progress < warmup { return (Float(step) + 1) / (warmup * Float(total) + 1) }
      return (1 + cos(.pi * (progress - warmup) / (1 - warmup))) / 2
    }
  }
}
