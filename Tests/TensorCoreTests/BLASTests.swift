import Foundation
import TensorCore
import Testing

@Suite struct BLASTests {
  /// A CPU that OpenBLAS does not know gets kernels for its vectors all the same.
  @Test func kernelsFitTheCPU() throws {
    _ = Tensor.zeros([1, 1])
    guard unsafe getenv("OPENBLAS_CORETYPE") == nil, try hasVectors(),
      let symbol = unsafe dlsym(nil, "openblas_get_corename")
    else { return }
    let name = unsafe unsafeBitCast(
      symbol, to: (@convention(c) () -> UnsafePointer<CChar>).self)
    let old = ["Prescott", "Core2", "Nehalem", "Sandybridge", "Barcelona", "Bulldozer"]
    #expect(unsafe !old.contains(String(cString: name())))
  }

  private func hasVectors() throws -> Bool {
    let cpu = try String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)
    return cpu.contains(" avx2 ") && cpu.contains(" fma ")
  }
}
