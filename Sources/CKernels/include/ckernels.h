// The kernels: plain loops on contiguous floats, compiled once per instruction set.
//
// Every public function `ck_NAME` calls the body of the instruction set chosen when the library is
// loaded: AVX-512 (x86-64-v4), AVX2 with FMA (x86-64-v3), or portable. The environment variable
// CANON_CPU=avx512|avx2|portable forces a path that the machine supports.
#ifndef CKERNELS_H
#define CKERNELS_H

#include <stddef.h>
#include <stdint.h>

/// The name of the instruction set in use: "avx512", "avx2" or "portable".
const char *ck_path(void);
/// How many floats its vectors have.
int ck_width(void);
/// How many columns of a matrix lie together where it is laid out in panels, [panel][row][ck_panel()]: those of a tile.
/// Rows a power of two apart, or of which each tile reads a half, would compete for the same cache sets.
int ck_panel(void);

/// Whether this thread runs a piece of a parallel loop; see Parallel in TensorCore.
int ck_is_worker(void);
void ck_set_worker(int on);

/* How many processors this process may run on, at least 1: mpirun, taskset and containers hold it to some. */
int ck_processor_count(void);
/// Waits for some cycles, as a loop does that looks for a change.
void ck_pause(void);
/// The system's number of this thread.
int ck_thread(void);
/// Keeps a thread, by its number, off the CPU that this one runs on, where the process may use others.
///
/// A kernel that sees no cache that two CPUs share, as in many virtual machines, wakes a thread on the CPU of who wakes it: in
/// place of who waits for it.
void ck_keep_off_this_cpu(int thread);
/// Lets this thread run on every CPU again that the program's first thread may run on.
void ck_return_to_all_cpus(void);

/// c = a b, of [m, k] and [k, n] in rows, or of what is transposed in memory, by OpenBLAS on this thread; the strides are between rows in
/// memory. The program ends, with a sentence, where OpenBLAS is not there.
void ck_sgemm(int a_transposed, int b_transposed, size_t m, size_t n, size_t k, const float *a, size_t a_stride, const float *b,
              size_t b_stride, float *c, size_t c_stride);
/// The CPU that OpenBLAS's kernels are for; empty where it does not say.
const char *ck_blas_core(void);
/// Lets OpenBLAS, where it is there, take the buffers of so many threads, which it keeps.
void ck_blas_take_buffers(size_t count);

/// Tells the address sanitizer, where one looks on, how many bytes of a block may be touched; the others up to its capacity may not.
void ck_mark_block(const void *block, size_t usable, size_t capacity);

/// Opens a new file that lies in memory and has no name; -1 where the system has none.
int ck_memory_file(void);

/// How many floats past its end a buffer must be readable: kernels load whole vectors.
#define CK_SLACK 32

/// A matrix product whose left operand is gathered by two offset tables:
///
///     c[c_offsets[r] + j] = added[c_offsets[r] + j] + bias[j] + sum over k of a[row_offsets[r] + depth_offsets[k]] * b[k * b_stride + j]
///
/// for r < rows, j < columns. A convolution (rows: output pixels; depth: taps and input channels),
/// its input gradient, and its weight gradient (rows: taps and input channels; depth: output
/// pixels) are all of this form, without a copy of the input. The sum runs over k in order, one
/// accumulator per element, so that a result does not depend on how rows are split.
typedef struct {
  size_t rows, columns, depth;
  const float *a;
  const ptrdiff_t *row_offsets;
  const ptrdiff_t *depth_offsets;
  const float *b;
  size_t b_stride;
  size_t b_panel;     // 0, or b comes in panels of ck_panel() columns, this many floats apart
  float *c;
  const ptrdiff_t *c_offsets;
  const float *bias;  // `columns` values, or NULL
  const float *added; // where c is, or laid out like it, or NULL
  int continues;      // the sums go on from what is in c: over a part of the depth after another they are those over all
  int relu;           // clamp the result at zero
} ck_gather_product_args;

/// A convolution of an image, `width` pixels of `channels` a row, by square kernels: `blocks` times `half` filters (whole panels), and
/// as many that are these turned by half a turn, [blocks, 2, half]. Every pixel has all its neighbors; of the result a row has
/// `out_width` pixels.
///
/// For the first kernel^2 / 2 taps, in order, and the channels of each: `even` holds the means of filters and opposites in panels of
/// ck_panel() filters, of an odd kernel those of the central tap behind them, and `odd` half of what they differ by.
/// Scratch holds kernel^2 numbers for each of `out_width` pixels' channels, rounded up to 16.
typedef struct {
  size_t width, channels, kernel, out_width, blocks, half;
  const float *even, *odd;
  const float *bias;  // of all filters, or NULL
  int relu;
} ck_opposites_args;

