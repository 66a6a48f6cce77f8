import Foundation
import TensorCore
import Testing

@Suite struct DisentanglementCommandTests {
  /// 180 rows of three factors; the codes are two of them, their sum with something added, and nothing.
  private let rows = (0..<180).map { row -> (codes: [Float], factors: [Int]) in
    let factors = [row % 3, row / 3 % 4, row / 12 % 3]
    let rest = Float(row * 7919 % 101) / 101
    return (
      [Float(factors[0]), Float(factors[1]), Float(factors[1] + factors[2]) + rest, 0], factors
    )
  }

  private func tensors(_ name: String) throws -> String {
    let path = temporary(name)
    let codes = Tensor(rows.flatMap(\.codes), shape: [180, 4])
    let factors = Tensor(rows.flatMap { $0.factors.map(Float.init) }, shape: [180, 3])
    try Safetensors(
      tensors: ["codes": codes, "factors": factors], metadata: ["factors": "shape, x,y"]
    ).write(to: path)
    return path
  }

  private func csv(_ name: String, _ lines: [String]) throws -> String {
    let path = temporary(name)
    try Data((lines.joined(separator: "\r\n") + "\r\n").utf8).write(to: URL(fileURLWithPath: path))
    return path
  }

  private func object(_ text: String) throws -> [String: Any] {
    try #require(JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
  }

