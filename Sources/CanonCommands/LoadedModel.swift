import Datasets
import Settings
import Symmetry
import Training

/// A model of a command, with the configuration that it came about by.
struct LoadedModel {
  let file: ModelFile
  let model: any Predictor
  let domain: any ReadableDomain

  /// - Throws: `WeightsError` or `CommandError`.
  init(_ path: String) throws {
    try self.init(try ModelFile(path: path, catalog: Canon.catalog))
  }

  /// - Throws: `WeightsError` or `CommandError`.
  init(_ file: ModelFile) throws {
    self.file = file
    model = try file.predictor()
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
  /// - Parameter isUpright: Whether upright poses are wanted, where the data have them.
  /// - Throws: An error of the data, in a sentence.
  func examples(
    _ path: String, limit: Int?, isUpright: Bool = false
  ) throws -> (examples: Examples, names: [String], failures: Failures) {
    var failures = Failures(domain.noun)
    let own = file.configuration.data
    if isUpright && path == "test" && own.upright == nil {
      throw CommandError(
        "The model's data, of kind '\(type(of: own).kind)', have no upright images; name a folder of them."
      )
    }
    let data = isUpright ? own.upright ?? own : own
    let seed = UInt64(file.configuration.seed)
    if let source = path == "test" ? data : data.located(at: path) {
      var found: Examples?
      if path == "test", let split = source as? any SplitOptions {
        // The parts follow from what there is: other data have other parts.
        let parts = try split.parts(seed: seed)
        failures.report(parts.learning.errors)
        let present = file.configuration.limited(parts.learning).fingerprint
        guard file.fingerprint == nil || file.fingerprint == present else {
          throw CommandError(
            "The model's data have changed since it was trained, so that a test part of them would hold examples that it "
              + "learned from; name other data, or train anew.")
        }
        found = parts.test
      } else {
        found = try source.test(seed: seed)
      }
      guard let test = found else {
        throw CommandError("The model's data, of kind '\(type(of: own).kind)', have no test part.")
      }
      let some = limit.map(test.prefix) ?? test
      return (some, (0..<some.count).map { "\(domain.noun.one) \($0)" }, failures)
    }
    let (all, names, errors) = try domain.examples(at: path, classNames: model.classNames)
    failures.report(errors)
    // Evenly from the whole: a folder is in the order of its classes.
    guard let limit, limit < all.count else { return (all, names, failures) }
    let places = (0..<limit).map { $0 * all.count / limit }
    return (all.gathered(places), places.map { names[$0] }, failures)
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
