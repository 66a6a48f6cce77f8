// What shows beside a turned picture: see ck_warp_args. Contraction is off: see warp_places.h.

// How much of each place of a run is the picture's, the bilinear value there of ones within and zeros beside it; whether any is.
CK_INLINE int CK(backdrop_shares)(const ck_warp_args *w, const CK(run) *run, size_t count, float share[CK_RUN]) {
#pragma clang fp contract(off)
  typedef CK(run_float) floats;
  typedef CK(run_integer) integer;
  const floats fx = *(const floats *)run->fx, fy = *(const floats *)run->fy, gx = 1 - fx, gy = 1 - fy;
  const integer x = *(const integer *)run->x, y = *(const integer *)run->y, one = (integer)((floats){0} + 1.0f);
  const int32_t left = (int32_t)w->inside[0], top = (int32_t)w->inside[1], right = (int32_t)w->inside[2], bottom = (int32_t)w->inside[3];
  const integer here_x = (x >= left) & (x < right), next_x = (x >= left - 1) & (x < right - 1);
  const integer here_y = (y >= top) & (y < bottom), next_y = (y >= top - 1) & (y < bottom - 1);
  const floats sum = (gy * gx * (floats)(here_y & here_x & one) + fy * fx * (floats)(next_y & next_x & one)) +
                     (gy * fx * (floats)(here_y & next_x & one) + fy * gx * (floats)(next_y & here_x & one));
  // Of a place that lies within the weights are not one to the last digit, and the picture is to stay as it is.
  const integer all = here_x & next_x & here_y & next_y;
  *(floats *)share = (floats)((all & one) | (~all & (integer)sum));
  for (size_t k = 0; k < count; k++)
    if (share[k] != 0) return 1;
  return 0;
}

// Fades to the backdrop where less than all of a place is the picture's.
CK_INLINE void CK(backdrop_fade)(const ck_warp_args *w, const float share[CK_RUN], size_t count, float *y) {
#pragma clang fp contract(off)
  for (size_t k = 0; k < count; k++, y += w->channels) {
    if (share[k] == 1) continue;
    for (size_t c = 0; c < w->channels; c++) y[c] = y[c] * share[k] + w->backdrop[c] * (1 - share[k]);
  }
}
