import TensorCore
import Glibc
func now() -> Double { var t = timespec(); unsafe clock_gettime(CLOCK_MONOTONIC, &t); return Double(t.tv_sec) + Double(t.tv_nsec) * 1e-9 }
func time(_ n: String, _ flop: Double, _ f: () -> Void) { var b = [Double](); for _ in 0..<12 { let s = now(); f(); b.append(now() - s) }; b.sort(); print(n, b[6]*1e3, "ms", flop / b[6] / 1e9, "GF/s") }
var r = RandomStream(seed: 0, name: "x")
Parallel.threadCount = Int(CommandLine.arguments.last!) ?? 2; print(TensorCoreStatistics.instructionSet)
for (h, ci, co, k, s, p) in [(28,1,32,3,1,0),(26,32,32,3,1,0),(24,32,64,5,2,1),(11,64,64,3,1,0),(9,64,64,3,1,0),(7,64,128,5,2,1),(28,32,32,3,1,1),(14,64,64,3,1,1),(28,1,64,5,1,0),(24,64,64,1,1,0)] {
  let x = Tensor.uniform([128,h,h,ci], using: &r), w = Tensor.uniform([k,k,ci,co], using: &r)
  let g = ConvolutionGeometry(stride: s, padding: p)
  let y = x.convolved(with: w, g)
  let fl = 2.0 * Double(y.shape.count * k * k * ci)
  time("fwd \(h) \(ci) \(co) \(k)", fl) { _ = x.convolved(with: w, g) }
  time("  dW", fl) { _ = y.convolutionWeightGradient(input: x, weightShape: w.shape, g) }
  time("  dX", fl) { _ = y.convolutionInputGradient(weight: w, inputShape: x.shape, g) }
}
let a = Tensor.uniform([1024,1024], using: &r)
time("matmul", 2*1024*1024*1024) { _ = a.matmul(a) }
