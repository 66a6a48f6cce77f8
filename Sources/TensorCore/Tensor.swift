/// An array of `Float` with a shape: a value, copied when written to while shared.
///
/// A tensor is a window on a block of memory: transposing, slicing and broadcasting make new
/// windows without copying. Elements are in row-major order, the last axis fastest; images are
/// `[batch, height, width, channels]`.
///
///     let x = Tensor([1, 2, 3, 4], shape: [2, 2])
///     (x + x.transposed()).elements   // [2, 5, 5, 8]
@safe public struct Tensor: @unchecked Sendable {
  var storage: Storage
  /// The extents along each axis.
  public let shape: Shape
  let strides: [Int]
  let offset: Int

  init(storage: Storage, shape: Shape, strides: [Int], offset: Int) {
    self.storage = storage
    self.shape = shape
    self.strides = strides
    self.offset = offset
  }

  /// Creates a tensor of unspecified content, for `body` to fill.
  ///
  /// `body` gets the address of the first of `shape.count` elements in row-major order, and must
  /// write all of them.
  public init(_ shape: Shape, filling body: (UnsafeMutablePointer<Float>) throws -> Void) rethrows {
    let storage = Storage(count: shape.count)
    try unsafe body(storage.base)
    self.init(storage: storage, shape: shape, strides: shape.rowMajorStrides, offset: 0)
  }

  /// Creates a tensor with the given elements in row-major order.
  ///
  /// - Precondition: There are `shape.count` elements.
  public init(_ elements: [Float], shape: Shape) {
    require(elements.count == shape.count, "\(elements.count) elements for shape \(shape)")
    unsafe self.init(shape) { target in
      for i in elements.indices { unsafe target[i] = elements[i] }
    }
  }

  /// Creates a vector.
  public init(_ elements: [Float]) { self.init(elements, shape: [elements.count]) }

  /// Creates a tensor without axes.
  public init(_ scalar: Float) { self.init([scalar], shape: []) }

  /// Creates a tensor with the same value everywhere.
  public init(repeating value: Float, shape: Shape) {
    unsafe self.init(shape) { target in
      Profiler.count("fill", elements: shape.count) {
        unsafe target.update(repeating: value, count: shape.count)
      }
    }
  }

  /// A tensor of zeros.
  public static func zeros(_ shape: Shape) -> Tensor { Tensor(repeating: 0, shape: shape) }

  /// A tensor of ones.
  public static func ones(_ shape: Shape) -> Tensor { Tensor(repeating: 1, shape: shape) }

  /// The elements in row-major order.
  ///
  /// - Complexity: O(`shape.count`).
  public var elements: [Float] {
    unsafe withElements { unsafe Array(UnsafeBufferPointer(start: $0, count: shape.count)) }
  }

  /// The only element.
  ///
  /// - Precondition: There is exactly one.
  public var scalar: Float {
    require(shape.count == 1, "scalar of shape \(shape)")
    return unsafe storage.base[offset]
  }

  /// Whether the elements lie in memory in row-major order without gaps.
  public var isContiguous: Bool {
    var expected = 1
    for axis in strides.indices.reversed() where shape.extents[axis] != 1 {
      if strides[axis] != expected { return false }
      expected *= shape.extents[axis]
    }
    return true
  }

  /// The same tensor with its elements in row-major order, copied only where they are not.
  public var contiguous: Tensor {
    if isContiguous { return self }
    return unsafe Tensor(shape) { unsafe copyElements(to: $0) }
  }

  /// Calls `body` with the address of the elements in row-major order.
  public func withElements<Result>(
    _ body: (UnsafePointer<Float>) throws -> Result
  ) rethrows -> Result {
    let tensor = contiguous
    defer { withExtendedLifetime(tensor.storage) {} }
    return try unsafe body(UnsafePointer(tensor.storage.base + tensor.offset))
  }

  /// Where the elements are, for as long as the tensor is.
  ///
  /// - Precondition: They lie in row-major order.
  var elementAddress: UnsafePointer<Float> { unsafe UnsafePointer(storage.base + offset) }

  /// Calls `body` with the address of the elements, to change them in place.
  ///
  /// Elements shared with another tensor, or not in row-major order, are copied before.
  public mutating func withMutableElements<Result>(
    _ body: (UnsafeMutablePointer<Float>) throws -> Result
  ) rethrows -> Result {
    if !isKnownUniquelyReferenced(&storage) || !isContiguous {
      self = unsafe Tensor(shape) { unsafe copyElements(to: $0) }
    }
    defer { withExtendedLifetime(storage) {} }
    return try unsafe body(storage.base + offset)
  }
}

extension Tensor: Equatable, CustomStringConvertible {
  /// Whether shapes and all elements are equal (a NaN equals nothing).
  public static func == (a: Tensor, b: Tensor) -> Bool {
    a.shape == b.shape && a.elements == b.elements
  }

  public var description: String {
    let some = elements.prefix(16).map { "\($0)" }.joined(separator: ", ")
    return "Tensor(\(shape): [\(some)\(shape.count > 16 ? ", …" : "")])"
  }
}
