import Datasets
import Images
import Settings
import Symmetry
import TensorCore
import Training

/// A model of a command, with the configuration that it came about by.
struct LoadedModel {
  let file: ModelFile
  let model: any Predictor
  let domain: any ReadableDomain

  /// - Throws: `WeightsError` or `CommandError`.
  init(_ path: String) throws {
    let file = try ModelFile(path: path, catalog: Canon.catalog)
    try self.init(file, try file.model())
  }

  /// `made`: The model of the file.
  /// - Throws: `WeightsError` or `CommandError`.
  init(_ file: ModelFile, _ made: any TrainableModel) throws {
    self.file = file
    model = try file.predictor(made)
    domain = try readable(model.domain)
  }

  /// The inputs to predict from: of a path, or of the word `test` the test part of the model's data.
  ///
  /// - Parameter limit: How many of the test part are read.
  /// - Throws: An error of the data, in a sentence.
  func source(_ path: String, limit: Int? = nil) throws -> any InputSource {
    path == "test"
      ? TensorSource(try examples("test", limit: limit).examples.inputs) : try domain.open(path)
  }

  /// Examples for the model: of the word `test`, or of a place where more of its data are, the test part; else
  /// what its domain reads there.
  ///
  /// - Parameters:
  ///   - isUpright: Whether upright poses are wanted, where the data have them.
  ///   - needsClasses: Whether images of a folder without a class are left out, and folders of other classes refused.
  /// - Throws: An error of the data, in a sentence.
  func examples(
    _ path: String, limit: Int?, isUpright: Bool = false, needsClasses: Bool = false
  ) throws -> (examples: Examples, names: [String], failures: Failures) {
    var failures = Failures(domain.noun)
    let own = file.configuration.data
    if isUpright && path == "test" && own.upright == nil {
      throw CommandError(
        "The model's data, of kind '\(type(of: own).kind)', have no upright images; name a folder of them."
      )
    }
    if path == "test", (own as? FolderOptions)?.path.isEmpty == true {
      throw CommandError(
        "\(file.path) was wrapped, not trained: it has no data, and so no test part; name a folder."
      )
    }
    let data = isUpright ? own.upright ?? own : own
    let seed = UInt64(file.configuration.seed)
    if let source = path == "test" ? data : data.located(at: path) {
      var found: Examples?
      do {
        if path == "test", let split = source as? any SplitOptions {
          let parts = try file.testPart(split)
          failures.report(parts.errors)
          found = parts.test
        } else {
          found = try source.test(seed: seed)
        }
      } catch let error as DatasetError where path == "test" {
        throw CommandError(
          "The test part of the model's data cannot be had: \(error) It is looked for where the model's configuration says, from "
            + "the folder that the command is given in; name data in place of the word test.")
      }
      guard let test = found else {
        throw CommandError("The model's data, of kind '\(type(of: own).kind)', have no test part.")
      }
      let some = limit.map(test.prefix) ?? test
      return (some, (0..<some.count).map { "\(domain.noun.one) \($0)" }, failures)
    }
    var (all, names, errors) = try domain.examples(at: path, classNames: model.classNames)
    failures.report(errors)
    if needsClasses, all.labels.isEmpty {
      (all, names) = try classified(all, names, path)
    }
    // Evenly from the whole: a folder is in the order of its classes.
    guard let limit, limit < all.count else { return (all, names, failures) }
    let places = (0..<limit).map { $0 * all.count / limit }
    return (all.gathered(places), places.map { names[$0] }, failures)
  }
}

extension Predictor {
  /// The canonicalized model that it is, or that a relaxed one adds to; `nil` of other families.
  var canonicalized: CanonicalizedModel? {
    self as? CanonicalizedModel ?? (self as? RelaxedModel)?.base
  }
}

extension LoadedModel {
  /// Refuses a model that tells nothing but poses, where outputs are to be measured.
  func requireOutputs() throws {
    guard model.task.presentation == .poses else { return }
    throw CommandError(
      "\(file.path) tells nothing but poses: `canon calibrate` measures them on upright images, `canon verify` how they follow."
    )
  }

  /// The images of a folder that lie in a class's folder, with their classes.
  ///
  /// - Throws: `CommandError` where folders are no classes of the model.
  private func classified(
    _ all: Examples, _ names: [String], _ path: String
  ) throws -> (Examples, [String]) {
    let classes = ImageFolder.classes(of: names).map(\.name)
    // A set's members, or a folder without folders, have no classes: the task says so.
    guard !classes.isEmpty, Files.isFolder(path) || TarArchive.isArchive(path) || path == "-" else {
      return (all, names)
    }
    func short(_ names: [String]) -> String {
      let first = names.prefix(12).map(\.visible).joined(separator: ", ")
      return names.count > 12 ? "\(first) and \(names.count - 12) more" : first
    }
    let unknown = classes.filter { name in
      !model.classNames.contains { $0.isSameName(as: name) }
    }
    guard unknown.isEmpty else {
      let alike = unknown.contains { name in model.classNames.contains { $0 == name } }
      throw CommandError(
        "\(path) has folders that are no classes of the model: \(short(unknown)); its classes are "
          + "\(short(model.classNames))."
          + (alike
            ? " Names are compared by their bytes: some only look alike."
            : " Rename them, or leave them out."))
    }
    let places = names.indices.filter { ImageFolder.className(of: names[$0]) != nil }
    let labels = places.compactMap { place in
      ImageFolder.className(of: names[place]).flatMap { name in
        model.classNames.firstIndex { $0.isSameName(as: name) }
      }
    }
    let loose = names.count - places.count
    if loose > 0 {
      note(
        "Note: \(loose) \(loose == 1 ? "image lies" : "images lie") in no class's folder, and \(loose == 1 ? "is" : "are") left out."
      )
    }
    return (
      Examples(inputs: all.inputs.gathered(places), labels: labels), places.map { names[$0] }
    )
  }
}

extension ModelFile {
  /// The test part of data that are split, where they are those that the model was trained on.
  ///
  /// - Throws: `CommandError` where they have changed: parts follow from what there is, and other data have other parts.
  func testPart(_ split: any SplitOptions) throws -> (test: Examples?, errors: [any Error]) {
    let parts = try split.parts(seed: UInt64(configuration.seed))
    try refuseChanged(configuration.limited(parts.learning))
    return (parts.test, parts.learning.errors)
  }

  /// Refuses data that are not those that the model was trained on: a test part of them would be another one.
  func refuseChanged(_ data: Dataset) throws {
    let present = data.fingerprint
    guard fingerprint == nil || fingerprint == present else {
      throw CommandError(
        "The model's data have changed since it was trained, so that a test part of them would hold examples that it "
          + "learned from; name other data, or train anew.")
    }
  }
}

/// The domain as one whose inputs are read from files.
///
/// - Throws: `CommandError` where they cannot be.
func readable(_ domain: any Domain) throws -> any ReadableDomain {
  guard let readable = domain as? any ReadableDomain else {
    throw CommandError("Inputs of \(domain.text) cannot be read from files.")
  }
  return readable
}
