// The register-tiled product behind every convolution: see ck_gather_product_args in ckernels.h.
//
// A tile is `R` gathered rows by `V` vectors of columns; `b` of its arguments begins at these. Per step of the depth it loads V vectors of
// b and broadcasts R floats of a; the products go to R x V accumulators that never leave registers.

// How many of the valid columns lie in vector v.
#define CK_COUNT(v) (valid > (size_t)(v) * CK_WIDTH ? valid - (size_t)(v) * CK_WIDTH : 0)

// What the sums go on from: a constant number of valid columns makes plain loads of it.
CK_INLINE void CK(begin_tile)(const ck_gather_product_args *p, size_t row, size_t column, size_t valid, const int R,
                              const int V, CK(vec) sum[CK_ROWS][4]) {
#pragma clang loop unroll(full)
  for (int r = 0; r < R; r++) {
    const float *c = p->c + p->c_offsets[row + r] + column;
#pragma clang loop unroll(full)
    for (int v = 0; v < V; v++)
      sum[r][v] = p->continues ? CK(load_vector)(c + v * CK_WIDTH, CK_COUNT(v)) : (CK(vec)){0};
  }
}

CK_INLINE void CK(end_tile)(const ck_gather_product_args *p, size_t row, size_t column, size_t valid, const int R,
                            const int V, CK(vec) sum[CK_ROWS][4]) {
  // Asked once, not at every vector: of a short depth it would take a tenth of the tile's time.
  if (!p->bias && !p->added && !p->relu) {
#pragma clang loop unroll(full)
    for (int r = 0; r < R; r++)
#pragma clang loop unroll(full)
      for (int v = 0; v < V; v++)
        CK(store_vector)(p->c + p->c_offsets[row + r] + column + v * CK_WIDTH, sum[r][v], CK_COUNT(v));
    return;
  }
  if (!p->bias && !p->relu) {
#pragma clang loop unroll(full)
    for (int r = 0; r < R; r++)
#pragma clang loop unroll(full)
      for (int v = 0; v < V; v++) {
        const size_t place = (size_t)p->c_offsets[row + r] + column + (size_t)v * CK_WIDTH;
        CK(store_vector)(p->c + place, sum[r][v] + CK(load_vector)(p->added + place, CK_COUNT(v)), CK_COUNT(v));
      }
    return;
  }
  CK(vec) bias[4];
#pragma clang loop unroll(full)
  for (int v = 0; v < V; v++)
    bias[v] = p->bias ? CK(load_vector)(p->bias + column + v * CK_WIDTH, CK_COUNT(v)) : (CK(vec)){0};
#pragma clang loop unroll(full)
  for (int r = 0; r < R; r++) {
    float *c = p->c + p->c_offsets[row + r] + column;
    const float *added = p->added ? p->added + p->c_offsets[row + r] + column : NULL;
#pragma clang loop unroll(full)
    for (int v = 0; v < V; v++) {
      CK(vec) y = sum[r][v];
      if (p->bias) y += bias[v];
      if (added) y += CK(load_vector)(added + v * CK_WIDTH, CK_COUNT(v));
      if (p->relu) y = CK(rectified)(y);
      CK(store_vector)(c + v * CK_WIDTH, y, CK_COUNT(v));
    }
  }
}
#undef CK_COUNT

// One step of the depth: a vector of b at a time, times each row's number.
CK_INLINE void CK(step)(const float *const a[CK_ROWS], ptrdiff_t o, const float *b, size_t b_panel, CK(vec) sum[CK_ROWS][4],
                        const int R, const int V) {
  // Of a single row nothing but the weights comes from memory, faster than it is asked for line by line.
  if (R == 1 && V == 4) {
    __builtin_prefetch(b + 24 * CK_PANEL);
    __builtin_prefetch(b + 24 * CK_PANEL + b_panel);
  }
  CK(vec) bv[4];
#pragma clang loop unroll(full)
  for (int v = 0; v < V; v++) bv[v] = *(const CK(vec) *)(b + v / 2 * b_panel + v % 2 * CK_WIDTH);
#pragma clang loop unroll(full)
  for (int r = 0; r < R; r++) {
    const float s = a[r][o];
#pragma clang loop unroll(full)
    for (int v = 0; v < V; v++) {
      sum[r][v] += bv[v] * s;
      CK_IN_ORDER(sum[r][v]);
    }
  }
}

