import CKernels
import Foundation
import TensorCore
import Testing

@Suite struct BLASTests {
  /// A CPU that OpenBLAS does not know gets kernels for its vectors all the same.
  @Test func kernelsFitTheCPU() throws {
    guard unsafe getenv("OPENBLAS_CORETYPE") == nil, try hasVectors() else { return }
    let old = ["Prescott", "Core2", "Nehalem", "Sandybridge", "Barcelona", "Bulldozer"]
    #expect(unsafe !old.contains(String(cString: ck_blas_core())))
  }

  private func hasVectors() throws -> Bool {
    let cpu = try String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)
    return cpu.contains(" avx2 ") && cpu.contains(" fma ")
  }
}
