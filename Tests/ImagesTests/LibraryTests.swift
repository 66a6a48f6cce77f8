import CLibraries
import Glibc
import Testing

@Suite struct LibraryTests {
  @Test(
    "A library is loaded with its functions, and what is missing of it is said",
    arguments: [
      ("libm.so.6", ["cos", "sin"], nil),
      ("libm.so.6", ["cos", "canon_has_none"], "canon_has_none"),
      ("libcanon-has-none.so.6", ["cos"], "libcanon-has-none.so.6"),
    ] as [(String, [String], String?)])
  func loaded(file: String, names: [String], missing: String?) {
    let path = unsafe strdup(file)
    let texts = UnsafeMutablePointer<UnsafePointer<CChar>?>.allocate(capacity: names.count)
    let functions = UnsafeMutablePointer<UnsafeMutableRawPointer?>.allocate(capacity: names.count)
    for (n, name) in names.enumerated() {
      unsafe (texts + n).initialize(to: UnsafePointer(strdup(name)))
      unsafe (functions + n).initialize(to: nil)
    }
    defer {
      for n in names.indices { unsafe free(UnsafeMutablePointer(mutating: texts[n])) }
      unsafe free(path)
      unsafe texts.deallocate()
      unsafe functions.deallocate()
    }
    var library = unsafe clibrary()
    unsafe (library.file, library.names) = (UnsafePointer(path), UnsafePointer(texts))
    unsafe (library.functions, library.count) = (functions, Int32(names.count))
    // The second time it only says the same again.
    for _ in 0..<2 {
      let reason = unsafe clibrary_missing(&library).map { unsafe String(cString: $0) }
      #expect((reason == nil) == (missing == nil))
      #expect(reason?.contains(missing ?? "") != false)
    }
    let found = (0..<names.count).count { unsafe functions[$0] != nil }
    #expect(found == (missing == nil ? 2 : names.count - 1))
  }
}
