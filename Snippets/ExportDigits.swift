// Writes digits of rotated MNIST's test part as PNG files: one subfolder a class, or, with `noisy`,
// noisy and partly erased ones. The demo's folders are made by it, and larger ones to measure on.
// usage: ExportDigits FOLDER COUNT [noisy]
import Foundation
import Images
import Training

let arguments = CommandLine.arguments
guard arguments.count >= 3, let count = Int(arguments[2]) else {
  print("usage: ExportDigits FOLDER COUNT [noisy]")
  exit(64)
}
let isNoisy = arguments.contains("noisy")
var configuration = RunConfiguration()
configuration.data.task = isNoisy ? .restore : .classify
if let digits = try TrainingData.test(configuration) {
  for n in 0..<min(count, digits.count) {
    let folder = arguments[1] + (isNoisy ? "" : "/\(digits.labels[n])")
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    let name = String(format: "%05d.png", n)
    try Image(digits.inputs[n]).write(to: "\(folder)/\(name)")
  }
}
