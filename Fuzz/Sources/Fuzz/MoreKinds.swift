import Canon
import CanonCommands
import Foundation

private func picture(_ seed: UInt64, _ channels: Int = 1) -> Image {
  var random = RandomStream(seed: seed, name: "more")
  return Image(
    width: 9, height: 7, channels: channels,
    samples: (0..<63 * channels).map { _ in UInt16.random(in: 0...255, using: &random) })
}

private func folder(_ path: String) throws -> String {
  try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  return path
}

/// A file of pictures that is brought into canonical pose.
private func pictures(
  _ name: String, _ file: String, _ seeds: @escaping @Sendable (String) throws -> [Bytes]
)
  -> Kind
{
  Kind(
    name: name, seeds: seeds, mutate: { seed, other, dice in mutated(seed, with: other, &dice) },
    use: { input, path, _ in
      put(input, try folder("\(path)/in") + "/" + file)
      try? FileManager.default.removeItem(atPath: "\(path)/out")
      canon("canonicalize", "pca-sign", "\(path)/in", "\(path)/out", "--group", "C4")
    })
}

/// Pages, archives, configurations, and what a job has done.
let moreKinds: [Kind] = [
  pictures("tiff", "x.tif") { path in
    let parts = try (0..<2).map { n in
      let part = "\(path)/\(n).tif"
      try picture(UInt64(n), n == 0 ? 1 : 3).write(to: part)
      return part
    }
    _ = try ImageCodecs.join(parts, to: "\(path)/both.tif")
    return try (parts + ["\(path)/both.tif"]).map(bytes)
  },
  pictures("webp", "x.webp") { _ in
    try ["lossy", "alpha", "animated"].map { try bytes("Tests/ImagesTests/Fixtures/\($0).webp") }
  },
  pictures("tar", "x.tar") { path in
    try picture(1).write(to: "\(path)/a.png")
    let writer = try TarWriter(path: "\(path)/seed.tar")
    for name in ["a.png", "sub/b.png", String(repeating: "long/", count: 40) + "c.png"] {
      try writer.add("\(path)/a.png", as: name)
    }
    try writer.finish()
    return [try bytes("\(path)/seed.tar")]
  },
  Kind(
    name: "yaml",
    seeds: { path in
      for n in 0..<4 {
        try picture(UInt64(n)).write(to: try folder("\(path)/data/\(n % 2)") + "/\(n).png")
      }
      return [
        "data: {kind: folder, path: \(path)/data}\ninput: {size: 8}\nbackbone: {kind: mlp, width: 2}\ntraining: {epochs: 1, batch: 2, pieces: 2}\n",
        "name: a\ndata: {kind: drawn, count: 16}\ncanonicalizer:\n  - center\n  - {kind: learned, group: C4, layers: 1, channels: 1}\ntask: keypoints\n",
        "model: {kind: class-pose}\ndata: {kind: folder, path: \(path)/data}\n",
      ].map { Bytes($0.utf8) }
    },
    mutate: { seed, other, dice in mutated(seed, with: other, &dice) },
    use: { input, _, _ in
      // Read alone: what a configuration asks for may take its time.
      _ = try? RunConfiguration(text: String(decoding: input, as: UTF8.self), source: "fuzz")
      completed += 1
    }),
  Kind(
    name: "journal",
    seeds: { path in
      for n in 0..<3 { try picture(UInt64(n)).write(to: try folder("\(path)/in") + "/\(n).png") }
      canon("canonicalize", "identity", "\(path)/in", "\(path)/out")
      return [
        Bytes(
          "canon journal 1: {\"command\":\"canonicalize\"}\n{\"name\":\"0.png\",\"input\":[1,2,3,4,5],\"file\":\"0.png\",\"output\":[1,2,3,4,5]}\t{\"file\":\"0.png\"}\n"
            .utf8),
        try bytes("\(path)/out/.canon"),
      ]
    },
    mutate: { seed, other, dice in mutated(seed, with: other, &dice) },
    use: { input, path, n in
      let name = [
        ".canon-journal.jsonl", ".canon", ".canon-merged.jsonl", "manifest-1-of-1.jsonl",
      ][n % 4]
      put(input, "\(path)/out/\(name)")
      canon("canonicalize", "identity", "\(path)/in", "\(path)/out")
      canon("merge", "\(path)/out")
      try? FileManager.default.removeItem(atPath: "\(path)/out/\(name)")
    }),
]
