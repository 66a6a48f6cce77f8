import ArgumentParser
import Datasets
import Foundation
import Images
import TensorCore
import Testing

@testable import CanonCommands

private let manager = FileManager.default
private let names = (100..<190).map { "\($0).png" }

/// Arguments of a job that writes images without moving them.
private func job(_ folder: String, _ out: String, _ more: String...) -> [String] {
  ["canonicalize", "identity", folder, out] + more
}

private func journal(_ folder: String) -> String { OwnFile.journal.path(in: folder) }

/// What a job must not lose, mix or follow, whatever it finds in its folder.
@Suite struct JobFaultTests {
  @Test("Pages that were done before a kill stay, and restoring goes on as well")
  func pagesStay() throws {
    let folder = try pictures("pages-stay", (0..<90).map { "parts/\($0 + 100).tif" })
    let parts = (0..<90).map { "\(folder)/parts/\($0 + 100).tif" }
    try #require(try ImageCodecs.join(parts, to: folder + "/scan.tif"))
    try manager.removeItem(atPath: folder + "/parts")
    let (out, back) = (temporary("pages-stay-out"), temporary("pages-stay-back"))
    try kill(job(folder, out, "--threads", "1"), when: journal(out), has: 10)
    try #require(manager.fileExists(atPath: journal(out)))
    // Of a page that was written and listed, and is none of those that are done.
    let ledger = try #require(FileHandle(forWritingAtPath: OwnFile.ledger.path(in: out)))
    try ledger.seekToEnd()
    try ledger.write(contentsOf: Data("\"scan.tif/91.tif\"\n".utf8))
    try ledger.close()
    try Data("none".utf8).write(to: URL(filePath: out + "/scan.tif/91.tif"))
    let again = try canon(job(folder, out))
    #expect(again.status == 0 && again.err.contains("going on"))
    #expect(ImageCodecs.pages(of: "scan.tif", in: out).count == 90)
    try kill(["restore", out, back, "--threads", "1"], when: journal(back), has: 10)
    try #require(manager.fileExists(atPath: journal(back)))
    #expect(try canon("restore", out, back).out.contains("90 images restored"))
    for page in [1, 2, 45, 90] {
      let name = "scan.tif/\(page).tif"
      #expect(try Image(path: "\(back)/\(name)") == Image(path: "\(folder)/\(name)"))
    }
  }

