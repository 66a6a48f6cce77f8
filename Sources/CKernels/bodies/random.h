// Philox 4×32 with 10 rounds (Salmon, Moraes, Dror & Shaw, SC 2011), several blocks at once: the numbers of RandomStream.

#define CK_BLOCKS 16

// y[i] = lower + scale u, u the upper 24 bits of the number at position + i, as a fraction of 1. A block holds two numbers.
CK_BODY void CK(ck_uniform)(size_t n, float *y, uint64_t position, uint32_t key0, uint32_t key1,
                            float lower, float scale) {
#pragma clang fp contract(off)
  // Of the first block, the second number alone where the position is odd.
  size_t from = position % 2;
  for (uint64_t block = position / 2; n > 0; block += CK_BLOCKS) {
    uint32_t c0[CK_BLOCKS], c1[CK_BLOCKS], c2[CK_BLOCKS] = {0}, c3[CK_BLOCKS] = {0};
    for (int l = 0; l < CK_BLOCKS; l++) {
      c0[l] = (uint32_t)(block + (uint64_t)l);
      c1[l] = (uint32_t)((block + (uint64_t)l) >> 32);
    }
    uint32_t k0 = key0, k1 = key1;
    for (int round = 0; round < 10; round++) {
      for (int l = 0; l < CK_BLOCKS; l++) {
        const uint64_t a = (uint64_t)c0[l] * 0xD2511F53u, b = (uint64_t)c2[l] * 0xCD9E8D57u;
        c0[l] = (uint32_t)(b >> 32) ^ c1[l] ^ k0;
        c1[l] = (uint32_t)b;
        c2[l] = (uint32_t)(a >> 32) ^ c3[l] ^ k1;
        c3[l] = (uint32_t)a;
      }
      k0 += 0x9E3779B9u;
      k1 += 0xBB67AE85u;
    }
    float u[2 * CK_BLOCKS];
    for (int l = 0; l < CK_BLOCKS; l++) {
      u[2 * l] = lower + scale * ((float)(c1[l] >> 8) * 0x1p-24f);
      u[2 * l + 1] = lower + scale * ((float)(c3[l] >> 8) * 0x1p-24f);
    }
    const size_t count = n < 2 * CK_BLOCKS - from ? n : 2 * CK_BLOCKS - from;
    memcpy(y, u + from, count * sizeof *y);
    y += count;
    n -= count;
    from = 0;
  }
}

#undef CK_BLOCKS
