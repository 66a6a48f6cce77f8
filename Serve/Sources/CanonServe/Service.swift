import Canon
import Foundation

/// What cannot be answered, as HTTP says it.
public struct Refusal: Error {
  public let status: Int
  public let reason: String

  public init(_ status: Int, _ reason: String) { (self.status, self.reason) = (status, reason) }
}

/// What a model says of one image, without anything of HTTP.
public struct Service: Sendable {
  public let name: String
  public let model: any Predictor
  let images: ImageDomain
  /// Below which margin a pose is called unsure, where the model was calibrated.
  let minMargin: Double?

  /// - Throws: `WeightsError` where there is no such model; `Refusal` for one that sees no images.
  public init(_ path: String) throws {
    let file = try ModelFile(path: path)
    model = try file.predictor()
    guard let images = model.domain as? ImageDomain else {
      throw Refusal(400, "\(path) sees \(model.domain.text), and images are what is served.")
    }
    (name, self.images, minMargin) = (path, images, file.figures["min margin"])
  }

  /// A pose, in numbers.
  public struct PoseAnswer: Codable, Sendable {
    /// Counterclockwise, as the image is seen.
    public var degrees: Double
    public var isReflected: Bool
    public var margin: Double?
    /// Whether the margin is below what the model was calibrated to; missing where it was not.
    public var isUnsure: Bool?
    /// The angles of poses that are as good.
    public var ties: [Double]
    public var isQuarterTurn: Bool

    init(_ pose: Pose<Motion>, minMargin: Double?) {
      let g = pose.element.planarIsometry
      (degrees, isReflected, isQuarterTurn) = (
        g.angle * 180 / .pi, g.isReflected, pose.element.isExact
      )
      // JSON has no infinity.
      margin = pose.margin.isFinite ? Double(pose.margin) : nil
      isUnsure = minMargin.map { !(Double(pose.margin) >= $0) }
      ties = pose.ties.map { $0.planarIsometry.angle * 180 / .pi }
    }
  }

  /// What is said of an image.
  public struct Answer: Codable, Sendable {
    public var width, height: Int
    public var pose: PoseAnswer
    /// Of a model that tells classes apart, the best one; missing where its outputs are no numbers.
    public var `class`: String?
    public var probabilities: [String: Double]?
    /// Other outputs of numbers, as the model's task has them.
    public var numbers: [Double]?
    /// The image in canonical pose, as a PNG file in base64.
    public var canonical: String?
    /// Pictures for the page, as `data:` addresses: as it was shown, in canonical pose, brought back, and the model's output.
    public var pictures: [String: String]?
  }

  /// Finds the pose of an image, and predicts.
  ///
  /// - Throws: `Refusal` with status 400 or 413.
  public func predict(_ bytes: [UInt8]) throws -> Answer {
    look(try image(bytes)).answer
  }

  /// The same with the image in canonical pose, of its own resolution.
  public func canonicalize(_ bytes: [UInt8]) throws -> (answer: Answer, file: [UInt8]) {
    let image = try image(bytes)
    var (answer, prediction) = look(image)
    let file = try Service.file(try moved(image, by: prediction.poses[0].element.inverse))
    answer.canonical = Data(file).base64EncodedString()
    return (answer, file)
  }