/// A convolution of each channel of an image [height, width, channels] by a kernel of its own, [kernel_height,
/// kernel_width, channels], with `padding` zeros around it. Of the result, `columns` wide, some rows are done; the sum runs
/// over the taps in order. Of the channels those from `first` to before `end` are done; `first` begins two vectors of them.
/// Scratch holds what the rows read of two vectors of channels, the kernel's taps and the bias of these.
typedef struct {
  size_t height, width, channels, columns, kernel_height, kernel_width, stride, padding, dilation, first, end;
  const float *weight;
  const float *bias;  // `channels` values, or NULL
  int relu;
} ck_depthwise_args;

/// Some images' part of a 3 x 3 convolution by Winograd's F(tile x tile, 3 x 3), tile 4 or 7, stride 1: see winograd.h.
///
/// Of every image the tile rows first_row ..< first_row + rows are done, ceil(out_width / tile) tiles each;
/// `tiles` is their number in all images. Scratch holds (tile + 2)^2 points, `*_point` floats apart, of one row per tile, `*_stride` floats apart (whole vectors: at least the channels
/// rounded up to 16). `input_rows[t]` = t * input_stride, `output_rows[t]` = t * output_stride,
/// `weight_rows[c]` = c * outputs, and `counting[i]` = i up to the channels.
///
/// Of the outputs `count` are done, from `first_output` on, which begins a panel; the scratch holds these alone, and the
/// matrices begin with them: each has `panels` of them or more.
typedef struct {
  size_t tile, images, height, width, channels, out_height, out_width, outputs, padding, first_row, rows, tiles;
  size_t first_output, count, panels;
  float *input_scratch, *output_scratch;
  size_t input_stride, input_point, output_stride, output_point;
  const ptrdiff_t *input_rows, *output_rows, *weight_rows, *counting;
  const float *bias;  // `outputs` values, or NULL
  const float *added; // to the result, laid out like it, or NULL
  int relu;
} ck_winograd_args;

/// Elementwise functions of one argument.
typedef enum {
  CK_NEGATE, CK_ABS, CK_SQUARE, CK_SQRT, CK_EXP, CK_LOG, CK_RELU, CK_SIGMOID, CK_TANH, CK_RECIPROCAL,
  CK_SIN, CK_COS, CK_STEP, CK_SIGN, CK_SOFTPLUS, CK_ERF, CK_GELU, CK_SWISH, CK_HARD_SWISH
} ck_unary_op;

/// Elementwise functions of two arguments.
typedef enum {
  CK_ADD, CK_SUBTRACT, CK_MULTIPLY, CK_DIVIDE, CK_MAXIMUM, CK_MINIMUM, CK_GREATER, CK_EQUAL
} ck_binary_op;

/// Reductions.
typedef enum { CK_SUM, CK_MAX, CK_MIN } ck_reduce_op;

/// How a resampling kernel reads between pixels.
typedef enum { CK_NEAREST, CK_BILINEAR, CK_BICUBIC } ck_interpolation;

/// What a resampling kernel reads outside the image.
typedef enum { CK_ZERO, CK_EDGE, CK_REFLECT } ck_border;

/// One affine resampling of an image [height, width, channels] onto [out_height, out_width, channels].
///
/// The output pixel (y, x) takes the value of the input at
///
///     sx = cx + m[0]*(x - ox) + m[1]*(y - oy) + m[2]
///     sy = cy + m[3]*(x - ox) + m[4]*(y - oy) + m[5]
///
/// with (cx, cy) and (ox, oy) the centers of input and output. The displacement from (cx, cy) is
/// rounded to multiples of 2^-16 pixel, and the bilinear sum pairs opposite corners: thus a
/// rotation about the center commutes bit for bit with quarter turns and flips.
///
/// With a backdrop the value fades to it where a place is less than a pixel from what is beside `inside`, which may reach beyond the
/// image: the border policy continues it so far.
typedef struct {
  size_t height, width, channels, out_height, out_width;
  double m[6];
  ck_interpolation interpolation;
  ck_border border;
  const float *next;  // an image of the same size that comes after this one, fetched into the cache meanwhile, or NULL
  int fetched;        // whether this one was
  const float *backdrop;  // `channels` numbers that show beside the image, or NULL: the border policy alone then
  int64_t inside[4];  // from where to where the image is seen, first and end: left, top, right, bottom, in its pixels
} ck_warp_args;

/// A number with some decimals, rounded exactly, ties to even: at most 310 characters and the decimals.
void ck_decimals(double value, int decimals, char *text, size_t size);

#define KERNEL(name, params, args) void ck_##name params;
#include "kernels.def"
#undef KERNEL

#endif
