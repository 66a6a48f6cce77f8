import Foundation
import Images
import TensorCore
import Testing

@testable import CanonCommands

private let manager = FileManager.default
private let turns = ["pca-sign", "--group", "C4"]

/// The files below a folder, by their names, those whose names begin with a dot aside.
func files(_ folder: String) throws -> [String: Data] {
  let names = try manager.subpathsOfDirectory(atPath: folder).filter {
    !$0.split(separator: "/").contains { $0.hasPrefix(".") } && Files.isRegular("\(folder)/\($0)")
  }
  return Dictionary(uniqueKeysWithValues: try names.map { ($0, try contents("\(folder)/\($0)")) })
}

/// What tells that a file was not written again.
private func stamps(_ folder: String) throws -> [String: FileStamp] {
  try files(folder).reduce(into: [:]) { all, file in
    all[file.key] = FileStamp(of: "\(folder)/\(file.key)")
  }
}

/// Kills the command when its journal has so many lines.
func kill(_ arguments: [String], when journal: String, has lines: Int) throws {
  let process = Process()
  process.executableURL = URL(fileURLWithPath: commandPath)
  process.arguments = arguments
  (process.standardOutput, process.standardError) = (
    FileHandle.nullDevice, FileHandle.nullDevice
  )
  try process.run()
  while process.isRunning, Files.bytes(of: journal)?.count(where: { $0 == 0x0A }) ?? 0 < lines {
    usleep(500)
  }
  Glibc.kill(process.processIdentifier, SIGKILL)
  process.waitUntilExit()
}

func tar(_ folder: String, _ archive: String) throws {
  let writer = try TarWriter(path: archive)
  for name in try files(folder).keys.sorted() { try writer.add("\(folder)/\(name)", as: name) }
  try writer.finish()
}

@Suite struct ShardCommandTests {
  private let names = (0..<90).map { "sub\($0 % 3)/\($0 + 100).png" }

