import ArgumentParser
import Datasets
import Foundation
import Images
import TensorCore
import Testing

@testable import CanonCommands

private let manager = FileManager.default

/// Arguments of a job that writes images without moving them.
private func job(_ folder: String, _ out: String, _ more: String...) -> [String] {
  ["canonicalize", "identity", folder, out] + more
}

/// What joining the parts of a job must not lose, mix, or take for its own.
@Suite struct MergeCommandTests {
  @Test("Parts beside a manifest are not joined, and stay")
  func foreignManifest() throws {
    let folder = try pictures("foreign", ["a.png", "b.png"])
    let (whole, parts) = (temporary("foreign-whole"), temporary("foreign-parts"))
    #expect(try canon(job(folder, whole)).status == 0)
    for index in 1...2 {
      #expect(try canon(job(folder, parts, "--shard", "\(index)/2")).status == 0)
    }
    try manager.copyItem(atPath: whole + "/manifest.jsonl", toPath: parts + "/manifest.jsonl")
    let before = try manager.contentsOfDirectory(atPath: parts).sorted()
    let refused = try canon("merge", parts)
    #expect(refused.status == 1 && refused.err.contains("beside the parts"))
    #expect(try manager.contentsOfDirectory(atPath: parts).sorted() == before)
    try manager.removeItem(atPath: parts + "/manifest.jsonl")
    #expect(try canon("merge", parts).status == 0)
    #expect(try files(parts) == files(whole))
  }

  @Test("A merge given again has nothing to do; of a folder without a manifest it says so")
  func again() throws {
    let out = temporary("again")
    let folder = try pictures("again-in", ["a.png", "b.png"])
    for index in 1...2 {
      #expect(try canon(job(folder, out, "--shard", "\(index)/2")).status == 0)
    }
    #expect(try canon("merge", out).out.hasPrefix("2 images of 2 parts in"))
    let before = try contents(out + "/manifest.jsonl")
    let second = try canon("merge", out)
    #expect(second.status == 0 && second.out.contains("no part is left to join"), "\(second)")
    #expect(try contents(out + "/manifest.jsonl") == before)
    #expect(try canon("merge", out, "--json").out == "{\"images\":2,\"parts\":0}\n")
    let none = try canon("merge", folder)
    #expect(none.status == 1 && none.err.contains("holds no part of a job"))
  }

  @Test("Inputs of parts that could not be used are counted; a part without its list is told so")
  func failed() throws {
    let (out, folder) = (
      temporary("failed"), try pictures("failed-in", ["a.png", "b.png", "c.png"])
    )
    try Data("none".utf8).write(to: URL(filePath: folder + "/b.png"))
    for (index, status) in [(1, Int32(0)), (2, 2)] {
      #expect(try canon(job(folder, out, "--shard", "\(index)/2")).status == status)
    }
    let list = OwnFile.ledger.path(in: out, Shard("2/2"))
    try manager.moveItem(atPath: list, toPath: list + "-away")
    #expect(try canon("merge", out).err.contains("begin with a dot too"))
    try manager.moveItem(atPath: list + "-away", toPath: list)
    let merged = try canon("merge", out, "--json")
    #expect(merged.out == "{\"failed\":1,\"images\":2,\"parts\":2}\n")
    #expect(merged.status == 2 && merged.err.contains("1 input of the parts could not be used"))
    // Of parts without manifests as well, and again.
    let back = temporary("failed-back")
    for index in 1...2 {
      #expect(try canon("restore", out, back, "--shard", "\(index)/2").status == 0)
    }
    #expect(try canon("merge", back, "--json").out == "{\"failed\":0,\"parts\":2}\n")
    #expect(try canon("merge", back).out.contains("no part is left to join"))
  }

