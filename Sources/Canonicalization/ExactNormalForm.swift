import Autodiff
public import Symmetry
public import TensorCore

/// Which quarter turns and flips bring square images to a normal form among their exact copies.
///
/// Floating-point sums over a turned image differ in their last bits, and a near tie could then fall
/// either way. So every image canonicalizer first moves an image, bit for bit, to the copy whose
/// pixels are lexicographically largest (read from the middle), finds the pose *r* of that, and
/// answers *q* *r*: for all quarter turns and flips of an image the computation is the same, and the
/// answer exactly equivariant.
struct ExactNormalForm<Group: PlanarGroup> {
  /// The images in normal form.
  let images: Tensor
  /// For each image, the elements *q* with image = *q*·form: more than one where it is symmetric.
  let elements: [[Group.Element]]

  /// - Complexity: O(pixels) at worst; a few pixels decide as a rule.
  init(_ batch: Tensor, _ group: Group) {
    let candidates = group.exactElements
    guard candidates.count > 1, batch.shape[1] == batch.shape[2] else {
      images = batch
      elements = [[Group.Element]](repeating: [group.identity], count: batch.shape[0])
      return
    }
    let (side, channels) = (batch.shape[1], batch.shape[3])
    let maps = candidates.map { group.isometry($0).matrix.map { Int($0.rounded()) } }
    let source = batch.contiguous
    let size = side * side * channels
    elements = unsafe source.withElements { pixels in
      (0..<batch.shape[0]).map { n in
        let pixels = unsafe UnsafeBufferPointer(start: pixels + n * size, count: size)
        return unsafe ExactNormalForm.largest(among: maps, pixels, side, channels).map {
          candidates[$0]
        }
      }
    }
    let action = ImageAction(group, interpolation: .nearest)
    images = action.act(elements.map { group.inverse($0[0]) }, on: batch)
  }

  /// Which exact copies of an image, by their maps, are lexicographically largest, read from the middle.
  private static func largest(
    among maps: [[Int]], _ pixels: UnsafeBufferPointer<Float>, _ side: Int, _ channels: Int
  ) -> [Int] {
    var alive = Array(maps.indices)
    let half = side * side / 2
    for step in 0..<side * side {
      let pixel = step + half < side * side ? step + half : step + half - side * side
      // Twice the displacement from the center, an integer.
      let (dx, dy) = (2 * (pixel % side) - side + 1, 2 * (pixel / side) - side + 1)
      func place(_ candidate: Int) -> Int {
        let m = maps[candidate]
        let (sx, sy) = (m[0] * dx + m[1] * dy, m[2] * dx + m[3] * dy)
        return ((sy + side - 1) / 2 * side + (sx + side - 1) / 2) * channels
      }
      for channel in 0..<channels {
        let first = unsafe pixels[place(alive[0]) + channel]
        guard alive.contains(where: { unsafe pixels[place($0) + channel] != first }) else {
          continue
        }
        let values = alive.map { unsafe pixels[place($0) + channel] }
        guard let largest = values.max() else { continue }
        // Of values that are no numbers none is the largest.
        let best = zip(alive, values).filter { $0.1 == largest }.map(\.0)
        if best.count == 1 { return best }
        if !best.isEmpty { alive = best }
      }
    }
    return alive
  }
}

extension PlanarGroup {
  /// The poses of images found through their exact normal forms: for quarter turns and flips of an image what
  /// `find` computes is the same, bit for bit, and the answer exactly equivariant.
  ///
  ///     func poses(of batch: Tensor) -> [Pose<PlanarIsometry>] {
  ///       action.group.exactPoses(of: batch) { images in … }
  ///     }
  ///
  /// What lies in the corners should not count: multiply the batch by `discMask` first.
  ///
  /// `find`: Gives the pose of each image in normal form.
  public func exactPoses(
    of batch: Tensor, _ find: (Tensor) -> [Pose<Element>]
  ) -> [Pose<Element>] {
    let normal = ExactNormalForm(batch, self)
    return zip(normal.elements, find(normal.images)).map { moves, pose in
      let best = pose.candidates
      let all = moves.flatMap { move in best.map { compose(move, $0) } }
      var ties: [Element] = []
      for tie in all.dropFirst() where tie != all[0] && !ties.contains(tie) { ties.append(tie) }
      return Pose(all[0], margin: pose.margin, ties: ties)
    }
  }

  /// The poses of images from their intensities inside the disc, found one by one, exactly equivariant under
  /// quarter turns and flips.
  ///
  /// `find`: Gives the pose for the pixels of an image in normal form, row by row, and its
  ///   height and width.
  public func exactPoses(
    ofIntensities batch: Tensor, _ find: ([Float], Int, Int) -> Pose<Element>
  ) -> [Pose<Element>] {
    let (height, width) = (batch.shape[1], batch.shape[2])
    let gray = batch.mean([3], keepingAxes: true) * discMask(height: height, width: width)
    return exactPoses(of: gray) { images in
      (0..<images.shape[0]).map { find(images[$0].elements, height, width) }
    }
  }
}

extension Variable {
  /// Square images `[batch, side, side]` of one channel in exact normal form, and the matrices of the elements by which
  /// they came from it, `[batch, 2, 2]`: what `ExactNormalForm` finds, as a computation.
  func exactNormalForm(_ group: some PlanarGroup) -> (images: Variable, moves: Variable) {
    let side = shape[1]
    let half = side * side / 2
    let reversed = Variable(
      Tensor(
        (0..<side * side).map { $0 / side + $0 % side == side - 1 ? 1 : 0 }, shape: [side, side]))
    var best: (image: Variable, matrix: Variable)?
    for element in group.exactElements {
      let m = group.isometry(element).matrix.map { Float($0.rounded()) }
      // Where rows and columns of a copy lie in the image.
      var copy = self
      if m[0] + m[1] < 0 { copy = copy.matmul(reversed) }
      if m[2] + m[3] < 0 { copy = reversed.matmul(copy) }
      if m[0] == 0 { copy = copy.permuted([0, 2, 1]) }
      let matrix = zeroPerMember + Variable(Tensor(m))
      guard let known = best else {
        best = (copy, matrix)
        continue
      }
      // Read from the middle, the first difference decides.
      let apart = (copy - known.image).reshaped([-1, side * side])
      let read = Variable.concatenated(
        [apart.sliced(half..<side * side, axis: 1), apart.sliced(0..<half, axis: 1)], axis: 1)
      let isFirst = (-read.isEqual(to: Variable(Tensor(0))) + 1).firstLargest()
      let isLarger = (isFirst * read).sum([1], keepingAxes: true)
        .isGreater(than: Variable(Tensor(0)))
      best = (
        .choose(isLarger.reshaped([-1, 1, 1]), copy, known.image),
        .choose(isLarger, matrix, known.matrix)
      )
    }
    guard let best else { return (self, zeroPerMember + Variable(Tensor([1, 0, 0, 1]))) }
    return (best.image, best.matrix.reshaped([-1, 2, 2]))
  }
}