  /// What the page shows of an image turned by an angle, at most `side` pixels wide and high.
  public func view(_ bytes: [UInt8], degrees: Double, side: Int = 320) throws -> Answer {
    guard degrees.isFinite else { throw Refusal(400, "The angle is no number.") }
    let whole = try image(bytes)
    let turn = Motion(isometry: PlanarIsometry(residual: degrees * .pi / 180))
    // The model is asked of what it would see of the file; what is shown is smaller.
    let seen = degrees == 0 ? whole : try moved(whole.shrunk(to: 2 * images.size), by: turn)
    var (answer, prediction) = look(seen)
    (answer.width, answer.height) = (whole.width, whole.height)
    let shown = try moved(whole.shrunk(to: side), by: turn)
    let pose = prediction.poses[0].element
    let action = PictureAction(canvas: .grow, background: .color(shown.edgeColor))
    let form = try moved(shown, by: pose.inverse)
    let restored = action.undo(pose.inverse, on: form, size: (shown.height, shown.width))
    var pictures = ["shown": shown, "form": form, "restored": restored]
    if model.task.presentation == .images {
      pictures["output"] = Image(
        model.task.written(prediction.output, for: images.input(shown))[0])
    }
    answer.pictures = try pictures.mapValues {
      "data:image/png;base64," + Data(try Service.file($0)).base64EncodedString()
    }
    return answer
  }

  private func image(_ bytes: [UInt8]) throws -> Image {
    guard !bytes.isEmpty else { throw Refusal(400, "The request has no image in its body.") }
    if bytes.starts(with: "--".utf8) {
      throw Refusal(
        400,
        "The body is a form; send the file itself, as `curl --data-binary @scan.jpg` does.")
    }
    do { return try Image(bytes: bytes, named: "The file") } catch {
      if case .tooLarge = error { throw Refusal(413, "\(error)") }
      throw Refusal(400, "\(error)")
    }
  }

  /// What is said of an image, and what it is said by.
  private func look(_ image: Image) -> (answer: Answer, prediction: Prediction) {
    let prediction = model.predict(images.input(image))
    var answer = Answer(
      width: image.width, height: image.height,
      pose: PoseAnswer(prediction.poses[0], minMargin: minMargin))
    let output = prediction.output[0].elements
    switch model.task.presentation {
    case .classes:
      let scores = output.prefix(model.classNames.count)
      guard scores.allSatisfy(\.isFinite) else { break }
      let best = scores.indices.max { scores[$0] < scores[$1] }
      answer.class = best.map { model.classNames[$0] }
      answer.probabilities = Dictionary(
        zip(model.classNames, scores.map { Double($0) })
      ) { first, _ in first }
    case .numbers:
      if output.allSatisfy(\.isFinite) { answer.numbers = output.map { Double($0) } }
    case .images, .poses: break
    }
    return (answer, prediction)
  }

  private func moved(_ image: Image, by motion: Motion) throws -> Image {
    let action = PictureAction(canvas: .grow, background: .color(image.edgeColor))
    let size = action.size(of: (image.height, image.width), movedBy: motion)
    guard motion.isExact || 16 * size.height * size.width * image.channels <= MemoryLimit.bytes
    else {
      throw Refusal(
        413, "The image would be of \(size.width) × \(size.height) pixels in this pose.")
    }
    return action.act(motion, on: image)
  }

  private static func file(_ image: Image) throws -> [UInt8] {
    do { return try image.encoded() } catch { throw Refusal(500, "\(error)") }
  }
}

extension ImageDomain {
  /// An image as the model sees it.
  func input(_ image: Image) -> Tensor { image.modelInput(size: size, channels: channels) }
}

extension Image {
  /// At most so many pixels wide and high: means of whole squares.
  func shrunk(to side: Int) -> Image {
    let step = (max(width, height) + side - 1) / side
    guard step > 1 else { return self }
    let (w, h) = (width / step, height / step)
    guard w > 0, h > 0 else { return self }
    var result = [UInt16](repeating: 0, count: w * h * channels)
    for y in 0..<h {
      for x in 0..<w {
        for c in 0..<channels {
          var sum = 0
          for row in y * step..<(y + 1) * step {
            for column in x * step..<(x + 1) * step {
              sum += Int(samples[(row * width + column) * channels + c])
            }
          }
          result[(y * w + x) * channels + c] = UInt16((sum + step * step / 2) / (step * step))
        }
      }
    }
    return Image(width: w, height: h, channels: channels, bitDepth: bitDepth, samples: result)
  }
}
