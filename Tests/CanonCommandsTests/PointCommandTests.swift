import Foundation
import Images
import TensorCore
import Testing
import Training

@Suite struct PointCommandTests {
  @Test("A model of bodies is trained, asked, measured and drawn by the command") func bodies()
    throws
  {
    let folder = temporary("bodies")
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    let config = folder + "/bodies.yaml"
    try """
    data: {kind: bodies, points: 24, limit: 128}
    canonicalizer: {kind: vector-neurons, group: SO3, channels: 4, layers: 1}
    backbone: {kind: pointnet, width: 4}
    training: {epochs: 1, batch: 16}
    """.write(toFile: config, atomically: true, encoding: .utf8)
    let run = folder + "/run"
    let trained = try canon("train", config, "--out", run, "--test", "--quiet")
    #expect(trained.status == 0 && trained.out.contains("test error"))
    let verified = try canon("verify", run, "test", "--limit", "8", "--json")
    #expect(verified.status == 0 && verified.out.split(separator: "\n").count == 16)
    #expect(verified.out.contains("\"outputMaximum\":"))
    #expect(try canon("verify", run, "test", "--limit", "8", "--tolerance=-1").status == 1)
    #expect(try canon("verify", run, "test", "--limit", "8", "--group", "S").status == 0)
    #expect(try canon("verify", run, "test", "--group", "C8").status == 64)
    let evaluated = try canon("evaluate", run, "test", "--limit", "50")
    #expect(evaluated.status == 0 && evaluated.out.contains("test error"))
    #expect(try canon("info", run).out.contains("24 points in 3 dimensions"))
    let sheet = folder + "/sheet.png"
    #expect(try canon("inspect", run, "test", "--out", sheet, "--images", "2").status == 0)
    #expect(try Image(path: sheet).width > 400)
    // Sets of one's own.
    var random = RandomStream(seed: 1, name: "sets")
    let file = folder + "/sets.safetensors"
    try Safetensors(tensors: ["points": .normal([3, 24, 3], using: &random)]).write(to: file)
    let rows = try canon("predict", run, file, "--format", "csv").out.split(separator: "\n")
    #expect(rows.count == 4 && rows[0] == "set,class,probability,margin,ties")
    let forms = folder + "/forms.safetensors"
    #expect(try canon("predict", run, file, "--canonical", forms).status == 0)
    #expect(try Safetensors(path: forms).tensors["points"]?.shape == [3, 24, 3])
    #expect(try canon("predict", run, file, "--canonical", file).status == 1)
    // Bad input.
    try Safetensors(tensors: ["points": .zeros([3, 5, 3])]).write(to: file)
    let wrong = try canon("predict", run, file)
    #expect(wrong.status == 1 && wrong.err.contains("[count, 24, 3]"))
    #expect(try canon("predict", run, digits).status == 1)
    #expect(try canon("evaluate", run, file).status == 1)
    #expect(try canon("canonicalize", run, digits, folder + "/out").status == 1)
  }
}