  @Test("What several processes wrote is joined to what one writes", arguments: [2, 5])
  func merged(count: Int) throws {
    // A name that JSON spells otherwise, and so would stand elsewhere.
    let folder = try pictures("merged-in-\(count)", Array(names.prefix(12)) + ["a\tb.png"])
    let (whole, parts) = (temporary("merged-\(count)"), temporary("merged-parts-\(count)"))
    #expect(try canon(["canonicalize", turns[0], folder, whole] + turns[1...]).status == 0)
    for index in 1...count {
      let part = ["canonicalize", turns[0], folder, parts, "--shard", "\(index)/\(count)"]
      if index == count {
        // The last part is missing.
        let early = try canon("merge", parts)
        #expect(early.status == 1 && early.err.contains("\(count)/\(count)"))
      }
      #expect(try canon(part + turns[1...]).status == 0)
    }
    // A process with all inputs, or one of another number of parts, does not mix with them.
    for other in [[], ["--shard", "1/7"]] {
      let refused = try canon(["canonicalize", turns[0], folder, parts] + turns[1...] + other)
      #expect(refused.status == 1 && refused.err.contains("canon merge"))
    }
    let merged = try canon("merge", parts, "--json")
    #expect(merged.status == 0 && merged.out == "{\"failed\":0,\"images\":13,\"parts\":\(count)}\n")
    #expect(try files(parts) == files(whole))
    #expect(try contents("\(parts)/.canon") == contents("\(whole)/.canon"))
    #expect(
      try Set(manager.contentsOfDirectory(atPath: parts))
        == Set(manager.contentsOfDirectory(atPath: whole)))
    #expect(try canon("merge", parts).out.contains("no part is left"))
    // And one process by one is no part of what is there already.
    let late = try canon(
      ["canonicalize", turns[0], folder, parts, "--shard", "1/\(count)"] + turns[1...])
    #expect(late.status == 1)
    #expect(try files(parts) == files(whole))
  }

  @Test("Parts that do not fit together are named, and nothing is changed")
  func unfit() throws {
    let folder = try pictures("unfit-in", Array(names.prefix(5)))
    let parts = temporary("unfit-parts")
    #expect(try canon("canonicalize", "identity", folder, parts, "--shard", "1/2").status == 0)
    #expect(try canon("canonicalize", "pca", folder, parts, "--shard", "2/2").status == 0)
    let other = try canon("merge", parts)
    #expect(other.status == 1 && other.err.contains("of another job than"))
    try noise(9, 9, seed: 9).write(to: "\(folder)/zzz.png")
    #expect(try canon("canonicalize", "identity", folder, parts, "--shard", "2/2").status == 0)
    let more = try canon("merge", parts)
    #expect(more.status == 1 && more.err.contains("of another job than"))
    #expect(!manager.fileExists(atPath: "\(parts)/manifest.jsonl"))
    #expect(try canon("merge", folder).err.contains("no part"))
  }

  @Test("Inputs are dealt out in turn, all pages of a file to one, each to one part")
  func dealt() throws {
    let names = ["a.png", "b.tif/1.tif", "b.tif/2.tif", "c.png", "c/d.png", "e.tif/1.tif"]
    let parts = try (1...3).map { try #require(Shard("\($0)/3")).places(in: names) }
    #expect(parts == [[0, 4], [1, 2, 5], [3]])
    for text in ["0/2", "3/2", "1", "1/", "a/b", "1/2/3", "-1/2", "1/0"] {
      #expect(Shard(text) == nil)
    }
  }

  @Test(
    "MPI and Slurm say which part is a process's",
    arguments: [
      (["OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "4"], "2/4"),
      (["PMI_RANK": "0", "PMI_SIZE": "3"], "1/3"),
      (["SLURM_PROCID": "2", "SLURM_STEP_NUM_TASKS": "8", "SLURM_NTASKS": "8"], "3/8"),
      (
        [
          "SLURM_ARRAY_TASK_ID": "7", "SLURM_ARRAY_TASK_MIN": "3", "SLURM_ARRAY_TASK_STEP": "2",
          "SLURM_ARRAY_TASK_COUNT": "5",
        ], "3/5"
      ),
      (
        [
          "SLURM_ARRAY_TASK_ID": "1", "SLURM_ARRAY_TASK_COUNT": "2", "SLURM_PROCID": "1",
          "SLURM_STEP_NUM_TASKS": "4",
        ], "6/8"
      ),
      // One task of an array that is done again, or some: of how many parts they are is not said.
      (
        [
          "SLURM_ARRAY_TASK_ID": "3", "SLURM_ARRAY_TASK_MIN": "3", "SLURM_ARRAY_TASK_MAX": "3",
          "SLURM_ARRAY_TASK_COUNT": "1",
        ], nil
      ),
      (
        [
          "SLURM_ARRAY_TASK_ID": "3", "SLURM_ARRAY_TASK_MIN": "3", "SLURM_ARRAY_TASK_MAX": "7",
          "SLURM_ARRAY_TASK_COUNT": "2",
        ], nil
      ),
      // Of an array each task starts processes of its own.
      (
        [
          "SLURM_ARRAY_TASK_ID": "1", "SLURM_ARRAY_TASK_COUNT": "2", "SLURM_PROCID": "1",
          "SLURM_STEP_NUM_TASKS": "2", "PMI_RANK": "1", "PMI_SIZE": "2",
        ], "4/4"
      ),
      // What no scheduler counts to is none, and nothing is computed of it.
      (["PMI_RANK": "-1", "PMI_SIZE": "3"], nil),
      (["PMI_RANK": "2000000", "PMI_SIZE": "2000001"], nil),
      (
        [
          "SLURM_ARRAY_TASK_ID": "1", "SLURM_ARRAY_TASK_COUNT": "2", "SLURM_PROCID": "-1",
          "SLURM_STEP_NUM_TASKS": "4",
        ], nil
      ),
      (
        [
          "SLURM_ARRAY_TASK_ID": "9223372036854775807", "SLURM_ARRAY_TASK_MIN": "-2",
          "SLURM_ARRAY_TASK_COUNT": "9223372036854775807",
        ], nil
      ),
      (
        [
          "SLURM_ARRAY_TASK_ID": "2147483647", "SLURM_ARRAY_TASK_COUNT": "2147483647",
          "SLURM_PROCID": "2147483646", "SLURM_STEP_NUM_TASKS": "2147483647",
        ], nil
      ),
      // The script of a batch job is no step.
      (["SLURM_PROCID": "0", "SLURM_NTASKS": "8"], nil),
      (["OMPI_COMM_WORLD_RANK": "4", "OMPI_COMM_WORLD_SIZE": "4"], nil), ([:], nil),
    ] as [([String: String], String?)])
  func environment(variables: [String: String], part: String?) {
    #expect(Shard(environment: variables)?.text == part)
  }

  @Test("A job that was killed goes on: nothing is done twice, and it ends as one that never was")
  func killed() throws {
    let folder = try pictures("killed-in", names)
    let (whole, out) = (temporary("killed-whole"), temporary("killed"))
    let job = ["canonicalize", turns[0], folder, out] + turns[1...]
    #expect(try canon(["canonicalize", turns[0], folder, whole] + turns[1...]).status == 0)
    let journal = "\(out)/.canon-journal.jsonl"
    try kill(job + ["--threads", "1"], when: journal, has: 10)
    try #require(manager.fileExists(atPath: journal))
    // The last line may be half-written.
    let handle = try #require(FileHandle(forWritingAtPath: journal))
    try handle.seekToEnd()
    try handle.write(contentsOf: Data("{\"name\":\"sub".utf8))
    try handle.close()
    let before = try stamps(out)
    let done = try String(contentsOfFile: journal, encoding: .utf8).split(separator: "\n").count - 2
    let again = try canon(job)
    #expect(again.status == 0 && again.out.hasPrefix("90 images"))
    #expect(again.err.contains("\(done) of 90 images are done"))
    let after = try stamps(out)
    #expect(before.count { after[$0.key] == $0.value } >= done)
    #expect(try files(out) == files(whole))
    #expect(!manager.fileExists(atPath: journal))
    // What is at its end is done anew.
    #expect(try !canon(job).err.contains("going on"))
    #expect(try stamps(out).allSatisfy { after[$0.key] != $0.value })
  }

  @Test("What has changed since a job was killed is done again, and what is gone is not there")
  func changed() throws {
    let folder = try pictures("changed-in", names)
    let (whole, out) = (temporary("changed-whole"), temporary("changed"))
    let job = ["canonicalize", turns[0], folder, out] + turns[1...]
    let journal = "\(out)/.canon-journal.jsonl"
    try kill(job + ["--threads", "1"], when: journal, has: 10)
    try #require(manager.fileExists(atPath: journal))
    let first = names.sorted()
    try noise(31, 5, seed: 77).write(to: "\(folder)/\(first[0])")
    try manager.removeItem(atPath: "\(folder)/\(first[1])")
    try manager.removeItem(atPath: "\(out)/\(first[2])")
    #expect(try canon(job).status == 0)
    #expect(try canon(["canonicalize", turns[0], folder, whole] + turns[1...]).status == 0)
    // What was done again stands at its place.
    for name in first + ["manifest.jsonl"] where name != first[1] {
      #expect(try contents("\(out)/\(name)") == contents("\(whole)/\(name)"))
    }
    // Another job begins anew.
    try kill(job + ["--threads", "1"], when: journal, has: 10)
    let other = try canon(["canonicalize", "identity", folder, out])
    #expect(other.status == 0 && !other.err.contains("going on"))
    #expect(try Image(path: "\(out)/\(first[5])") == Image(path: "\(folder)/\(first[5])"))
  }

  @Test("Restoring goes on too, and parts of it are told to be complete")
  func restored() throws {
    let folder = try pictures("restored-in", names)
    let (out, back) = (temporary("restored-out"), temporary("restored-back"))
    #expect(try canon(["canonicalize", turns[0], folder, out] + turns[1...]).status == 0)
    try kill(
      ["restore", out, back, "--threads", "1"], when: "\(back)/.canon-journal.jsonl", has: 10)
    let rest = try canon("restore", out, back)
    #expect(rest.err.contains("going on") && rest.out.hasPrefix("90 images restored"))
    #expect(rest.out.contains(" 90 of them bit for bit"))
    for name in names {
      #expect(try Image(path: "\(back)/\(name)") == Image(path: "\(folder)/\(name)"))
    }
    let parts = temporary("restored-parts")
    for index in 1...2 {
      #expect(try canon("restore", out, parts, "--shard", "\(index)/2").status == 0)
    }
    #expect(try canon("merge", parts).out == "\(parts) is complete, in 2 parts.\n")
    #expect(try files(parts) == files(back))
  }

  @Test("Of a folder of archives one of each is made, killed or not; and back, bit for bit")
  func archives() throws {
    let (inputs, whole, out) = (
      temporary("tars"), temporary("tars-whole"), temporary("tars-out")
    )
    try manager.createDirectory(atPath: inputs, withIntermediateDirectories: true)
    for n in 0..<3 {
      try tar(try pictures("tars-\(n)", names.map { "\(n)/\($0)" }), "\(inputs)/\(n).tar")
    }
    let job = ["canonicalize", turns[0], inputs, out] + turns[1...]
    #expect(try canon(["canonicalize", turns[0], inputs, whole] + turns[1...]).status == 0)
    try kill(
      job + ["--threads", "1"], when: "\(out)/1.tar.parts/.canon-journal.jsonl", has: 10)
    let before = FileStamp(of: "\(out)/0.tar")
    try #require(before != nil && !manager.fileExists(atPath: "\(out)/1.tar"))
    // As it is where one is killed that was removing what it had packed.
    try manager.createDirectory(atPath: "\(out)/0.tar.parts", withIntermediateDirectories: true)
    try manager.copyItem(
      atPath: "\(out)/1.tar.parts/.canon", toPath: "\(out)/0.tar.parts/.canon")
    let again = try canon(job)
    #expect(again.status == 0 && again.err.contains("1 of 3 archives are done"))
    #expect(again.out.contains("270 images") && again.out.contains("in 3 archives"))
    #expect(FileStamp(of: "\(out)/0.tar") == before)
    #expect(try files(out) == files(whole))
    #expect(
      try manager.contentsOfDirectory(atPath: out).sorted()
        == ["0.tar", "1.tar", "2.tar", "manifest.jsonl"])
    let lines = try String(contentsOfFile: "\(out)/manifest.jsonl", encoding: .utf8)
      .split(separator: "\n")
    #expect(lines.count == 271 && lines[1].contains("\"file\":\"0.tar/0/sub"))
    #expect(
      try canon(job + ["--json"]).out.split(separator: "\n").map(String.init).sorted()
        == lines.dropFirst().map(String.init).sorted())
    // By two processes the same, and the same manifest.
    let parts = temporary("tars-parts")
    for index in 1...2 {
      #expect(
        try canon(
          ["canonicalize", turns[0], inputs, parts, "--shard", "\(index)/2"] + turns[1...]
        ).status == 0)
    }
    #expect(try canon("merge", parts).status == 0)
    #expect(try files(parts) == files(whole))
    let back = temporary("tars-back")
    let restored = try canon("restore", out, back)
    #expect(restored.out.contains("270 images") && restored.out.contains(" 270 of them bit"))
    for n in 0..<3 {
      for name in names.prefix(5) {
        #expect(
          try Image(path: "\(back)/\(n).tar/\(n)/\(name)")
            == Image(path: "\(inputs)/\(n).tar/\(n)/\(name)"))
      }
    }
    // An archive that is gone is named, and the others are restored.
    try manager.removeItem(atPath: "\(out)/2.tar")
    let less = try canon("restore", out, temporary("tars-less"))
    #expect(less.status == 2 && less.err.contains("2.tar") && less.out.hasPrefix("180 images"))
    // Images in none do not take the place of its manifest, nor the other way round.
    let rows = try contents("\(out)/manifest.jsonl")
    let plain = try canon("canonicalize", "identity", try pictures("tars-plain", ["a.png"]), out)
    #expect(plain.status == 1 && plain.err.contains("the manifest of images in archives"))
    #expect(try contents("\(out)/manifest.jsonl") == rows)
    let other = temporary("tars-other")
    #expect(try canon("canonicalize", "identity", "\(inputs)/0.tar", other).status == 0)
    let mixed = try canon("canonicalize", "identity", inputs, other)
    #expect(mixed.status == 1 && mixed.err.contains("the manifest of images in none"))
    // One that cannot be read is named, and the others are done.
    try Data("none".utf8).write(to: URL(fileURLWithPath: "\(inputs)/1.tar"))
    let some = try canon(["canonicalize", "identity", inputs, temporary("tars-some")])
    #expect(some.status == 2 && some.err.contains("1.tar") && some.out.hasPrefix("180 images"))
  }

  @Test("A stage of a pipe says a line of each file, by the name that it was given, or why not")
  func pipe() throws {
    let folder = try pictures("pipe", ["b.png", "a.png", "c.png"])
    try Data("none".utf8).write(to: URL(fileURLWithPath: "\(folder)/d.png"))
    let given = ["b.png", "./a.png", "../\(URL(fileURLWithPath: folder).lastPathComponent)/d.png"]
    let model = root + "/demo/model.safetensors"
    let list = given.map { "\(folder)/\($0)" }
    let result = try canon(
      ["predict", model, "-", "--json", "--quiet"], input: list.joined(separator: "\n"))
    #expect(result.status == 2)
    struct Row: Decodable { var file: String; var error: String? }
    let rows = try result.out.split(separator: "\n").map {
      try JSONDecoder().decode(Row.self, from: Data($0.utf8))
    }
    #expect(rows.map(\.file) == list && rows.map { $0.error != nil } == [false, false, true])
    for command in [["predict", model, "-", "--json"], ["canonicalize", "pca", "-", "nowhere"]] {
      let none = try canon(command, input: "")
      #expect(none.status == 0 && none.out.isEmpty && none.err.contains("nothing to do"))
    }
  }
}

private let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
  .deletingLastPathComponent().deletingLastPathComponent().path
