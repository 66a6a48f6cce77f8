import Autodiff
import Canonicalization
import Datasets
import Foundation
import Layers
public import ONNX
import Settings
import Symmetry
public import TensorCore

extension CanonicalizedModel {
  /// The whole of canonicalizer, pose, warp, backbone and restored output as one ONNX network.
  ///
  /// It takes `images` `[batch, channels, height, width]`, 0 to 1, or `points` `[batch, members, numbers]`, and gives
  ///
  /// | output | shape | what it is |
  /// |---|---|---|
  /// | `scores` | `[batch, classes]` | probabilities of classes |
  /// | `restored` | the task's; images with channels first | other results, in the pose that the input came in |
  /// | `pose` | `[batch, d, d + 1]` | a matrix and a shift: a place *p* of the form lies at matrix · *p* + shift in the input; of images in pixels from the middle, *x* to the right and *y* down |
  /// | `order` | `[batch, members]` | of sets that are sorted: which member takes each place of the form |
  /// | `margin` | `[batch]` | how far the pose is ahead of the next |
  /// | `form` | as the input | the input in canonical pose |
  ///
  /// - Parameter metadata: What is said of it beside task, input and classes.
  /// - Throws: `NotExportable` or `ONNXError` for what has no form there.
  public func exported(metadata: [String: String] = [:]) throws -> ONNXExport {
    let isImage = domain is ImageDomain
    let shape = isImage ? [domain.shape[2], domain.shape[0], domain.shape[1]] : domain.shape
    return try ONNXExport(
      input: isImage ? "images" : "points", shape: shape,
      metadata: metadata.merging(ownMetadata) { $1 }
    ) { input in try outputs(of: isImage ? input.permuted([0, 2, 3, 1]) : input, isImage) }
  }

  private func outputs(
    of batch: Variable, _ isImage: Bool
  ) throws(NotExportable) -> [ONNXExport.Output] {
    let tape = Tape.inference()
    guard let inputs = domain.inputs as? any ExportableQuantity else {
      throw NotExportable("Inputs of \(type(of: domain.inputs)) are not exported.")
    }
    let pose = try steps.poseVariables(of: batch, on: tape)
    let form = try inputs.act(pose.inverse, on: batch)
    var results: [ONNXExport.Output] = []
    if task.presentation != .poses {
      let frame = steps.average > 1 ? try steps.frameVariables(of: batch, on: tape) : []
      results = named(
        frame.isEmpty
          ? try restored(backbone(form, on: tape), pose)
          : try averaged(frame, of: batch, inputs, on: tape))
    }
    var shown = (pose: pose, form: form)
    if recentering != 0 {
      let (c, s) = (Float(cos(recentering)), Float(-sin(recentering)))
      let turn = Variable(Tensor([c, s, -s, c], shape: [1, 2, 2]))
      shown.pose = pose.after(PoseVariables(matrix: turn))
      shown.form = try inputs.act(shown.pose.inverse, on: batch)
    }
    results += parts(of: shown.pose, batch, isImage)
    return results + [.init("form", isImage ? shown.form.permuted([0, 3, 1, 2]) : shown.form)]
  }

  /// The weighted mean of what the backbone says in all poses of a frame.
  private func averaged(
    _ frame: [(pose: PoseVariables, weight: Variable)], of batch: Variable,
    _ inputs: any ExportableQuantity, on tape: Tape
  ) throws(NotExportable) -> Variable {
    var sum: Variable?
    for (pose, weight) in frame {
      let form = try inputs.act(pose.inverse, on: batch)
      let result = try restored(backbone(form, on: tape), pose)
      let ones = [Int](repeating: 1, count: result.shape.rank - 1)
      let part = result * weight.reshaped([-1] + ones)
      sum = sum.map { $0 + part } ?? part
    }
    guard let sum else { throw NotExportable("A frame of no poses is not exported.") }
    return sum
  }

  /// What a backbone says of forms, in the poses that the inputs came in.
  private func restored(
    _ output: Variable, _ pose: PoseVariables
  ) throws(NotExportable) -> Variable {
    guard let quantity = outputs as? any ExportableQuantity else {
      throw NotExportable("Outputs of \(type(of: outputs)) are not exported.")
    }
    let extents = task.outputShape(for: domain, classes: classNames.count)
    let result = task.result(of: output.reshaped([-1] + extents))
    return try quantity.act(pose, on: result)
  }

