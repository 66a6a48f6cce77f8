/// The settings of one component: its word in YAML, and every default.
///
/// Each kind of component refines it with what it makes and how its keys are read: canonicalizers,
/// backbones, datasets, tasks, families of models.
public protocol Options: Sendable {
  /// Its word in YAML, as in `{kind: learned}`.
  static var kind: String { get }

  /// What it is, in a sentence.
  static var summary: String { get }

  /// All defaults.
  init()
}

extension Keys {
  /// Reads the key `kind`: which of some types of options a mapping is for.
  ///
  /// `fallback`: The kind where the key is missing.
  public mutating func options<P>(
    among types: [P], kind: (P) -> String, default fallback: String
  ) throws(SettingsError) -> P {
    var word = fallback
    try read("kind", &word, among: types.map(kind))
    guard let type = types.first(where: { kind($0) == word }) else {
      throw failure("there is no kind '\(word)'")
    }
    return type
  }
}