  @Test("A part that another command is at is told from what others put there")
  func samePart() throws {
    let (folder, out) = (try pictures("twice", ["a.png", "b.png"]), temporary("twice-out"))
    try manager.createDirectory(atPath: out, withIntermediateDirectories: true)
    // As it is in the midst of the other one: an output is there, and its list is not written yet.
    try manager.copyItem(atPath: folder + "/a.png", toPath: out + "/a.png")
    let other = unsafe open(
      OwnFile.journal.path(in: out, Shard("1/2")), O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
    try #require(other >= 0 && flock(other, LOCK_EX | LOCK_NB) == 0)
    let part = job(folder, out, "--shard", "1/2")
    let refused = try canon(part)
    #expect(refused.status == 1 && refused.err.contains("being written by another command"))
    close(other)
    #expect(try canon(part).err.contains("that canon did not write"))
  }

  @Test("An archive has the images of its own job alone, whichever was killed before")
  func ownImages() throws {
    let (first, other) = (
      try pictures("own-first", names), try pictures("own-other", ["z.png", "100.png"])
    )
    let archive = temporary("own.tar")
    try kill(job(first, archive, "--threads", "1"), when: journal(archive + ".parts"), has: 10)
    try #require(manager.fileExists(atPath: journal(archive + ".parts")))
    #expect(try canon(job(other, archive)).status == 0)
    #expect(
      try TarArchive(path: archive).names.filter(ImageCodecs.isImage) == ["100.png", "z.png"])
    #expect(!manager.fileExists(atPath: archive + ".parts"))
    // And of a job that goes on without an input that it had.
    let rest = temporary("own-rest.tar")
    try kill(job(first, rest, "--threads", "1"), when: journal(rest + ".parts"), has: 10)
    try manager.removeItem(atPath: "\(first)/\(names[0])")
    let again = try canon(job(first, rest))
    #expect(again.status == 0 && again.err.contains("going on"))
    #expect(
      try TarArchive(path: rest).names.filter(ImageCodecs.isImage) == Array(names.dropFirst()))
  }

  @Test("Of an archive that cannot be read any more the manifest has no rows")
  func staleArchive() throws {
    let (inputs, out) = (temporary("stale"), temporary("stale-out"))
    try manager.createDirectory(atPath: inputs, withIntermediateDirectories: true)
    for n in 0..<2 { try tar(try pictures("stale-\(n)", ["x.png"]), "\(inputs)/\(n).tar") }
    #expect(try canon(job(inputs, out)).status == 0)
    try Data("none".utf8).write(to: URL(filePath: inputs + "/0.tar"))
    let some = try canon(job(inputs, out, "--jpeg", "80"))
    #expect(some.status == 2 && some.err.contains("0.tar is of an earlier run"))
    let text = try String(contentsOfFile: out + "/manifest.jsonl", encoding: .utf8)
    #expect(text.contains("1.tar/x.png") && !text.contains("0.tar"))
    // And restoring names one that cannot be read, and does the others.
    try Data("none".utf8).write(to: URL(filePath: out + "/0.tar"))
    let back = try canon("restore", out, temporary("stale-back"))
    #expect(back.status == 2 && back.err.contains("0.tar") && back.out.hasPrefix("1 image"))
  }

  @Test("Nothing that is not canon's own is followed, waited for, emptied or removed")
  func notOwn() throws {
    let folder = try pictures("not-own", ["a.png"])
    let secret = temporary("not-own-secret")
    try Data("keep".utf8).write(to: URL(filePath: secret))
    for (n, name) in [OwnFile.journal.name(), OwnFile.manifest.name()].enumerated() {
      func out(_ word: String) throws -> String {
        let out = temporary("not-own-\(n)-\(word)")
        try manager.createDirectory(atPath: out, withIntermediateDirectories: true)
        return out
      }
      let (linked, waiting, filled) = (try out("link"), try out("fifo"), try out("file"))
      try manager.createSymbolicLink(atPath: "\(linked)/\(name)", withDestinationPath: secret)
      #expect(unsafe mkfifo("\(waiting)/\(name)", 0o600) == 0)
      try Data("{\"format\":\"mine\"}\n".utf8).write(to: URL(filePath: "\(filled)/\(name)"))
      for out in [linked, waiting, filled] {
        let refused = try canon(job(folder, out))
        #expect(refused.status == 1 && refused.err.contains("canon did not write it"))
        #expect(try manager.contentsOfDirectory(atPath: out) == [name])
      }
      #expect(try contents("\(filled)/\(name)").count == 18)
    }
    #expect(try contents(secret) == Data("keep".utf8))
  }

  @Test("Inputs do not take the names of canon's own files")
  func reserved() throws {
    for (n, name) in [
      "manifest-1-of-2.jsonl", ".canon-journal.jsonl", ".canon-journal-2-of-3.jsonl",
      ".canon-1-of-2", ".canon", OwnFile.merged,
    ].enumerated() {
      let (folder, out) = (try pictures("reserved-\(n)", ["\(name)/a.png"]), temporary("r-\(n)"))
      let refused = try canon(job(folder, out))
      #expect(refused.status == 1 && refused.err.contains("rename it"))
      #expect(!manager.fileExists(atPath: out))
    }
    for name in ["manifest-01-of-2.jsonl", ".canon-1-of-2.png", "manifest.json", "x.canon"] {
      #expect(!OwnFile.isReserved(name))
    }
  }

  @Test("Inputs whose outputs would have one name are refused in parts too")
  func collision() throws {
    let folder = try pictures("collision", ["a.jpg.png"])
    try noise(12, 9).writeJPEG(to: folder + "/a.jpg", quality: 90)
    for shard in ["1/2", "2/2"] {
      let out = temporary("collision-out-\(shard.prefix(1))")
      let refused = try canon(job(folder, out, "--shard", shard))
      #expect(refused.status == 1 && refused.err.contains("the name of another input"))
    }
  }

  @Test("A list that canon did not write makes nothing canon's", arguments: ["", "mine\n"])
  func foreignLedger(text: String) throws {
    let folder = try pictures("foreign-list", ["a.png"])
    let out = try pictures("foreign-list-out-\(text.count)", ["a.png"])
    let before = try contents(out + "/a.png")
    try Data(text.utf8).write(to: URL(filePath: out + "/.canon"))
    for more in [[], ["--shard", "1/2"]] {
      let refused = try canon(job(folder, out) + more)
      #expect(refused.status == 1)
    }
    #expect(try contents(out + "/a.png") == before)
  }

  @Test("A folder of pages without one yet, and a folder that was being removed, are taken again")
  func halfMade() throws {
    let folder = try pictures("half-made", ["parts/1.tif", "parts/2.tif"])
    let parts = (1...2).map { "\(folder)/parts/\($0).tif" }
    try #require(try ImageCodecs.join(parts, to: folder + "/scan.tif"))
    try manager.removeItem(atPath: folder + "/parts")
    for (n, name) in [nil, Files.partialName("1").replacing("-\(getpid())-", with: "-999999999-")]
      .enumerated()
    {
      let out = temporary("half-made-out-\(n)")
      try manager.createDirectory(
        atPath: out + "/scan.tif", withIntermediateDirectories: true)
      if let name { try Data("x".utf8).write(to: URL(filePath: "\(out)/scan.tif/\(name)")) }
      #expect(try canon(job(folder, out)).status == 0)
      #expect(ImageCodecs.pages(of: "scan.tif", in: out).count == 2)
    }
    // Of an archive's parts first the list was gone, or all but it.
    for (n, name) in [OwnFile.journal.name(), OwnFile.ledger.name(), nil].enumerated() {
      let archive = temporary("half-removed-\(n).tar")
      #expect(try canon(job(folder, archive)).status == 0)
      let beside = archive + ".parts"
      try manager.createDirectory(atPath: beside, withIntermediateDirectories: true)
      if name == OwnFile.ledger.name() {
        let list = try #require(TarArchive(path: archive).bytes(of: ".canon"))
        #expect(Files.write(list, to: "\(beside)/.canon"))
      } else if let name {
        try Data("canon journal 1: {}\n".utf8).write(to: URL(filePath: "\(beside)/\(name)"))
      }
      #expect(try canon(job(folder, archive)).status == 0)
      #expect(!manager.fileExists(atPath: beside))
    }
    // And what is the user's is not.
    let archive = temporary("half-foreign.tar")
    try manager.createDirectory(atPath: archive + ".parts", withIntermediateDirectories: true)
    try Data("x".utf8).write(to: URL(filePath: archive + ".parts/.canonical-notes"))
    #expect(try canon(job(folder, archive)).status == 1)
    #expect(manager.fileExists(atPath: archive + ".parts/.canonical-notes"))
  }

  @Test("Archives that could not be read are left to do when parts are joined")
  func unreadableArchive() throws {
    let (inputs, out) = (temporary("unread"), temporary("unread-out"))
    try manager.createDirectory(atPath: inputs, withIntermediateDirectories: true)
    for n in 0..<3 {
      let folder = try pictures("unread-\(n)", ["x.png", "y.png"])
      if n == 0 { try Data("none".utf8).write(to: URL(filePath: folder + "/z.png")) }
      try tar(folder, "\(inputs)/\(n).tar")
    }
    let whole = try contents("\(inputs)/1.tar")
    try Data("none".utf8).write(to: URL(filePath: inputs + "/1.tar"))
    for index in 1...2 {
      let part = try canon(job(inputs, out, "--shard", "\(index)/2"))
      #expect(part.status == 2)
    }
    let merged = try canon("merge", out)
    #expect(merged.status == 2 && merged.out.hasPrefix("4 images"))
    #expect(merged.err.contains("given again, without --shard"))
    let before = [0, 2].map { FileStamp(of: "\(out)/\($0).tar") }
    try whole.write(to: URL(filePath: inputs + "/1.tar"))
    let rest = try canon(job(inputs, out))
    #expect(rest.err.contains("2 of 3 archives are done") && rest.out.hasPrefix("6 images"))
    // An image of what was done before could not be used, and still cannot.
    #expect(rest.status == 2 && rest.err.contains("1 image of what is done"))
    #expect([0, 2].map { FileStamp(of: "\(out)/\($0).tar") } == before)
    // A part of restoring that begins anew is not done, whatever it was before.
    let back = temporary("unread-back")
    for index in 1...2 {
      #expect(try canon("restore", out, back, "--shard", "\(index)/2").status == 0)
    }
    try Data("none".utf8).write(to: URL(filePath: out + "/0.tar"))
    try manager.removeItem(atPath: back + "/2.tar")
    try manager.createDirectory(atPath: back + "/2.tar", withIntermediateDirectories: true)
    let again = try canon("restore", out, back, "--shard", "1/2")
    #expect(again.status == 2 && again.err.contains("0.tar") && again.err.contains("is a folder"))
    #expect(try canon("merge", back).err.contains("given again, without --shard"))
  }

  @Test("Numbers of parts go to files of their own")
  func numbers() {
    let shard = Shard("2/8")
    #expect(shard.file("a/x.safetensors") == "a/x-2-of-8.safetensors")
    #expect(shard.file("a.b/x") == "a.b/x-2-of-8")
    #expect((nil as Shard?).file("x.safetensors") == "x.safetensors")
  }
}