  @Test("A merge that was stopped anywhere is completed by the next one", arguments: 0...5)
  func stoppedMerge(removed: Int) throws {
    let folder = try pictures("stopped-\(removed)", ["a.png", "b.png", "c.png"])
    let (whole, parts) = (
      temporary("stopped-whole-\(removed)"), temporary("stopped-parts-\(removed)")
    )
    // An older list stands there already.
    for out in [whole, parts] {
      #expect(try canon(job(try pictures("stopped-old-\(removed)", ["old.png"]), out)).status == 0)
      try manager.removeItem(atPath: out + "/manifest.jsonl")
    }
    #expect(try canon(job(folder, whole)).status == 0)
    for index in 1...3 {
      #expect(try canon(job(folder, parts, "--shard", "\(index)/3")).status == 0)
    }
    // As it is left by a merge that was killed when it had removed so many files.
    let copy = temporary("stopped-copy-\(removed)")
    try? manager.removeItem(atPath: copy)
    try manager.copyItem(atPath: parts, toPath: copy)
    #expect(try canon("merge", copy).status == 0)
    try manager.copyItem(atPath: copy + "/manifest.jsonl", toPath: "\(parts)/\(OwnFile.merged)")
    if removed > 0 {
      try manager.removeItem(atPath: parts + "/.canon")
      try manager.copyItem(atPath: copy + "/.canon", toPath: parts + "/.canon")
    }
    let own = (1...3).flatMap { n in [OwnFile.manifest, .ledger].map { $0.name(Shard("\(n)/3")) } }
    for name in own.prefix(removed) { try manager.removeItem(atPath: "\(parts)/\(name)") }
    for other in [job(folder, parts), job(folder, parts, "--shard", "1/3")] {
      #expect(try canon(other).err.contains("were being joined"))
    }
    let merged = try canon("merge", parts)
    #expect(merged.status == 0 && merged.out.hasPrefix("3 images"))
    #expect(try files(parts) == files(whole))
    #expect(try contents(parts + "/.canon") == contents(whole + "/.canon"))
  }

  @Test("Parts of other inputs, flags or models are not joined, if as many")
  func otherJobs() throws {
    let (folder, other) = (
      try pictures("other-a", ["a.png", "b.png"]), try pictures("other-b", ["a.png", "c.png"])
    )
    let second = ["--shard", "2/2"]
    let changed = [
      job(other, "OUT"), job(folder, "OUT", "--quarter-turns"), job(folder, "OUT", "--trim"),
      job(folder, "OUT", "--jpeg", "90"), job(folder, "OUT", "--min-margin", "0.5"),
      job(folder, "OUT", "--canvas", "keep"),
    ]
    for (n, arguments) in changed.enumerated() {
      let out = temporary("other-out-\(n)")
      #expect(try canon(job(folder, out, "--shard", "1/2")).status == 0)
      #expect(try canon(arguments.map { $0 == "OUT" ? out : $0 } + second).status == 0)
      let refused = try canon("merge", out)
      #expect(refused.status == 1 && refused.err.contains("of another job than"), "\(arguments)")
    }
    // Of restoring too, which leaves no manifest.
    let back = temporary("other-back")
    for (n, images) in [folder, other].enumerated() {
      let out = temporary("other-whole-\(n)")
      #expect(try canon(job(images, out)).status == 0)
      #expect(try canon("restore", out, back, "--shard", "\(n + 1)/2").status == 0)
    }
    #expect(try canon("merge", back).err.contains("of another job than"))
  }

  @Test("Merged rows stand in the order of the inputs, whatever outputs are called")
  func order() throws {
    let folder = try pictures("order", ["a.jpg-b.png", "b.png", "c.png"])
    for name in ["a.jpg", "b.jpg"] {
      try noise(12, 9, seed: 5).writeJPEG(to: "\(folder)/\(name)", quality: 90)
    }
    let (whole, parts) = (temporary("order-whole"), temporary("order-parts"))
    let turned = ["--group", "C4"]
    func run(_ input: String, _ out: String, _ list: String, _ more: [String] = []) throws {
      let result = try canon(
        ["canonicalize", "pca-sign", input, out] + turned + more, input: list)
      #expect(result.status == 0)
    }
    let list = ["c.png", "a.jpg", "b.png", "a.jpg-b.png"].map { "\(folder)/\($0)" }
    for (n, (input, text)) in [(folder, ""), ("-", list.joined(separator: "\n"))].enumerated() {
      try run(input, "\(whole)-\(n)", text)
      for index in 1...2 { try run(input, "\(parts)-\(n)", text, ["--shard", "\(index)/2"]) }
      #expect(try canon("merge", "\(parts)-\(n)").status == 0)
      #expect(try files("\(parts)-\(n)") == files("\(whole)-\(n)"))
    }
  }

