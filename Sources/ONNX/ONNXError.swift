/// What is wrong with a model file, or what it holds that is not supported, in a sentence.
public struct ONNXError: Error, Equatable, CustomStringConvertible {
  public let description: String

  /// Names come from files: what would steer a terminal is written as its number.
  public init(_ description: String) {
    self.description = String(
      description.unicodeScalars.map {
        $0.properties.generalCategory == .control ? "\\u{\(String($0.value, radix: 16))}" : "\($0)"
      }.joined())
  }
}