// How the depth's offsets lie.
#ifndef CK_DEPTHS
#define CK_DEPTHS
typedef enum { CK_APART, CK_FOURS, CK_CONTIGUOUS } ck_depth_kind;  // neighbors: not all, each four from the first on, all
#endif

// The part of the next panel that is fetched from memory while four steps are done, of which each has `step` bytes.
#define CK_FETCH_AHEAD(from, step) \
  _Pragma("clang loop unroll(disable)") for (size_t line = 0; line < 4 * (step); line += 64) __builtin_prefetch((from) + line, 0, 2)

// `count` tiles of R rows, one below the other. While they go through the depth, what later ones read is fetched from memory: from
// `ahead` on, so many bytes further at each step. (Numbers, not a struct of them: that would be passed in memory, written in parts
// and read as a whole, for which the processor waits.)
CK_INLINE void CK(tiles)(const ck_gather_product_args *p, size_t row, size_t column, size_t count, const char *ahead, size_t step,
                         ck_depth_kind kind, const int R, const int V) {
  typedef CK(vec) vec;
  const size_t remaining = p->columns - column, all = (size_t)V * CK_WIDTH;
  for (; count > 0; count--, row += (size_t)R) {
    const float *a[CK_ROWS];
    vec sum[CK_ROWS][4];
#pragma clang loop unroll(full)
    for (int r = 0; r < R; r++) {
      a[r] = p->a + p->row_offsets[row + r];
      // The result's lines come in while the sums are made: measured 5-10 % faster.
      const float *c = p->c + p->c_offsets[row + r] + column;
#pragma clang loop unroll(full)
      for (int v = 0; v < V; v++) __builtin_prefetch(c + v * CK_WIDTH, 1);
    }
    if (remaining < all) CK(begin_tile)(p, row, column, remaining, R, V, sum);
    else CK(begin_tile)(p, row, column, all, R, V, sum);
    const float *b = p->b;
    const ptrdiff_t *offsets = p->depth_offsets;
    // Read once: kept in order, the compiler would read them anew at each step.
    const size_t depth = p->depth, b_stride = p->b_stride, b_panel = p->b_panel;
    size_t k = 0;
    // Four steps at a time, of which one is looked up: the fewer other instructions there are, the more multiplications a core
    // does whose other thread is busy too.
    if (kind != CK_APART)
      for (; k + 4 <= depth; k += 4) {
        const ptrdiff_t o = offsets[k];
        CK_FETCH_AHEAD(ahead, step);
        ahead += 4 * step;
#pragma clang loop unroll(full)
        for (int u = 0; u < 4; u++, b += b_stride) CK(step)(a, o + u, b, b_panel, sum, R, V);
      }
    for (; k < depth; k++, b += b_stride) {
      __builtin_prefetch(ahead, 0, 2);
      ahead += step;
      CK(step)(a, offsets[k], b, b_panel, sum, R, V);
    }
    if (remaining < all) CK(end_tile)(p, row, column, remaining, R, V, sum);
    else CK(end_tile)(p, row, column, all, R, V, sum);
  }
}

