// Writes digits of rotated MNIST's test part as PNG files: one subfolder a class, or, with `noisy`,
// noisy and partly erased ones. The demo's folders are made by it, and larger ones to measure on.
// usage: ExportDigits FOLDER COUNT [noisy]
import Datasets
import Foundation
import Images

let arguments = CommandLine.arguments
guard arguments.count >= 3, let count = Int(arguments[2]) else {
  print("usage: ExportDigits FOLDER COUNT [noisy]")
  exit(64)
}
var digits = RotatedMNISTOptions()
digits.corrupted = arguments.contains("noisy")
if let test = try digits.test(seed: 0) {
  for n in 0..<min(count, test.count) {
    let folder = arguments[1] + (digits.corrupted ? "" : "/\(test.labels[n])")
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    let name = String(format: "%05d.png", n)
    try Image(test.inputs[n]).write(to: "\(folder)/\(name)")
  }
}