  @Test("All figures come with their settings, as one object, the same for any number of threads")
  func json() throws {
    let path = try tensors("codes.safetensors")
    let result = try canon("disentanglement", path, "--json", "--seed", "3", "--threads", "2")
    #expect(result.status == 0 && result.out.split(separator: "\n").count == 1)
    #expect(
      try canon("disentanglement", path, "--json", "--seed", "3", "--threads", "1").out
        == result.out)
    let summary = try object(result.out)
    let metrics = try #require(summary["metrics"] as? [String: [String: Any]])
    #expect(metrics.keys.sorted() == ["dci", "factor-vae", "m-fvm2", "mig", "sap", "z-diff"])
    for (name, figures) in metrics {
      let settings = try #require(figures["settings"] as? [String: Any])
      #expect(name == "mig" ? settings["bins"] as? Int == 20 : settings["seed"] as? Int == 3)
    }
    let factors = try #require(summary["factors"] as? [[String: Any]])
    #expect(factors.map { $0["name"] as? String } == ["shape", "x", "y"])
    #expect(factors.map { $0["values"] as? Int } == [3, 4, 3])
    #expect(metrics["m-fvm2"]?["null"] is Double && metrics["m-fvm2"]?["adjusted"] is Double)
  }

  @Test("A CSV file has factors by name, in words too, and gives the same figures") func csv()
    throws
  {
    let lines = rows.map { row in
      "\"f,\",\(row.codes[0]),\(["disc", "ring", "star"][row.factors[0]]),\(row.codes[1]), \(row.codes[2]),\(row.factors[1]),0"
    }
    let path = try csv("codes.csv", ["name,z0,shape,z1,z2,x,z3"] + lines + [""])
    let arguments = [
      "disentanglement", path, "--factors", "shape,x", "--dimensions", "z0,z1,z2,z3", "--metrics",
      "mig,factor-vae",
    ]
    let table = try canon(arguments)
    #expect(table.status == 0 && table.out.contains("MIG") && table.out.contains("\"bins\":20"))
    #expect(
      table.out.hasPrefix(
        "180 rows; codes z0, z1, z2, z3; factors shape (3 values), x (4 values)\n"))
    let file = try canon(
      "disentanglement", try tensors("same.safetensors"), "--factors", "shape,x", "--metrics",
      "mig,factor-vae")
    #expect(file.out == table.out)
    let unnamed = try canon("disentanglement", path, "--factors", "shape,x")
    #expect(unnamed.status == 1 && unnamed.err.contains("name is no number in line 2"))
    #expect(unnamed.err.contains("--dimensions"))
    // What `canon predict` calls inputs by is no code.
    let named = try csv("named.csv", ["file,z0,shape,z1,z2,x,z3"] + lines)
    #expect(
      try canon("disentanglement", named, "--factors", "shape,x", "--metrics", "mig,factor-vae").out
        == table.out)
  }

  @Test("What cannot be told is said beside what can") func untold() throws {
    let path = try tensors("some.safetensors")
    let result = try canon(
      "disentanglement", path, "--metrics", "mig,m-fvm", "--fixed", "1,3,9", "--json")
    #expect(
      result.status == 2 && result.err.contains("m-fvm9") && result.err.contains("from 1 to 3"))
    let summary = try object(result.out)
    #expect((summary["untold"] as? [String: String])?.keys.sorted() == ["m-fvm9"])
    // Three dimensions are active, and three factors fixed.
    #expect(result.err.contains("m-FVM3 is 1 by construction"))
    let shown = try canon("disentanglement", path, "--metrics", "m-fvm", "--fixed", "3")
    #expect(!shown.out.contains("nan") && shown.status == 0)
    #expect(try canon("disentanglement", path, "--metrics", "m-fvm", "--fixed", "9").status == 1)
  }

  @Test("Continuous factors take bins") func bins() throws {
    let lines = rows.enumerated().map { n, row in
      "\(row.codes[0]),\(row.codes[2]),\(row.factors[0]),\(Double(n) / 7)"
    }
    let path = try csv("continuous.csv", ["z0,z1,shape,angle"] + lines)
    let arguments = ["disentanglement", path, "--factors", "shape,angle", "--metrics", "mig"]
    let plain = try canon(arguments)
    #expect(plain.status == 1 && plain.err.contains("fewer bins"))
    let binned = try canon(arguments + ["--bins", "6", "--json"])
    #expect(binned.status == 0)
    let factors = try #require(try object(binned.out)["factors"] as? [[String: Any]])
    #expect(factors.map { $0["values"] as? Int } == [3, 6])
  }

  @Test("Whatever is given, a sentence is the answer") func refusals() throws {
    let good = rows.map { "\($0.codes[0]),\($0.codes[1]),\($0.factors[0])" }
    func status(_ lines: [String], _ factors: String? = "a") throws -> (Int32, String) {
      let path = try csv("bad.csv", lines)
      let result = try canon(
        ["disentanglement", path, "--metrics", "mig"] + (factors.map { ["--factors", $0] } ?? []))
      return (result.status, result.err)
    }
    for (lines, factors, part) in [
      ([], "a", "no rows"), (["z0,z1,a"], "a", "no rows"),
      (["z0,z1,a"] + good, "b", "no column 'b'"), (["z0,a,a"] + good, "a", "two columns a"),
      (["z0,z1,a"] + good, nil, "--factors"), (["z0,z1,a", "1,2"], "a", "Line 2"),
      (["z0,z1,a"] + good + ["nan,1,2"], "a", "in line 182"),
      (["z0,z1,a"] + good + ["1,1,"], "a", "no number in line 182"),
      (["z0,z1,a"] + good + ["1,1,inf"], "a", "no number in line 182"),
      (["z0,z1,a"] + good.map { $0 + "x" } + ["1,1,2"], "a", "words in all"),
    ] as [([String], String?, String)] {
      let (status, sentence) = try status(lines, factors)
      #expect(status == 1 && sentence.contains(part), "\(sentence)")
    }
    for name in ["none.csv", "none.safetensors"] {
      let missing = try canon("disentanglement", temporary(name), "--factors", "a")
      #expect(missing.status == 1 && missing.err.contains("There is no file"))
    }
    let other = temporary("other.safetensors")
    try Safetensors(tensors: ["codes": .zeros([4])]).write(to: other)
    #expect(try canon("disentanglement", other).err.contains("[count, dimensions]"))
    for wrong in [
      ["--metrics", "fid"], ["--fixed", "0"], ["--bins", "1"], ["--factors", "a,a"],
    ] {
      #expect(try canon(["disentanglement", other] + wrong).status == 64, "\(wrong)")
    }
  }
}
