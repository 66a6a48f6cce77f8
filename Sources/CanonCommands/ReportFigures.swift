import Canonicalization
import Datasets
import Foundation
import Images
import Symmetry
import TensorCore
import Training

/// What a report shows.
struct ReportFigures {
  /// What a model says of one input.
  struct Example {
    let name: String
    /// The places of its class and of the one that is told; −1 without classes, or for what is no number.
    let label, told: Int
    let probability, loss, margin, degrees: Double
    let ties: Int

    init(
      _ name: String, label: Int = -1, told: Int = -1, probability: Double = .nan,
      loss: Double = .nan, _ pose: Pose<Motion>
    ) {
      (self.name, self.label, self.told) = (name, label, told)
      (self.probability, self.loss) = (probability, loss)
      (margin, ties) = (Double(pose.margin), pose.ties.count)
      degrees = (pose.element.planarIsometry.angle * 180 / .pi).remainder(dividingBy: 360)
    }

    /// Whether its pose is another one than none.
    var isMoved: Bool { degrees != 0 }
  }

  /// An input that is shown, beside its canonical form.
  struct Card {
    let example: Example
    let input, form: Image

    init(_ example: Example, input: Image, form: Image) {
      (self.example, self.input, self.form) = (example, input, form)
    }

    /// The only input of a lot; images as large as they are shown, not as a model sees them.
    init(_ example: Example, _ lot: InputLot, _ loaded: LoadedModel) {
      let shown =
        lot.images.first.map { $0.modelInput(size: 256, channels: $0.channels >= 3 ? 3 : 1) }
        ?? lot.inputs
      let pose = loaded.model.poses(of: lot.inputs)[0].element
      let form = loaded.domain.inputs.act([pose.inverse], on: shown)
      self.init(
        example, input: loaded.domain.picture(of: shown[0]),
        form: loaded.domain.picture(of: form[0]))
    }
  }

  let model, data: String
  let summary: [(name: String, value: String)]
  let classNames: [String]
  var quality = Quality(loss: .nan)
  var examples: [Example] = []
  /// The error, or the loss, of inputs turned by an angle in degrees.
  var byAngle: [(degrees: Double, value: Double)] = []
  var deviations: [EquivarianceReport.Row] = []
  var worst: [Card] = []
  var unsure: [Card] = []
  /// How many examples were turned, and moved by elements.
  var turnedCount = 0
  var movedCount = 0
  /// Whether the model tells nothing but poses; nothing is known then of what would be right.
  let isOfPoses: Bool
  /// The margin below which such a model leaves an input alone.
  var least: Double?

  init(model: String, data: String, _ predictor: any Predictor) {
    (self.model, self.data, summary) = (model, data, predictor.summary)
    classNames = predictor.classNames
    isOfPoses = predictor.task.presentation == .poses
  }

  /// Inputs beside their canonical forms.
  func cards(_ places: [Int], _ inputs: Tensor, _ loaded: LoadedModel) -> [Card] {
    let forms = loaded.model.predict(inputs).forms
    return places.enumerated().map { n, place in
      Card(
        examples[place], input: loaded.domain.picture(of: inputs[n]),
        form: loaded.domain.picture(of: forms[n]))
    }
  }

  /// Looks at each example once.
  mutating func measure(_ model: any Predictor, _ all: Examples, _ names: [String]) {
    var meter = QualityMeter()
    var found: [Example] = []
    let isClassification = model.task.presentation == .classes
    model.forEachBatch(of: all.inputs) { range, prediction in
      guard let targets = all["targets"]?.sliced(range) else { return }
      model.task.measure(prediction.output, targets, into: &meter)
      let width = prediction.output.shape.count / max(1, range.count)
      let numbers = prediction.output.elements
      for (n, place) in range.enumerated() {
        let pose = prediction.poses[n]
        var (told, label, probability, loss) = (-1, -1, Double.nan, Double.nan)
        if isClassification {
          let scores = numbers[n * width..<n * width + classNames.count]
          let best = scores.indices.reduce(scores.startIndex) { scores[$1] > scores[$0] ? $1 : $0 }
          (probability, label) = (Double(scores[best]), all.labels[place])
          if probability.isFinite { told = best - scores.startIndex }
          let own = Double(scores[scores.startIndex + label])
          loss = own.isNaN ? .nan : -Foundation.log(max(own, 1e-30))
        } else {
          var own = QualityMeter()
          model.task.measure(
            prediction.output.sliced(n..<n + 1), targets.sliced(n..<n + 1), into: &own)
          loss = own.quality.loss
        }
        found.append(
          Example(
            names.indices.contains(place) ? names[place] : "\(place)", label: label,
            told: told, probability: probability, loss: loss, pose))
      }
    }
    (quality, examples) = (meter.quality, found)
  }

  /// The places of the examples for which something is smallest; what is no number comes first.
  func places(
    of count: Int, where isMeant: (Example) -> Bool = { _ in true }, by value: (Example) -> Double
  ) -> [Int] {
    let values = examples.map(value)
    let order = values.indices.filter { isMeant(examples[$0]) }.sorted {
      if values[$0].isNaN != values[$1].isNaN { return values[$0].isNaN }
      return values[$0] != values[$1] ? values[$0] < values[$1] : $0 < $1
    }
    return Array(order.prefix(count))
  }

  /// How often each class (a row) was taken for each (a column).
  var confusion: [[Int]] {
    var counts = [[Int]](
      repeating: [Int](repeating: 0, count: classNames.count), count: classNames.count)
    for one in examples where one.label >= 0 && one.told >= 0 { counts[one.label][one.told] += 1 }
    return counts
  }

  /// The part that is right among examples of about the same probability, five at least.
  var reliability: [(probability: Double, right: Double, count: Int)] {
    let bins = 10
    return (0..<bins).compactMap { bin in
      let own = examples.filter {
        $0.told >= 0 && min(bins - 1, Int($0.probability * Double(bins))) == bin
      }
      guard own.count >= 5 else { return nil }
      return (
        own.map(\.probability).reduce(0, +) / Double(own.count),
        Double(own.count { $0.told == $0.label }) / Double(own.count), own.count
      )
    }
  }
}

extension InputLot {
  /// Its inputs, each in a lot of its own.
  var single: [InputLot] {
    names.indices.map {
      InputLot(
        names: [names[$0]], inputs: inputs.sliced($0..<$0 + 1),
        images: images.isEmpty ? [] : [images[$0]])
    }
  }
}
