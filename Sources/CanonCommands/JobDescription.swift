import ArgumentParser
import TensorCore

/// What outputs follow from, inputs aside: jobs of the same description make the same of the same inputs, on every machine.
struct JobDescription {
  /// One line of JSON.
  let text: String
  /// Whether it goes on where it was stopped; otherwise it begins anew.
  let goesOn: Bool

  init(_ command: String, goesOn: Bool = true, _ values: [String: String]) {
    text =
      values.merging(["command": command, "version": Canon.configuration.version]) { $1 }.jsonLine
    self.goesOn = goesOn
  }

  /// That of a job which writes images in canonical pose.
  ///
  /// - Parameter model: The file of the model that finds the poses, if there is one.
  init(
    _ command: String, goesOn: Bool = true, _ header: Manifest.Header, _ pictures: PictureOptions,
    model: String?, _ others: [String: String] = [:]
  ) {
    var header = header
    // A model is what it says, wherever its file lies: of copies on several machines too.
    if model != nil { header.canonicalizer = "" }
    let values = [
      "manifest": header.jsonLine, "trim": "\(pictures.trim)",
      "jpeg": pictures.jpeg.map { "\($0)" } ?? "",
      "model": model.flatMap { Fingerprint(ofFileAt: $0)?.text } ?? "",
    ]
    self.init(command, goesOn: goesOn, values.merging(others) { $1 })
  }
}

/// Which part of which job something is of, by which `merge` knows the parts that belong together.
struct JobPart: Codable, Equatable {
  let shard: Shard
  /// How many inputs the whole has.
  let inputs: Int
  /// How many of the part's images, or archives, could not be used.
  var left = 0
  /// A fingerprint of the job and of the inputs' names, in their order.
  let job: String

  /// The part that is a process's of a job on some inputs.
  init(_ shard: Shard, of names: [String], _ job: JobDescription) {
    (self.shard, inputs) = (shard, names.count)
    var print = Fingerprint()
    for text in [job.text] + names {
      print.add(text.utf8)
      print.add([0])
    }
    self.job = print.text
  }
}
