/// Ends the program with a message where a caller broke a precondition: in release builds too, where the
/// message of `precondition` is lost.
///
/// It costs a comparison where the condition holds: the message is made only where it does not.
///
/// - Parameters:
///   - condition: What must hold.
///   - message: What was given instead: shapes, counts, values.
///   - file: Where it is asked for, by default the caller's.
///   - line: The line there.
@inline(__always)
public func require(
  _ condition: @autoclosure () -> Bool, _ message: @autoclosure () -> String,
  file: StaticString = #fileID, line: UInt = #line
) {
  if !condition() { requirementFailure(message(), file: file, line: line) }
}

/// Ends the program with a message.
@inline(never)
public func requirementFailure(
  _ message: String, file: StaticString = #fileID, line: UInt = #line
) -> Never { fatalError(message, file: file, line: line) }
