/// What is wrong with a model file, or what it holds that is not supported, in a sentence.
public struct ONNXError: Error, Equatable, CustomStringConvertible {
  public let description: String

  public init(_ description: String) { self.description = description }
}