  @Test("A manifest of a part that was copied in half is refused, and nothing is lost")
  func cutParts() throws {
    let (folder, out) = (temporary("cut-in"), temporary("cut-out"))
    try manager.createDirectory(atPath: folder, withIntermediateDirectories: true)
    for n in 0..<6 { try noise(9, 9, seed: UInt64(n)).write(to: "\(folder)/\(n).png") }
    for index in 1...2 {
      let part = ["canonicalize", "identity", folder, out, "--shard", "\(index)/2"]
      #expect(try canon(part).status == 0)
    }
    let path = "\(out)/manifest-2-of-2.jsonl"
    let whole = try Data(contentsOf: URL(filePath: path))
    let lines = whole.split(separator: 0x0A)
    #expect(lines.count == 5)
    let cuts = [
      Data(lines[..<3].joined(separator: [0x0A])),
      Data(lines[..<4].joined(separator: [0x0A])) + [0x0A],
      whole.prefix(whole.count - 3), whole.prefix(whole.count - 1),
      Data((lines[..<2] + lines[3...]).joined(separator: [0x0A])) + [0x0A],
    ]
    for cut in cuts {
      try cut.write(to: URL(filePath: path))
      let merged = try canon("merge", out)
      #expect(merged.status == 1 && merged.err.contains("manifest-2-of-2.jsonl is not whole"))
      #expect(manager.fileExists(atPath: "\(out)/manifest-1-of-2.jsonl"))
    }
    try whole.write(to: URL(filePath: path))
    #expect(try canon("merge", out).out.hasPrefix("6 images of 2 parts"))
  }