// The same of whole vectors, sums from zero on and nothing done to them, of a depth in fours that lies in one piece: what is looked up
// and asked otherwise takes as long as five steps of the depth.
CK_INLINE void CK(plain_tiles)(const ck_gather_product_args *p, size_t row, size_t column, size_t count, const char *ahead,
                               size_t step, const int R, const int V) {
  typedef CK(vec) vec;
  const size_t depth = p->depth, b_stride = p->b_stride, b_panel = p->b_panel;
  const float *b_first = p->b, *a_first = p->a + p->depth_offsets[0];
  float *c = p->c + column;
  const ptrdiff_t *rows = p->row_offsets + row, *results = p->c_offsets + row;
  for (; count > 0; count--, rows += R, results += R) {
    const float *a[CK_ROWS], *b = b_first;
    vec sum[CK_ROWS][4];
#pragma clang loop unroll(full)
    for (int r = 0; r < R; r++) {
      a[r] = a_first + rows[r];
#pragma clang loop unroll(full)
      for (int v = 0; v < V; v++) {
        if (v * CK_WIDTH % 16 == 0) __builtin_prefetch(c + results[r] + v * CK_WIDTH, 1);
        sum[r][v] = (vec){0};
      }
    }
    const float *const end = a[0] + depth;
    do {
      CK_FETCH_AHEAD(ahead, step);
      ahead += 4 * step;
#pragma clang loop unroll(full)
      for (int u = 0; u < 4; u++, b += b_stride) CK(step)(a, u, b, b_panel, sum, R, V);
#pragma clang loop unroll(full)
      for (int r = 0; r < R; r++) a[r] += 4;
    } while (a[0] < end);
#pragma clang loop unroll(full)
    for (int r = 0; r < R; r++)
#pragma clang loop unroll(full)
      for (int v = 0; v < V; v++) *(vec *)(c + results[r] + v * CK_WIDTH) = sum[r][v];
  }
}

#define CK_SHAPED(R, V) \
  CK_BODY static void CK(tiles_##R##x##V)(const ck_gather_product_args *p, size_t row, size_t column, size_t count, \
                                          const char *ahead, size_t step, ck_depth_kind kind) { \
    CK(tiles)(p, row, column, count, ahead, step, kind, R, V); \
  } \
  CK_BODY static void CK(plain_tiles_##R##x##V)(const ck_gather_product_args *p, size_t row, size_t column, size_t count, \
                                                const char *ahead, size_t step, ck_depth_kind kind) { \
    (void)kind; \
    CK(plain_tiles)(p, row, column, count, ahead, step, R, V); \
  }
#define CK_TILE(R) CK_SHAPED(R, 1) CK_SHAPED(R, 2)
CK_TILE(1) CK_TILE(2) CK_TILE(3) CK_TILE(4)
#if CK_ROWS > 4
CK_TILE(5) CK_TILE(6)
#endif
#if CK_ROWS > 6
CK_TILE(7) CK_TILE(8) CK_TILE(9) CK_TILE(10) CK_TILE(11) CK_TILE(12) CK_TILE(13) CK_TILE(14)
#endif
#undef CK_TILE
// A single row has too few sums for the time that one addition takes: two panels of them.
CK_SHAPED(1, 4)
#undef CK_SHAPED
#undef CK_FETCH_AHEAD

#define CK_GATHERED 2048

