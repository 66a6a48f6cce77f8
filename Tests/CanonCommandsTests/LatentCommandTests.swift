import Foundation
import Images
import TensorCore
import Testing
import Training

@Suite struct LatentCommandTests {
  /// A model as it begins, on the disk.
  private func model(_ text: String, _ name: String) throws -> String {
    let configuration = try RunConfiguration(text: text, source: "test")
    let path = temporary("\(name).safetensors")
    try configuration.makeModel(classNames: []).safetensors(configuration, classNames: [])
      .write(to: path)
    return path
  }

  @Test("predict gives pose and orbit of each image, and counts what cannot be read")
  func predicts() throws {
    let text = """
      data: {kind: scenes, scene: rooms, count: 16, size: 12}
      model: {kind: class-pose, classDimensions: 3}
      backbone: {kind: pose-cnn, width: 2}
      """
    let path = try model(text, "latent-rooms")
    let folder = try pictures("latent-images", ["a.png", "b.png"])
    try Data("no".utf8).write(to: URL(fileURLWithPath: folder + "/broken.png"))
    let json = try canon("predict", path, folder, "--json")
    #expect(json.status == 2 && json.err.contains("broken.png"))
    struct Row: Decodable {
      let file: String
      let pose, orbit: [Double]
    }
    let rows = try json.out.split(separator: "\n").map {
      try JSONDecoder().decode(Row.self, from: Data($0.utf8))
    }
    #expect(rows.map(\.file) == ["a.png", "b.png"])
    // Two shifts and an angle; a point of the sphere.
    #expect(rows.allSatisfy { $0.pose.count == 3 && abs($0.pose[2]) <= .pi })
    for row in rows { #expect(abs(row.orbit.reduce(0) { $0 + $1 * $1 } - 1) < 1e-4) }
    let csv = try canon("predict", path, folder, "--format", "csv").out.split(separator: "\n")
    #expect(csv.first == "file,pose1,pose2,pose3,orbit1,orbit2,orbit3" && csv.count == 3)
    #expect(try canon("predict", path, folder).out.contains("°"))
    #expect(try canon("predict", path, folder, "--out", temporary("latent-out")).status == 1)
  }

  @Test("evaluate measures the test part, as a table and as JSON; other commands say who does")
  func evaluates() throws {
    let path = try model(
      """
      data: {kind: scenes, scene: glyphs, count: 16, size: 8}
      model: {kind: class-pose}
      backbone: {kind: pose-cnn, width: 2}
      """, "latent-glyphs")
    let table = try canon("evaluate", path, "test")
    #expect(table.status == 0 && table.out.contains("hit-rate, 20 steps"))
    let json = try canon("evaluate", path, "test", "--json", "--limit", "40").out
    let figures = try JSONDecoder().decode([String: Double].self, from: Data(json.utf8))
    #expect(figures["examples"] == 40 && figures["pose error, median"] != nil)
    let verify = try canon("verify", path, "test")
    #expect(verify.status == 1 && verify.err.contains("canon evaluate"))
    let operators = try model(
      """
      data: {kind: polygons, order: 4, size: 8, shapes: 4}
      model: {kind: operators, dimension: 8}
      """, "latent-operators")
    #expect(try canon("evaluate", operators, "test").out.contains("second view, squared error"))
    for (latent, name) in [(path, "glyphs"), (operators, "operators")] {
      let sheet = temporary("traverse-\(name).png")
      #expect(try canon("traverse", latent, "test", "--out", sheet, "--pairs", "5").status == 0)
      let picture = try Image(path: sheet)
      // Five columns and three rows of 64 pixels, 4 between.
      #expect(picture.width == 5 * 68 + 4 && picture.height == 3 * 68 + 4)
    }
    let no = try canon(
      "traverse",
      URL(fileURLWithPath: digits).deletingLastPathComponent().path + "/model.safetensors", "test",
      "--out", temporary("x.png"))
    #expect(no.status == 1 && no.err.contains("canon inspect"))
    #expect(try canon("predict", operators, digits).err.contains("canon evaluate"))
  }
}
