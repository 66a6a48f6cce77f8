// Parameter updates: of the weights w into another place, since a tape may still hold them; of the state in place.

// Loshchilov & Hutter, Decoupled Weight Decay Regularization, ICLR 2019, algorithm 2.
CK_BODY void CK(ck_adam)(size_t n, float *next, const float *w, const float *g, float *m, float *v, float rate,
                         float beta1, float beta2, float epsilon, float correction1,
                         float correction2, float decay) {
  for (size_t i = 0; i < n; i++) {
    m[i] = beta1 * m[i] + (1 - beta1) * g[i];
    v[i] = beta2 * v[i] + (1 - beta2) * g[i] * g[i];
    next[i] = w[i] - rate * (m[i] * correction1 / (sqrtf(v[i] * correction2) + epsilon) + decay * w[i]);
  }
}

// v = momentum v + g + decay w;  w -= rate v   (Nesterov: w -= rate (g + momentum v))
CK_BODY void CK(ck_momentum)(size_t n, float *next, const float *w, const float *g, float *v, float rate,
                             float momentum, float decay, int nesterov) {
  for (size_t i = 0; i < n; i++) {
    const float d = g[i] + decay * w[i];
    v[i] = momentum * v[i] + d;
    next[i] = w[i] - rate * (nesterov ? d + momentum * v[i] : v[i]);
  }
}
