import Autodiff
import TensorCore

/// A node that is carried out: its inputs, its settings, and how to say what is wrong with them.
struct Call {
  let node: Node
  let inputs: [Value?]
  let tape: Tape
  /// What a graph inside the node can read.
  let scope: Scope
  /// The graph that it is a node of.
  let graph: Graph

  func failure(_ reason: String) -> ONNXError { ONNXError("\(node.text): \(reason).") }

  // MARK: Inputs

  func optional(_ index: Int) -> Value? { index < inputs.count ? inputs[index] : nil }

  func value(_ index: Int) throws -> Value {
    guard let value = optional(index) else { throw failure("input \(index) is missing") }
    return value
  }

  /// The weights of the file that an input is.
  func parameter(_ index: Int) -> Parameter? {
    guard index < node.inputs.count,
      case .floats(let parameter)? = graph.constants[node.inputs[index]]
    else { return nil }
    return parameter
  }

  func float(_ index: Int) throws -> Variable {
    guard case .floats(let variable) = try value(index) else {
      throw failure("input \(index) is of \(try value(index).type), where float is supported")
    }
    return variable
  }

  func optionalFloat(_ index: Int) throws -> Variable? {
    optional(index) == nil ? nil : try float(index)
  }

  func integers(_ index: Int) throws -> Integers {
    guard case .integers(let integers) = try value(index) else {
      throw failure("input \(index) is of float, where whole numbers are wanted")
    }
    return integers
  }

  func list(_ index: Int) throws -> [Int]? {
    optional(index) == nil ? nil : try integers(index).elements
  }

  /// The only number of an input.
  func scalar(_ index: Int) throws -> Double? {
    guard let value = optional(index) else { return nil }
    guard value.count == 1 else { throw failure("input \(index) is to be one number") }
    switch value {
    case .floats(let variable): return Double(variable.value.elements[0])
    case .integers(let integers): return Double(integers.elements[0])
    }
  }

  // MARK: Settings

  func int(_ name: String) -> Int? {
    if case .int(let number) = node.attributes[name] { number } else { nil }
  }

  func number(_ name: String) -> Float? { node.number(name) }

  func string(_ name: String) -> String? {
    if case .string(let text) = node.attributes[name] { text } else { nil }
  }

  /// A word among those that are known, by default the first.
  func choice(_ name: String, _ words: [String]) throws -> String {
    let word = string(name) ?? words[0]
    try require(words.contains(word), "\(name) '\(word)' is not supported")
    return word
  }

  func ints(_ name: String) -> [Int]? {
    switch node.attributes[name] {
    case .ints(let numbers): numbers
    case .int(let number): [number]
    default: nil
    }
  }

  func inner(_ name: String) throws -> Graph {
    guard case .graph(let graph) = node.attributes[name] else {
      throw failure("its graph '\(name)' is missing")
    }
    return graph
  }

  /// A list that is an attribute in old opsets, and an input in new ones.
  func ints(_ name: String, orInput index: Int) throws -> [Int]? {
    try ints(name) ?? list(index)
  }

  // MARK: Checks

  /// An axis, which may count from the end.
  func axis(_ axis: Int, rank: Int) throws -> Int {
    guard axis >= -rank && axis < rank else {
      throw failure("axis \(axis) of \(rank) axes")
    }
    return axis < 0 ? axis + rank : axis
  }

  func axes(_ axes: [Int], rank: Int) throws -> [Int] {
    let found = try axes.map { try axis($0, rank: rank) }
    guard Set(found).count == found.count else { throw failure("an axis twice in \(axes)") }
    return found
  }

  /// The product of two extents, as much as there is where it is more; nothing of negative ones.
  static func product(_ a: Int, _ b: Int) -> Int {
    let (product, overflow) = max(0, a).multipliedReportingOverflow(by: max(0, b))
    return overflow ? .max : product
  }

  /// A shape, if memory is enough for numbers of it.
  @discardableResult
  func checked(_ shape: [Int]) throws -> [Int] {
    // Of an empty one as if it were not: steps through it are as long.
    let count = shape.reduce(1) { Self.product($0, $1 == 0 ? 1 : $1) }
    guard shape.count <= 64, shape.allSatisfy({ $0 >= 0 }), count <= MemoryLimit.bytes / 8 else {
      let text = shape.count <= 64 ? "\(shape)" : "\(shape.count) axes"
      throw failure("its result would be of \(text), more than memory allows")
    }
    return shape
  }

  /// The shape that several are repeated to, axes aligned at the end.
  func broadcast(_ shapes: [[Int]]) throws -> [Int] {
    let rank = shapes.map(\.count).max() ?? 0
    var result = [Int](repeating: 1, count: rank)
    for shape in shapes {
      for (i, extent) in shape.enumerated() where extent != 1 {
        let at = rank - shape.count + i
        guard result[at] == 1 || result[at] == extent else {
          throw failure("shapes \(shapes.map { "\($0)" }.joined(separator: " and ")) do not fit")
        }
        result[at] = extent
      }
    }
    return try checked(result)
  }

  func require(_ condition: Bool, _ reason: @autoclosure () -> String) throws {
    if !condition { throw failure(reason()) }
  }
}
