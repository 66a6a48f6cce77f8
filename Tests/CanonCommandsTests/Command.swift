import Foundation

let digits =
  URL(fileURLWithPath: #filePath).deletingLastPathComponent()
  .deletingLastPathComponent().deletingLastPathComponent().path + "/demo/digits"

/// The built command, beside the tests.
let command = URL(fileURLWithPath: CommandLine.arguments[0])
  .deletingLastPathComponent().appendingPathComponent("canon")

/// Runs the built command, and returns its status, output and errors.
func canon(_ arguments: String...) throws -> (status: Int32, out: String, err: String) {
  try canon(arguments)
}

var commandPath: String { command.path }

/// The same, with a text on its standard input where there is one, begun in a folder.
func canon(
  _ arguments: [String], in folder: String? = nil, input: String? = nil
) throws -> (status: Int32, out: String, err: String) {
  let process = Process()
  process.executableURL = command
  process.arguments = arguments
  process.currentDirectoryURL = folder.map { URL(filePath: $0) }
  let (out, err) = (Pipe(), Pipe())
  (process.standardOutput, process.standardError) = (out, err)
  let standard = Pipe()
  if input != nil { process.standardInput = standard }
  try process.run()
  if let input {
    standard.fileHandleForWriting.write(Data(input.utf8))
    try standard.fileHandleForWriting.close()
  }
  let output = out.fileHandleForReading.readDataToEndOfFile()
  let errors = err.fileHandleForReading.readDataToEndOfFile()
  process.waitUntilExit()
  return (
    process.terminationStatus, String(decoding: output, as: UTF8.self),
    String(decoding: errors, as: UTF8.self)
  )
}

/// Runs a line of the shell, in which `$0` is the built command and the arguments follow.
func shell(_ line: String, _ arguments: String...) throws -> (status: Int32, err: String) {
  try shell(line, arguments)
}

func shell(_ line: String, _ arguments: [String]) throws -> (status: Int32, err: String) {
  let process = Process()
  process.executableURL = URL(filePath: "/bin/sh")
  process.arguments = ["-c", line, commandPath] + arguments
  let err = Pipe()
  (process.standardOutput, process.standardError) = (FileHandle.nullDevice, err)
  try process.run()
  let errors = err.fileHandleForReading.readDataToEndOfFile()
  process.waitUntilExit()
  return (process.terminationStatus, String(decoding: errors, as: UTF8.self))
}

/// A path of this run of the tests, and of this file, alone: tests of several files run at once.
func temporaryPath(_ name: String, file: String = #fileID) -> String {
  let suite = file.split(separator: "/").last?.split(separator: ".").first ?? ""
  return FileManager.default.temporaryDirectory.path
    + "/canon-\(suite)-\(ProcessInfo.processInfo.processIdentifier)-\(name)"
}

/// The same, with nothing there.
func temporary(_ name: String, file: String = #fileID) -> String {
  let path = temporaryPath(name, file: file)
  try? FileManager.default.removeItem(atPath: path)
  return path
}