  /// Results under the names of what they are.
  private func named(_ moved: Variable) -> [ONNXExport.Output] {
    let quantity = outputs
    if quantity is Scores { return [.init("scores", moved)] }
    guard let parts = quantity as? Symmetry.Parts, parts.parts.first?.quantity is Scores else {
      return [.init("restored", moved.shape.rank == 4 ? moved.permuted([0, 3, 1, 2]) : moved)]
    }
    let classes = parts.ranges[0]
    return [
      .init("scores", moved.sliced(classes, axis: 1)),
      .init("restored", moved.sliced(classes.upperBound..<moved.shape[1], axis: 1)),
    ]
  }

  private func parts(
    of pose: PoseVariables, _ batch: Variable, _ isImage: Bool
  ) -> [ONNXExport.Output] {
    let d = isImage ? 2 : (domain as? SetDomain)?.dimension ?? 1
    // 0 for each member, whatever it holds.
    let sums = batch.sum(Array(1..<batch.shape.rank)).reshaped([-1, 1, 1])
    let zero = sums.isGreater(than: sums)
    let identity = (0..<d * d).map { $0 % (d + 1) == 0 ? Float(1) : 0 }
    let matrix = (pose.matrix ?? Variable(Tensor(identity, shape: [1, d, d]))) + zero
    let unit: Float = isImage ? Float(min(batch.shape[1], batch.shape[2])) / 2 : 1
    let shift =
      pose.translation.map { $0.reshaped([-1, d, 1]) * unit } ?? Variable(.zeros([1, d, 1]))
    var results = [
      ONNXExport.Output("pose", .concatenated([matrix, shift + zero], axis: 2)),
      ONNXExport.Output(
        "margin", pose.margin ?? zero.reshaped([-1]) + Variable(Tensor(.infinity))),
    ]
    if let order = pose.order {
      let members = order.shape[1]
      let numbers = Variable(Tensor((0..<members).map { Float($0) }, shape: [members, 1]))
      results.append(
        .init("order", order.matmul(numbers).reshaped([-1, members]), isWhole: true))
    }
    return results
  }

  private var ownMetadata: [String: String] {
    var metadata = ["canon.task": type(of: task).kind, "canon.input": domain.text]
    if !classNames.isEmpty, let names = try? JSONEncoder().encode(classNames) {
      metadata["canon.classes"] = String(decoding: names, as: UTF8.self)
    }
    return metadata
  }
}

extension CanonicalizedModel {
  /// What an exported pipeline takes and should give for some inputs, by the names that it has for them.
  public func reference(for inputs: Tensor) -> [String: Tensor] {
    let found = predict(inputs)
    let (isImage, count) = (domain is ImageDomain, inputs.shape[0])
    func written(_ tensor: Tensor) -> Tensor {
      isImage && tensor.shape.rank == 4 ? tensor.permuted([0, 3, 1, 2]).contiguous : tensor
    }
    let d = isImage ? 2 : (domain as? SetDomain)?.dimension ?? 1
    let unit = isImage ? Double(min(inputs.shape[1], inputs.shape[2])) / 2 : 1
    let poses = found.poses.flatMap { pose -> [Float] in
      let motion = pose.element
      let map = motion.map ?? (isImage ? motion.planarMap : .identity(d))
      return (0..<d * (d + 1)).map { i in
        let (row, column) = i.quotientAndRemainder(dividingBy: d + 1)
        return Float(column < d ? map.matrix[row * d + column] : map.translation[row] * unit)
      }
    }
    var all = [
      isImage ? "images" : "points": written(inputs), "form": written(found.forms),
      "pose": Tensor(poses, shape: [count, d, d + 1]),
      "margin": Tensor(found.poses.map(\.margin), shape: [count]),
    ]
    let orders = found.poses.compactMap(\.element.permutation?.places)
    if orders.count == count, let members = orders.first?.count {
      all["order"] = Tensor(orders.joined().map { Float($0) }, shape: [count, members])
    }
    if task.presentation == .poses { return all }
    for output in named(Variable(found.output)) {
      all[output.name] = output.value.value.contiguous
    }
    return all
  }
}
