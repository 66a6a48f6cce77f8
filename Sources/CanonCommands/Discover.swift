import ArgumentParser
import Datasets
import Foundation
import Images
import Symmetry
import TensorCore
import Training

struct Discover: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "discover",
    abstract: "Finds by which generator the images of pairs were moved, by unknown amounts.",
    discussion: """
      Pairs are a .safetensors file with `inputs` and `partner`, [count, height, width, channels]; or two folders of square pictures of \
      the same names. A generator is the direction in which affine maps begin: the rows of (A, t), six numbers of length 1, \
      lengths in halves of the side, y down. Told with it: how much of the pairs' differences it explains, and how much it \
      seems to explain of pairs that do not belong together; the nearest known direction; how far along it pairs lie.

      --out writes it as JSON, which --group of `canon measure` and `canon verify` reads, and whose numbers `generators` of the \
      canonicalizer energy and the backbone algebra-cnn take. --plot draws the orbits of the first images along it.

      EXAMPLES
        canon discover pairs.safetensors --out generator.json --plot orbits.png
        canon discover before after --generators 2
        canon measure runs/plain my-images --group generator.json
      """)

  @Argument(help: "A .safetensors file of pairs, or a folder of pictures.")
  var pairs: String

  @Argument(help: "The folder of what they were moved to, with the same names.")
  var partners: String?

  @Option(help: "How many generators there are; each pair belongs to one of them.")
  var generators = 1

  @Option(help: "Use the first so many pairs only.")
  var limit = 512

  @Option(help: "The side to which pictures of folders are brought, in pixels.")
  var size = 32

  @Option(help: "Where to write the generators, .json.")
  var out: String?

  @Option(help: "A picture of orbits along them, .png.")
  var plot: String?

  @Flag(help: "Print JSON instead of a table.")
  var json = false

  @OptionGroup var common: CommonOptions

  func validate() throws {
    try requireFlag("--limit", limit, atLeast: 4)
    guard (1...6).contains(generators) else {
      throw ValidationError("--generators must be from 1 to 6, not \(generators).")
    }
    guard (8...256).contains(size) else {
      throw ValidationError("--size must be from 8 to 256, not \(size).")
    }
    if let out, !out.hasSuffix(".json") {
      throw ValidationError("--out writes a file whose name ends in .json, not \(out).")
    }
    if let plot, !plot.hasSuffix(".png") {
      throw ValidationError("--plot writes a picture whose name ends in .png, not \(plot).")
    }
  }

  func run() throws {
    common.apply()
    for target in [out, plot].compactMap({ $0 }) {
      for input in [pairs, partners].compactMap({ $0 }) {
        try refuse(target, overwriting: input)
        try refuse(target, amongInputs: input)
      }
      try prepareFolder(Files.parent(of: target))
    }
    let (x, y, failures) = try read()
    let count = min(limit, x.shape[0])
    let (inputs, moved) = (x.sliced(0..<count), y.sliced(0..<count))
    let found: [FoundGenerator]
    do {
      found = try GeneratorDiscovery(count: generators).generators(of: inputs, moved)
    } catch {
      throw CommandError("\(pairs): \(error).")
    }
    let file = GeneratorFile(found)
    if json { try emit(file.jsonLine) } else { try emit(table(found)) }
    if let out { try writeFile(file.jsonLine + "\n", to: out) }
    if let plot { try orbits(inputs, found).write(to: plot) }
    if !common.quiet && !json {
      for (n, generator) in found.enumerated() where generator.explained < 0.8 {
        note(
          "Generator \(n + 1) leaves \((100 * (1 - generator.explained)).formatted(0)) % of its pairs' differences: there may be more than one direction (--generators \(generators + 1)), or more than affine maps."
        )
      }
      if found.count < generators {
        note(
          "Only \(found.count) of \(generators) \(found.count == 1 ? "explains" : "explain") more of some pairs than chance does."
        )
      }
      let numbers = found.flatMap(\.tangent).map { $0.formatted(5) }.joined(separator: ", ")
      note("In a configuration: generators: [\(numbers)]")
    }
    try failures.finish()
  }

  private func table(_ found: [FoundGenerator]) -> String {
    CanonCommands.table(
      ["generator", "pairs", "explained", "by chance", "nearest known", "angle to it", "that is"],
      found.map { generator in
        let nearest = GeneratorFile.nearest(generator.tangent)
        let sorted = generator.amounts.sorted()
        return [
          generator.tangent.map { $0.formatted(3) }.joined(separator: " "),
          "\(generator.pairs.count)", (100 * generator.explained).formatted(1) + " %",
          (100 * generator.null).formatted(1) + " %", nearest.name,
          (nearest.angle * 180 / .pi).formatted(2) + "°",
          GeneratorFile.words(generator.tangent, sorted[0], sorted[sorted.count - 1]),
        ]
      })
  }

  /// The first images, moved along each generator from end to end of what pairs have shown.
  private func orbits(_ x: Tensor, _ found: [FoundGenerator]) -> Image {
    let (most, steps) = (4, 9)
    let shown = found.flatMap { generator in generator.pairs.prefix(most).map { (generator, $0) } }
    var sheet = ContactSheet(rows: shown.count, columns: steps)
    for (row, (generator, pair)) in shown.enumerated() {
      let reach = generator.amounts.map(abs).max() ?? 1
      let group = generator.group
      let places = (0..<steps).map { reach * (2 * Double($0) / Double(steps - 1) - 1) }
      let copies = x.gathered([Int](repeating: pair, count: steps))
      let moved = AffineImageAction(group).act(places.map { group.exp([$0]) }, on: copies)
      for column in 0..<steps { sheet.place(Image(moved[column]), row: row, column: column) }
    }
    return sheet.image
  }

  private func read() throws -> (x: Tensor, y: Tensor, failures: Failures) {
    let domain = ImageDomain(size: size)
    if pairs.hasSuffix(".safetensors") {
      guard partners == nil else {
        throw ValidationError("A file has its partners in it: name two folders, or one file.")
      }
      guard Files.isRegular(pairs) else { throw CommandError("There is no file \(pairs).") }
      let file = try Safetensors(path: pairs)
      guard let x = file.tensors["inputs"], let y = file.tensors["partner"], x.shape == y.shape,
        x.shape.rank == 4, x.shape.count > 0
      else {
        throw CommandError(
          "\(pairs) needs `inputs` and `partner` of one shape, [count, height, width, channels].")
      }
      return (x, y, Failures(domain.noun))
    }
    guard let partners else {
      throw ValidationError("Name the folder of what \(pairs) was moved to, too.")
    }
    var failures = Failures(domain.noun)
    let (first, names, errors) = try domain.examples(at: pairs, classNames: [])
    let (second, others, otherErrors) = try domain.examples(at: partners, classNames: [])
    failures.report(errors + otherErrors)
    let places = Dictionary(others.enumerated().map { ($0.element, $0.offset) }) { a, _ in a }
    let both = names.indices.compactMap { n in places[names[n]].map { (n, $0) } }
    guard !both.isEmpty else {
      throw CommandError("\(pairs) and \(partners) have no picture of the same name.")
    }
    let loose = names.count + others.count - 2 * both.count
    if loose > 0 {
      note("Note: \(loose) of their pictures have no partner of the same name, and are left out.")
    }
    return (
      first.inputs.gathered(both.map(\.0)), second.inputs.gathered(both.map(\.1)), failures
    )
  }
}
