import Autodiff
import TensorCore

extension Operators {
  /// Products of matrices.
  static let products: [String: Body] = [
    "MatMul": { call in
      let isAdded = call.node.followers.isAdded
      try call.require(
        isAdded || call.inputs.count == 2, "it has \(call.inputs.count) inputs, and takes 2")
      if let y = try call.weighted(isTransposed: false) { return [.floats(y)] }
      var y = try call.product(call.float(0), call.float(1))
      if isAdded { y = y + (try call.float(2)) }
      return [.floats(call.activated(y))]
    },
    "Gemm": { try [$0.affine()] },
    "Einsum": { try [$0.einsum()] },
  ]
}

extension Call {
  /// The product of matrices, or of batches of them; a vector is a row before, a column behind.
  func product(_ a: Variable, _ b: Variable) throws -> Variable {
    try require(a.shape.rank > 0 && b.shape.rank > 0, "a number has no matrix product")
    let left = a.shape.rank == 1 ? a.reshaped([1, a.shape[0]]) : a
    let right = b.shape.rank == 1 ? b.reshaped([b.shape[0], 1]) : b
    try require(left.shape[-1] == right.shape[-2], "\(a.shape) times \(b.shape)")
    let (m, k, n) = (left.shape[-2], left.shape[-1], right.shape[-1])
    let lead = try broadcast([
      Array(left.shape.extents.dropLast(2)), Array(right.shape.extents.dropLast(2)),
    ])
    let rest = (a.shape.rank == 1 ? [] : [m]) + (b.shape.rank == 1 ? [] : [n])
    try checked(lead + [m, n])
    if k == 0 || left.shape.count == 0 || right.shape.count == 0 {
      return Variable(.zeros(Shape(lead + rest)))
    }
    // One matrix behind many: one product.
    let isPlain =
      right.shape.rank == 2
      || left.shape.extents.dropLast(2).elementsEqual(right.shape.extents.dropLast(2))
    let x = isPlain ? left : left.repeated(to: lead + [m, k])
    let y = isPlain ? right : right.repeated(to: lead + [k, n])
    return x.matmul(y).reshaped(lead + rest)
  }

  /// What the node takes in of those after it.
  fileprivate func activated(_ y: Variable) -> Variable {
    node.followers.activation.map { Variable($0(y.value)) } ?? y
  }

  /// A product with weights of the file, made ready once, with what is added to it and the activation after it; `nil` where
  /// there is something to learn, or the node says more.
  ///
  /// As a convolution of 1 × 1 it reads the weights in panels; a row's result does not depend on the other rows.
  fileprivate func weighted(isTransposed: Bool) throws -> Variable? {
    let x = try float(0)
    guard !tape.isTraining, !x.requiresGradient, let own = parameter(1), own.value.shape.rank == 2,
      x.shape.rank > 1, x.shape.count > 0, own.value.shape.count > 0
    else { return nil }
    let weight = isTransposed ? own.value.transposed() : own.value
    let (depth, columns) = (weight.shape[0], weight.shape[1])
    let offset = parameter(2)
    guard x.shape[-1] == depth, inputs.count < 3 || inputs[2] == nil || offset != nil,
      offset.map({ $0.value.shape.extents == [columns] }) ?? true
    else { return nil }
    let rows = x.shape.count / depth
    try checked([rows, columns])
    let activation = node.followers.activation
    let prepared = node.cache.weights {
      Derived(from: [own] + (offset.map { [$0] } ?? [])) {
        let weight = isTransposed ? own.value.transposed() : own.value
        return .convolution(
          PreparedConvolution(
            weight.reshaped([1, 1, depth, columns]), bias: offset?.value, activation: activation))
      }
    }
    guard case .convolution(let product) = prepared else { throw failure("no weights") }
    let y = product(x.value.reshaped([1, rows, 1, depth]))
    return Variable(y.reshaped(x.shape.extents.dropLast() + [columns]))
  }

  /// *α* *A* *B* + *β* *C*, either transposed.
  fileprivate func affine() throws -> Value {
    let isPlain = [nil, 1].contains(number("alpha")) && [nil, 1].contains(number("beta"))
    if isPlain, int("transA") ?? 0 == 0, try float(0).shape.rank == 2,
      let y = try weighted(isTransposed: int("transB") == 1)
    {
      return .floats(y)
    }
    func matrix(_ index: Int, _ name: String) throws -> Variable {
      let x = try float(index)
      try require(x.shape.rank == 2, "input \(index) is of \(x.shape)")
      return int(name) == 1 ? x.permuted([1, 0]) : x
    }
    let (a, b) = (try matrix(0, "transA"), try matrix(1, "transB"))
    var y = try product(a, b)
    if let alpha = number("alpha"), alpha != 1 { y = y * alpha }
    if let c = try optionalFloat(2) {
      try require(
        try broadcast([y.shape.extents, c.shape.extents]) == y.shape.extents,
        "\(c.shape) added to \(y.shape)")
      let beta = number("beta") ?? 1
      y = y + (beta == 1 ? c : c * beta)
    }
    return .floats(activated(y))
  }

