import Datasets
import Disentanglement
import Foundation
import Settings
import TensorCore

/// Codes and factors as a file has them.
struct CodeTable {
  private let codes: [[Double]]
  private let dimensions: [String]
  private let factors: [[Double]]
  private let names: [String]

  /// Reads a .safetensors file, or else a CSV file.
  ///
  /// - Parameters:
  ///   - factors: Those that are wanted; of a .safetensors file all by default.
  ///   - dimensions: The columns of codes that are wanted, all that are no factors by default.
  init(path: String, factors: [String]?, dimensions: [String]?) throws {
    guard Files.isRegular(path) else {
      throw CommandError(
        "There is no file \(path); give a .safetensors file, or a CSV file with a header.")
    }
    if path.lowercased().hasSuffix(".safetensors") {
      try self.init(Safetensors(path: path), path, factors, dimensions)
    } else {
      try self.init(csv: path, factors, dimensions)
    }
  }

  /// What is measured, continuous factors in bins where there are some.
  func labeled(bins: Int?) throws(DisentanglementError) -> LabeledCodes {
    try LabeledCodes(
      Codes(codes, names: dimensions), Factors(binning: factors, bins: bins ?? .max, names: names))
  }

  private init(
    _ file: Safetensors, _ path: String, _ factors: [String]?, _ dimensions: [String]?
  ) throws {
    guard dimensions == nil else {
      throw CommandError("--dimensions names columns of a CSV file; \(path) has none.")
    }
    func rows(_ name: String) throws -> [[Double]] {
      guard let tensor = file.tensors[name], tensor.shape.rank == 2 else {
        throw CommandError(
          "\(path) needs a tensor '\(name)' of shape [count, \(name == "codes" ? "dimensions" : "factors")]\(file.tensors[name].map { ", not \($0.shape)" } ?? "")."
        )
      }
      let (width, elements) = (tensor.shape[1], tensor.elements.map(Double.init))
      return (0..<tensor.shape[0]).map { Array(elements[$0 * width..<($0 + 1) * width]) }
    }
    let (codes, all) = (try rows("codes"), try rows("factors"))
    let count = all.first?.count ?? 0
    let known =
      file.metadata["factors"]?.split(separator: ",").map {
        $0.trimmingCharacters(in: .whitespaces)
      } ?? (0..<count).map { "factor\($0 + 1)" }
    guard known.count == count else {
      throw CommandError("\(path) names \(known.count) factors and has \(count).")
    }
    let wanted = try (factors ?? known).map { try place(of: $0, in: known, path) }
    self.codes = codes
    self.dimensions = (0..<(codes.first?.count ?? 0)).map { "z\($0)" }
    self.factors = all.map { row in wanted.map { row[$0] } }
    names = wanted.map { known[$0] }
  }

  private init(csv path: String, _ factors: [String]?, _ dimensions: [String]?) throws {
    guard let factors else {
      throw CommandError(
        "Name the columns of \(path) that are factors: --factors shape,scale; the others are codes."
      )
    }
    guard let lines = Lines(of: path) else {
      throw CommandError("\(path) cannot be read; check its permission.")
    }
    var rows: [[String]] = []
    // Where rows stand: empty lines are none.
    var (places, number) = ([Int](), 0)
    while let line = lines.next() {
      let cells = CodeTable.cells(String(decoding: line, as: UTF8.self))
      number += 1
      if cells == [""] { continue }
      rows.append(cells)
      places.append(number)
      if let header = rows.first, cells.count != header.count {
        throw CommandError(
          "Line \(number) of \(path) has \(cells.count) cells, its header \(header.count).")
      }
    }
    try lines.check(path)
    guard let header = rows.first, rows.count > 1 else {
      throw CommandError("\(path) has no rows below a header.")
    }
    let wanted = try factors.map { try place(of: $0, in: header, path) }
    // What `canon predict` calls inputs by is no code.
    let others = header.indices.filter { !wanted.contains($0) && header[$0] != "file" }
    let columns =
      try dimensions.map { try $0.map { try place(of: $0, in: header, path) } } ?? others
    let body = rows.dropFirst()
    codes = try body.enumerated().map { n, row in
      try columns.map { column in
        guard let number = Double(row[column]), number.isFinite else {
          throw CommandError(
            "\(header[column]) is no number in line \(places[n + 1]) of \(path): '\(row[column])'. Name the columns that are codes with --dimensions, or a factor with --factors."
          )
        }
        return number
      }
    }
    self.dimensions = columns.map { header[$0] }
    let values = try wanted.map { column in
      try CodeTable.values(body.map { $0[column] }, header[column], path, places)
    }
    self.factors = (0..<body.count).map { row in values.map { $0[row] } }
    names = wanted.map { header[$0] }
  }

  /// The cells of a line; quoted ones may hold commas.
  private static func cells(_ line: String) -> [String] {
    var (cells, isQuoted) = ([""], false)
    // A mark of the order of bytes, and what Windows ends lines with.
    for scalar in line.unicodeScalars where scalar != "\u{FEFF}" && scalar != "\r" {
      if scalar == "\"" {
        isQuoted.toggle()
      } else if scalar == "," && !isQuoted {
        cells.append("")
      } else {
        cells[cells.count - 1].unicodeScalars.append(scalar)
      }
    }
    return cells.map { $0.trimmingCharacters(in: .whitespaces) }
  }

  /// The values of a factor: numbers, or words numbered in their order.
  private static func values(_ cells: [String], _ name: String, _ path: String, _ places: [Int])
    throws -> [Double]
  {
    let numbers = cells.map { Double($0) }
    if numbers.contains(where: { $0 != nil }) || cells.contains("") {
      if let row = numbers.firstIndex(where: { !($0?.isFinite ?? false) }) {
        throw CommandError(
          "The factor \(name) is no number in line \(places[row + 1]) of \(path): '\(cells[row])'; give numbers in all rows, or words in all."
        )
      }
      return numbers.compactMap { $0 }
    }
    let order = Dictionary(
      uniqueKeysWithValues: Set(cells).sorted().enumerated().map { ($1, Double($0)) })
    return cells.compactMap { order[$0] }
  }
}

/// Where a name stands among others.
private func place(of name: String, in names: [String], _ path: String) throws -> Int {
  let places = names.indices.filter { names[$0] == name }
  guard places.count < 2 else { throw CommandError("\(path) has two columns \(name).") }
  guard let place = places.first else {
    throw CommandError(
      "\(path) has no column '\(name)'; it has \(names.joined(separator: ", ")).")
  }
  return place
}
