import ArgumentParser
import Canon
import CanonCommands
import Foundation

/// A kind of file that somebody else may have made: inputs of it, and the commands that read them.
struct Kind: Sendable {
  let name: String
  /// Prepares a folder, and gives the inputs that others are made of.
  let seeds: @Sendable (String) throws -> [Bytes]
  /// Changes an input.
  let mutate: @Sendable (Bytes, Bytes, inout Dice) -> Bytes
  /// Uses an input in the folder as commands do.
  let use: @Sendable (Bytes, String, Int) throws -> Void
}

/// How many commands came to their end: what is refused at once tests nothing behind it.
nonisolated(unsafe) var completed = 0

/// Runs a command in this process; what it refuses is no failure here.
func canon(_ arguments: String...) {
  do {
    var command = try Canon.parseAsRoot(arguments + ["--quiet", "--memory", "\(memoryLimit)"])
    try command.run()
    completed += 1
  } catch {}
}

/// In MiB.
let memoryLimit = 64

private let canonicalizers = [
  "{kind: learned, group: C4, kernel: 5, layers: 2, channels: 2}",
  "{kind: learned, group: C8, kernel: 18, layers: 1, channels: 1, gradient: mixture}",
  "{kind: orbit, group: C4, channels: 2, features: 2}", "{kind: steerable, channels: 2}",
  "{kind: energy, group: SO2, channels: 2, descents: 2, steps: 2}",
  "{kind: pca-learned, channels: 2}",
  "[learned-center, scale, {kind: pca, average: 2}]",
  "{kind: learned, group: D4, kernel: 3, layers: 1, channels: 1, average: 2}",
]

private func picture(_ side: Int, _ channels: Int, depth: Int = 8, seed: UInt64) -> Image {
  var random = RandomStream(seed: seed, name: "fuzz")
  let top = depth == 8 ? 255 : 65535
  return Image(
    width: side, height: side + 1, channels: channels, bitDepth: depth,
    samples: (0..<side * (side + 1) * channels).map { _ in
      UInt16.random(in: 0...UInt16(top), using: &random)
    })
}

/// Pictures of two classes, and a configuration of a model that learns them in one step.
private func prepareRun(_ folder: String, _ canonicalizer: String) throws -> RunConfiguration {
  for n in 0..<8 {
    try FileManager.default.createDirectory(
      atPath: "\(folder)/data/\(n % 2)", withIntermediateDirectories: true)
    try picture(8, 1, seed: UInt64(n)).write(to: "\(folder)/data/\(n % 2)/\(n).png")
  }
  return try RunConfiguration(
    text: """
      data: {kind: folder, path: \(folder)/data}
      input: {size: 18, channels: 1}
      canonicalizer: \(canonicalizer)
      backbone: {kind: mlp, width: 4}
      training: {epochs: 1, batch: 4}
      """, source: "fuzz")
}

private func models(_ folder: String) throws -> [Bytes] {
  try canonicalizers.map { canonicalizer in
    let configuration = try prepareRun(folder, canonicalizer)
    let model = try configuration.makeModel(classNames: ["0", "1"])
    try model.safetensors(configuration, classNames: ["0", "1"]).write(
      to: "\(folder)/seed.safetensors")
    return try bytes("\(folder)/seed.safetensors")
  }
}

/// Changes the header, or the numbers; often so that the lengths still fit, and sometimes numbers to huge ones.
private func mutatedTensors(_ seed: Bytes, _ other: Bytes, _ dice: inout Dice) -> Bytes {
  guard seed.count > 8, dice.roll(10) > 1 else { return mutated(seed, with: other, &dice) }
  let declared = seed[0..<8].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
  let length = Int(min(UInt64(seed.count - 8), declared))
  var (header, body) = (Bytes(seed[8..<8 + length]), Bytes(seed[(8 + length)...]))
  if dice.roll(3) > 0 {
    header = mutated(header, with: Bytes(other.prefix(4096)), &dice)
  } else {
    let values: [Float] = [1e18, -1e18, 3e38, -3e38, 1e-38, .nan, .infinity, 0]
    let value = values[dice.roll(values.count)]
    let share = [1, 8, body.count / 8, body.count / 4][dice.roll(4)]
    for _ in 0..<share where body.count >= 4 {
      let at = dice.roll(body.count / 4) * 4
      let bits = (dice.roll(2) == 0 ? value : -value).bitPattern
      for k in 0..<4 { body[at + k] = UInt8(truncatingIfNeeded: bits >> (8 * UInt32(k))) }
    }
  }
  return withLength(header: header, body: body)
}

