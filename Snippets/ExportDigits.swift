// Writes digits of rotated MNIST's test part as PNG files, one subfolder a class: the demo's folder,
// and larger ones to measure on. usage: ExportDigits FOLDER COUNT
import Datasets
import Foundation
import Images

let arguments = CommandLine.arguments
guard arguments.count == 3, let count = Int(arguments[2]) else {
  print("usage: ExportDigits FOLDER COUNT")
  exit(64)
}
let digits = Digits.rotated(try Digits.mnist(folder: "Benchmarks/Data")).test
for n in 0..<min(count, digits.count) {
  let folder = "\(arguments[1])/\(digits.classNames[digits.labels[n]])"
  try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
  let name = String(format: "%05d.png", n)
  try Image(digits.images[n]).write(to: "\(folder)/\(name)")
}