CK_BODY static void CK(gather_product)(const ck_gather_product_args *p, ck_depth_kind kind) {
  typedef void (*tiles)(const ck_gather_product_args *, size_t, size_t, size_t, const char *, size_t, ck_depth_kind);
#define CK_TILE(R) {{CK(tiles_##R##x1), CK(tiles_##R##x2)}, {CK(plain_tiles_##R##x1), CK(plain_tiles_##R##x2)}},
  static const tiles shapes[CK_ROWS][2][2] = {
      CK_TILE(1) CK_TILE(2) CK_TILE(3) CK_TILE(4)
#if CK_ROWS > 4
      CK_TILE(5) CK_TILE(6)
#endif
#if CK_ROWS > 6
      CK_TILE(7) CK_TILE(8) CK_TILE(9) CK_TILE(10) CK_TILE(11) CK_TILE(12) CK_TILE(13) CK_TILE(14)
#endif
  };
#undef CK_TILE
  // Rows are dealt out evenly: 15 rows are tiles of 8 and 7, not of 14 and 1. Divided here, once: a tile of a short depth takes
  // hardly longer than two divisions.
  if (p->rows == 0) return;
  const size_t count = (p->rows + CK_ROWS - 1) / CK_ROWS;
  const size_t least = p->rows / count, larger = p->rows - least * count;
  const size_t step = CK_PANEL * sizeof(float) / count;
  const int is_bare = kind == CK_CONTIGUOUS && p->depth % 4 == 0 && p->depth > 0 && !p->bias && !p->added && !p->relu && !p->continues;
  // Columns of b that many tiles read are gathered once, where they do not come in panels.
  const int gathers = !p->b_panel && p->depth > 0 && p->depth <= CK_GATHERED && count > 4 && p->columns > 2 * CK_WIDTH;
  // On the stack: memory of each thread's own would be touched, all of it, when the thread begins.
  CK(vec) gathered[gathers ? p->depth * CK_PANEL / CK_WIDTH : 1];
  for (size_t column = 0; column < p->columns;) {
    const int wide = p->columns - column > CK_WIDTH;
    ck_gather_product_args part = *p;
    part.b = p->b + column;
    if (gathers) {
      for (size_t k = 0; k < p->depth; k++)
        for (int v = 0; v < 1 + wide; v++)
          gathered[k * CK_PANEL / CK_WIDTH + (size_t)v] =
              *(const CK(vec) *)(p->b + k * p->b_stride + column + (size_t)v * CK_WIDTH);
      part.b = (const float *)gathered;
      part.b_stride = CK_PANEL;
    } else if (p->b_panel) {
      part.b = p->b + column / CK_PANEL * p->b_panel + column % CK_PANEL;
      part.b_stride = CK_PANEL;
    }
    if (p->rows == 1 && p->b_panel && p->columns - column > CK_PANEL) {
      CK(tiles_1x4)(&part, 0, column, 1, (const char *)part.b, 0, kind);
      column += 2 * CK_PANEL;
      continue;
    }
    // The next columns' weights come from memory while these are multiplied, a little at each step: products whose weights
    // lie in no cache reach the speed of those whose do (98 GFLOP/s a core before, 154 after).
    const size_t next = column + (wide ? 2 * CK_WIDTH : CK_WIDTH);
    const int fetches = p->b_panel && next < p->columns;
    const char *ahead = (const char *)(fetches ? p->b + next / CK_PANEL * p->b_panel + next % CK_PANEL : part.b);
    const int plain = is_bare && p->columns - column >= (wide ? 2 : 1) * CK_WIDTH;
    const size_t bytes = fetches ? step : 0, above = larger * (least + 1);
    if (larger > 0) shapes[least][plain][wide](&part, 0, column, larger, ahead, bytes, kind);
    if (count > larger)
      shapes[least - 1][plain][wide](&part, above, column, count - larger, ahead + larger * p->depth * bytes, bytes, kind);
    column = next;
  }
}
#undef CK_GATHERED

CK_BODY void CK(ck_gather_product)(const ck_gather_product_args *p) {
  const ptrdiff_t *o = p->depth_offsets;
  ptrdiff_t within = 0, between = 0;
  // Of a single row looking would take as long as it saves.
  if (p->rows > 1)
    for (size_t k = 0; k + 4 <= p->depth; k += 4) {
      within |= (o[k + 1] - o[k] - 1) | (o[k + 2] - o[k] - 2) | (o[k + 3] - o[k] - 3);
      between |= o[k] - o[0] - (ptrdiff_t)k;
    }
  CK(gather_product)(p, p->rows == 1 || within ? CK_APART : between ? CK_FOURS : CK_CONTIGUOUS);
}

CK_BODY void CK(ck_prefetch)(size_t n, const float *x) {
  for (size_t i = 0; i < n; i += 16) __builtin_prefetch(x + i);
}