let kinds: [Kind] =
  [
    Kind(
      name: "png",
      seeds: { folder in
        try FileManager.default.createDirectory(
          atPath: "\(folder)/in", withIntermediateDirectories: true)
        var all: [Bytes] = []
        for (channels, depth) in [(1, 8), (2, 8), (3, 8), (4, 8), (1, 16), (4, 16)] {
          var image = picture(9, channels, depth: depth, seed: UInt64(channels))
          // An orientation, a resolution and a text.
          func chunk(_ type: String, _ data: Bytes) -> Bytes {
            let body = Bytes(type.utf8) + data
            func big(_ n: UInt32) -> Bytes {
              (0..<4).map { UInt8(truncatingIfNeeded: n >> (24 - 8 * UInt32($0))) }
            }
            return big(UInt32(data.count)) + body + big(checksum(body))
          }
          let exif: Bytes =
            Bytes("MM".utf8) + [
              0, 42, 0, 0, 0, 8, 0, 1, 1, 18, 0, 3, 0, 0, 0, 1, 0, UInt8(1 + channels), 0, 0, 0, 0,
              0,
              0,
            ]
          image.metadata = Metadata(
            chunks: chunk("pHYs", [0, 0, 11, 19, 0, 0, 11, 19, 1]) + chunk("eXIf", exif)
              + chunk("tEXt", Bytes("Title".utf8) + [0] + Bytes("fuzz".utf8)))
          try image.write(to: "\(folder)/seed.png")
          all.append(try bytes("\(folder)/seed.png"))
        }
        // A palette with transparency, interlaced.
        return all
      },
      mutate: { seed, other, dice in
        // Half of them keep the pixels, and change what stands before them.
        let pixels =
          dice.roll(2) == 0
          ? nil : seed.indices.first { seed[$0...].starts(with: Bytes("IDAT".utf8)) }
        let start = pixels.map { max(0, $0 - 4) } ?? seed.count
        let changed = mutated(Bytes(seed[..<start]), with: other, &dice) + seed[start...]
        return dice.roll(4) > 0 ? withChecksums(changed) : changed
      },
      use: { input, folder, n in
        put(input, "\(folder)/in/x.png")
        canon("canonicalize", n % 2 == 0 ? "pca-sign" : "gradient", "\(folder)/in", "\(folder)/out")
      }),
    Kind(
      name: "jpeg",
      seeds: { folder in
        try FileManager.default.createDirectory(
          atPath: "\(folder)/in", withIntermediateDirectories: true)
        return try [1, 3].map { channels in
          var image = picture(19, channels, seed: UInt64(channels))
          image.metadata.append("tEXt", Bytes("Comment\0fuzz".utf8))
          image.metadata.append(
            "eXIf",
            Bytes("MM".utf8) + [
              0, 42, 0, 0, 0, 8, 0, 1, 1, 18, 0, 3, 0, 0, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0,
            ])
          image.metadata.profile = Bytes(repeating: 7, count: 200)
          try image.write(to: "\(folder)/seed.jpg")
          return try bytes("\(folder)/seed.jpg")
        }
      },
      mutate: { seed, other, dice in mutated(seed, with: other, &dice) },
      use: { input, folder, n in
        put(input, "\(folder)/in/x.jpg")
        canon("canonicalize", n % 2 == 0 ? "pca-sign" : "gradient", "\(folder)/in", "\(folder)/out")
      }),
    Kind(
      name: "safetensors", seeds: models, mutate: mutatedTensors,
      use: { input, folder, n in
        put(input, "\(folder)/model.safetensors")
        switch n % 4 {
        case 0: canon("info", "\(folder)/model.safetensors")
        case 1: canon("verify", "\(folder)/model.safetensors", "\(folder)/data", "--limit", "1")
        default: canon("predict", "\(folder)/model.safetensors", "\(folder)/data/0/0.png")
        }
      }),
    Kind(
      name: "idx",
      seeds: { folder in
        try models(folder).first.map { put($0, "\(folder)/model.safetensors") }
        put([0, 0, 8, 1, 0, 0, 0, 3, 0, 1, 1], "\(folder)/labels-idx1-ubyte")
        let plain: Bytes =
          [0, 0, 8, 3, 0, 0, 0, 3, 0, 0, 0, 9, 0, 0, 0, 8] + (0..<216).map { UInt8($0) }
        return [plain, packed(plain)]
      },
      mutate: { seed, other, dice in
        guard seed.starts(with: [0x1F, 0x8B]), seed.count > 23 else {
          return mutated(seed, with: other, &dice)
        }
        // What is packed, or the packing.
        return dice.roll(2) == 0
          ? mutated(seed, with: other, &dice)
          : packed(mutated(Bytes(seed[15..<seed.count - 8]), with: other, &dice))
      },
      use: { input, folder, n in
        if n % 3 == 0 {
          // As labels.
          let plain: Bytes =
            [0, 0, 8, 3, 0, 0, 0, 3, 0, 0, 0, 9, 0, 0, 0, 8] + (0..<216).map { UInt8($0) }
          put(plain, "\(folder)/images-idx3-ubyte")
          put(input, "\(folder)/labels")
          canon("train", "\(folder)/idx.yaml", "--out", "\(folder)/run", "--profile")
        } else {
          put(input, "\(folder)/images-idx3-ubyte")
          canon(
            n % 3 == 1 ? "predict" : "evaluate", "\(folder)/model.safetensors",
            "\(folder)/images-idx3-ubyte")
        }
      }),
    Kind(
      name: "manifest",
      seeds: { folder in
        try FileManager.default.createDirectory(
          atPath: "\(folder)/in/a", withIntermediateDirectories: true)
        for n in 0..<2 { try picture(9, 4, seed: UInt64(n)).write(to: "\(folder)/in/a/\(n).png") }
        return try ["pca-sign", "center", "scale", "pca-sign"].enumerated().map { n, kind in
          try? FileManager.default.removeItem(atPath: "\(folder)/canonical")
          canon(
            "canonicalize", kind, "\(folder)/in", "\(folder)/canonical", "--canvas",
            n == 3 ? "crop" : "grow")
          return try bytes("\(folder)/canonical/manifest.jsonl")
        }
      },
      mutate: { seed, other, dice in
        // Half of them change numbers alone.
        guard dice.roll(2) == 0 else { return mutated(seed, with: other, &dice) }
        var text = seed
        let digits = text.indices.filter { (0x31...0x39).contains(text[$0]) }
        for _ in 0..<(1 + dice.roll(3)) where !digits.isEmpty {
          text[digits[dice.roll(digits.count)]] = UInt8(0x30 + dice.roll(10))
        }
        return text
      },
      use: { input, folder, _ in
        put(input, "\(folder)/canonical/manifest.jsonl")
        canon("restore", "\(folder)/canonical", "\(folder)/back")
      }),
    Kind(
      name: "checkpoint",
      seeds: { folder in
        let configuration = try prepareRun(folder, canonicalizers[0])
        try configuration.yaml.write(
          toFile: "\(folder)/run.yaml", atomically: false, encoding: .utf8)
        var run = try TrainingRun(configuration, folder: "\(folder)/run")
        try run.train()
        return [try bytes("\(folder)/run/checkpoint.safetensors")]
      }, mutate: mutatedTensors,
      use: { input, folder, _ in
        put(input, "\(folder)/run/checkpoint.safetensors")
        canon("train", "\(folder)/run.yaml", "--out", "\(folder)/run", "--resume")
      }),
    networks,
  ] + moreKinds
