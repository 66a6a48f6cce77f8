import Foundation
import TensorCore

/// The models that come with the program, found by their names.
///
/// They lie as `NAME.safetensors` in the folder that `CANON_MODELS` names, in `share/canon/models` beside the program's
/// `bin`, or in `models` in a folder above the program, as in this repository.
public enum ShippedModels {
  /// The folders that are there, in the order in which they are looked in.
  public static let folders: [String] = {
    var found: [String] = []
    if let own = ProcessInfo.processInfo.environment["CANON_MODELS"], !own.isEmpty {
      found.append(own)
    }
    var folder = Files.real("/proc/self/exe").map(Files.parent(of:)) ?? ""
    for _ in 0..<5 where folder.utf8.count > 1 {
      folder = Files.parent(of: folder)
      found += ["\(folder)/share/canon/models", "\(folder)/models"]
    }
    return found.filter(Files.isFolder)
  }()

  /// The file of a name, where there is one; what has a slash or a dot is a path, and no name.
  public static func path(of name: String) -> String? {
    guard !name.isEmpty, !name.contains("/"), !name.contains(".") else { return nil }
    return folders.lazy.map { "\($0)/\(name).safetensors" }.first(where: Files.isRegular)
  }

  /// The names of all that there are, in order.
  public static var names: [String] {
    let ending = ".safetensors"
    let all = folders.flatMap { Files.names(in: $0) ?? [] }.filter { $0.hasSuffix(ending) }
    return Set(all.map { String($0.dropLast(ending.count)) }).sorted()
  }
}
