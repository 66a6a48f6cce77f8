public import Settings
public import Symmetry

extension Keys {
  /// The images that a component is to see.
  ///
  /// - Throws: `SettingsError` where the domain is another one.
  public func images(_ domain: any Domain, _ kind: String) throws(SettingsError) -> ImageDomain {
    guard let images = domain as? ImageDomain else {
      throw failure("'\(kind)' is for images, not for \(domain.text)")
    }
    return images
  }

  /// The sets that a component is to see.
  ///
  /// - Throws: `SettingsError` where the domain is another one.
  public func sets(_ domain: any Domain, _ kind: String) throws(SettingsError) -> SetDomain {
    guard let sets = domain as? SetDomain else {
      throw failure("'\(kind)' is for sets of points, not for images of \(domain.text)")
    }
    return sets
  }
}