  @Test("More parts than files may be open are joined")
  func manyParts() throws {
    let out = temporary("many-parts")
    try manager.createDirectory(atPath: out, withIntermediateDirectories: true)
    let names = (0..<3000).map { "\($0).png" }
    let header = Manifest.Header(canonicalizer: "identity", try PictureOptions.parse([]))
    let description = JobDescription("test", [:])
    for index in 1...300 {
      let shard = try #require(Shard("\(index)/300"))
      let lines =
        [header.of(JobPart(shard, of: names, description)).jsonLine]
        + shard.places(in: names).map { PartRow.line(of: "{\"file\":\"\(names[$0])\"}", at: $0) }
        + [PartRow.end(of: shard.places(in: names).count)]
      try Data(lines.map { $0 + "\n" }.joined().utf8)
        .write(to: URL(filePath: OwnFile.manifest.path(in: out, shard)))
      try OutputLedger(folder: out, shard).finish(JobPart(shard, of: names, description))
    }
    #expect(
      try canon("merge", out, "--json").out == "{\"failed\":0,\"images\":3000,\"parts\":300}\n")
    #expect(
      try String(contentsOfFile: out + "/manifest.jsonl", encoding: .utf8)
        == ([header.jsonLine] + names.map { "{\"file\":\"\($0)\"}" }).map { $0 + "\n" }.joined())
    #expect(try manager.contentsOfDirectory(atPath: out) == ["manifest.jsonl"])
  }

  @Test("A part is done when its list says so, whatever else is there")
  func halfDone() throws {
    let folder = try pictures("half", ["a.png", "b.png"])
    let out = temporary("half-out")
    for index in 1...2 {
      #expect(try canon(job(folder, out, "--shard", "\(index)/2")).status == 0)
    }
    // Killed between manifest and list: as while it was running.
    let list = OwnFile.ledger.path(in: out, Shard("2/2"))
    let lines = try String(contentsOfFile: list, encoding: .utf8).split(separator: "\n")
    let running = lines.filter { !$0.hasPrefix("{") }.map { $0 + "\n" }.joined()
    try Data(running.utf8).write(to: URL(filePath: list))
    #expect(try canon("merge", out).err.contains("not done are the parts 2/2"))
    // And without any manifest nothing is complete.
    for index in 1...2 {
      try manager.removeItem(atPath: OwnFile.manifest.path(in: out, Shard("\(index)/2")))
    }
    #expect(try canon("merge", out).status == 1)
    #expect(try canon(job(folder, out, "--shard", "2/2")).status == 0)
    let part = try canon("merge", out)
    #expect(part.status == 1 && part.err.contains("have no manifest"))
    #expect(try canon(job(folder, out, "--shard", "1/2")).status == 0)
    #expect(try canon("merge", out).status == 0)
  }

  @Test("A job of one process that was stopped is not complete")
  func stopped() throws {
    let (out, folder) = (temporary("stopped"), try pictures("stopped-in", ["a.png", "b.png"]))
    #expect(try canon(job(folder, out)).status == 0)
    #expect(try canon("merge", out).out.contains("no part is left to join"))
    // As a kill leaves it: the list and the journal, and no manifest.
    try manager.removeItem(atPath: OwnFile.manifest.path(in: out))
    try Data().write(to: URL(filePath: OwnFile.journal.path(in: out)))
    let merged = try canon("merge", out)
    #expect(merged.status == 1 && merged.err.contains("not at its end") && merged.out.isEmpty)
  }

  @Test("What cannot be read has a line of JSON too, and parts that are not joined are told of")
  func told() throws {
    let (out, folder) = (temporary("told"), try pictures("told-in", ["a.png", "b.png"]))
    try Data("none".utf8).write(to: URL(filePath: folder + "/b.png"))
    let made = try canon(job(folder, out, "--shard", "2/2", "--json"))
    #expect(made.status == 2 && made.out.split(separator: "\n").count == 1)
    #expect(made.out.contains("\"error\":") && made.out.contains("b.png"))
    let early = try canon("restore", out, temporary("told-back"))
    #expect(early.status == 1 && early.err.contains("canon merge"))
  }

  @Test("A model is the same wherever its file lies")
  func copiedModel() throws {
    let paths = try (0..<3).map { n in
      let path = temporary("model-\(n)")
      try Data("model \(n / 2)".utf8).write(to: URL(filePath: path))
      return path
    }
    let pictures = try PictureOptions.parse([])
    let texts = paths.map { path in
      JobDescription(
        "canonicalize", Manifest.Header(canonicalizer: path, pictures), pictures,
        model: path
      ).text
    }
    #expect(texts[0] == texts[1] && texts[0] != texts[2])
  }

  @Test("A foreign file of the name of a merge is not taken for one")
  func foreignMerge() throws {
    let folder = try pictures("foreign-merge", ["a.png", "b.png"])
    let secret = temporary("foreign-merge-secret")
    try Data("keep".utf8).write(to: URL(filePath: secret))
    for kind in ["text", "link", "folder", "fifo"] {
      let out = temporary("foreign-merge-\(kind)")
      for index in 1...2 {
        #expect(try canon(job(folder, out, "--shard", "\(index)/2")).status == 0)
      }
      let path = "\(out)/\(OwnFile.merged)"
      switch kind {
      case "text": try Data("mine".utf8).write(to: URL(filePath: path))
      case "link": try manager.createSymbolicLink(atPath: path, withDestinationPath: secret)
      case "folder": try manager.createDirectory(atPath: path, withIntermediateDirectories: true)
      default: #expect(unsafe mkfifo(path, 0o600) == 0)
      }
      let refused = try canon("merge", out)
      #expect(refused.status == 1 && refused.err.contains("canon did not write it"), "\(kind)")
      unsafe unlink(path)
      unsafe rmdir(path)
      #expect(try canon("merge", out).out.hasPrefix("2 images"), "\(kind)")
    }
    #expect(try contents(secret) == Data("keep".utf8))
  }
}