  /// Sums of products by the letters of their axes (Einstein's convention, as NumPy writes it).
  fileprivate func einsum() throws -> Value {
    guard let equation = string("equation")?.filter({ $0 != " " }) else {
      throw failure("no equation")
    }
    let arrow = equation.firstRange(of: "->")
    var terms = equation[..<(arrow?.lowerBound ?? equation.endIndex)].split(
      separator: ",", omittingEmptySubsequences: false
    ).map(
      String.init)
    try require(terms.count == inputs.count, "'\(equation)' with \(inputs.count) inputs")
    var operands = try inputs.indices.map { try float($0) }
    // An ellipsis stands for letters of its own, aligned at the end.
    let spare = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZ").filter { !equation.contains($0) }
    var longest = 0
    func expanded(_ term: String, _ count: Int) throws -> String {
      guard term.contains("...") else { return term }
      try require(count >= 0 && count <= spare.count, "'\(equation)' does not fit")
      return term.replacing("...", with: String(spare[..<count].reversed()))
    }
    for n in terms.indices {
      let count = operands[n].shape.rank - terms[n].replacing("...", with: "").count
      if terms[n].contains("...") { longest = max(longest, count) }
      terms[n] = try expanded(terms[n], count)
      try require(
        terms[n].count == operands[n].shape.rank, "'\(equation)' for \(operands[n].shape)")
    }
    let letters = terms.joined()
    let result =
      arrow != nil
      ? try expanded(String(equation[(arrow?.upperBound ?? equation.endIndex)...]), longest)
      : String(spare[..<longest].reversed())
        + String(
          Set(letters).filter { l in
            letters.count { $0 == l } == 1 && !spare[..<longest].contains(l)
          }.sorted())
    var extents: [Character: Int] = [:]
    for (term, operand) in zip(terms, operands) {
      for (letter, extent) in zip(term, operand.shape.extents) {
        let known = extents[letter] ?? extent
        try require(
          known == extent || known == 1 || extent == 1, "'\(letter)' is \(known) and \(extent)")
        extents[letter] = known == 1 ? extent : known
      }
    }
    try require(
      result.allSatisfy { extents[$0] != nil } && Set(result).count == result.count, "'\(equation)'"
    )
    for (term, operand) in zip(terms, operands) {
      let pairs = Dictionary(grouping: zip(term, operand.shape.extents), by: \.0)
      try require(
        pairs.values.allSatisfy { Set($0.map(\.1)).count == 1 }, "'\(term)' of \(operand.shape)")
    }
    for n in operands.indices { (operands[n], terms[n]) = diagonal(operands[n], terms[n]) }
    // One operand after another, summed over what no other needs.
    var (value, term) = (operands[0], terms[0])
    for n in 1..<max(1, operands.count) {
      let later = Set(terms[(n + 1)...].joined() + result)
      (value, term) = try contracted(value, term, operands[n], terms[n], keeping: later, extents)
    }
    let gone = term.enumerated().filter { !result.contains($0.element) }.map(\.offset)
    if !gone.isEmpty { value = value.sum(gone) }
    let rest = term.filter { result.contains($0) }
    let order = result.map { letter in Array(rest).firstIndex(of: letter) ?? 0 }
    return .floats(value.permuted(order))
  }

  /// Of a letter that a term has twice, where both indices are the same.
  private func diagonal(_ x: Variable, _ term: String) -> (Variable, String) {
    let letters = Array(term)
    let unique = letters.enumerated().filter { letters.firstIndex(of: $1) == $0 }.map(\.element)
    guard unique.count < letters.count else { return (x, term) }
    let steps = x.shape.extents.rowMajorSteps
    let shape = unique.map { letter in x.shape[letters.firstIndex(of: letter) ?? 0] }
    let own = unique.map { letter in
      letters.indices.filter { letters[$0] == letter }.map { steps[$0] }.reduce(0, +)
    }
    guard case .floats(let y) = Value.floats(x).gathered(places(shape, steps: own), shape: shape)
    else {
      return (x, term)
    }
    return (y, String(unique))
  }

  /// The product of two, summed over the letters that nothing else needs: one matrix product.
  private func contracted(
    _ a: Variable, _ left: String, _ b: Variable, _ right: String, keeping: Set<Character>,
    _ extents: [Character: Int]
  ) throws -> (Variable, String) {
    for term in [left, right] { try checked(term.map { extents[$0] ?? 1 }) }
    func full(_ x: Variable, _ term: String) -> Variable {
      x.repeated(to: term.map { extents[$0] ?? 1 })
    }
    func summed(_ x: Variable, _ term: String, _ other: String) -> (Variable, String) {
      let x = full(x, term)
      let gone = term.enumerated().filter {
        !other.contains($0.element) && !keeping.contains($0.element)
      }
      return gone.isEmpty
        ? (x, term)
        : (x.sum(gone.map(\.offset)), term.filter { other.contains($0) || keeping.contains($0) })
    }
    let (x, l) = summed(a, left, right)
    let (y, r) = summed(b, right, left)
    let batch = l.filter { r.contains($0) && keeping.contains($0) }
    let inner = l.filter { r.contains($0) && !keeping.contains($0) }
    let (rows, columns) = (l.filter { !r.contains($0) }, r.filter { !l.contains($0) })
    func arranged(_ x: Variable, _ term: String, _ parts: [String]) -> Variable {
      x.permuted(parts.joined().map { letter in Array(term).firstIndex(of: letter) ?? 0 })
        .reshaped(parts.map { $0.map { extents[$0] ?? 1 }.reduce(1, *) })
    }
    let empty = (l + r).contains { extents[$0] == 0 }
    if empty {
      let term = batch + rows + columns
      return (Variable(.zeros(Shape(try checked(term.map { extents[$0] ?? 1 })))), term)
    }
    let p = arranged(x, l, [batch, rows, inner]).matmul(arranged(y, r, [batch, inner, columns]))
    let term = batch + rows + columns
    return (p.reshaped(try checked(term.map { extents[$0] ?? 1 })), term)
  }
}

extension Variable {
  /// Repeated to a shape that it fits.
  func repeated(to shape: [Int]) -> Variable {
    guard self.shape.extents != shape else { return self }
    return Variable(value.broadcast(to: Shape(shape)), inputs: [self]) { [own = self.shape] dy in
      [dy.summed(to: own)]
    }
  }
}
