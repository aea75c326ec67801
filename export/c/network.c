/* ---- network ---- */

#if EDGE_MI_ROUNDING == 0
/* gemmlowp: SaturatingRoundingDoublingHighMul, then RoundingDivideByPOT, both half away from zero. */
static int32_t scaled(const layer *l, size_t o, int32_t sum)
{
    int negative = sum < 0, exponent = l->exponent[o];
    uint64_t x = negative ? (uint64_t)(-(int64_t)sum) : (uint64_t)sum;
    if (exponent > 0) x <<= exponent;
    x = (x * (uint32_t)l->mantissa[o] + ((uint32_t)1 << 30) - (uint32_t)negative) >> 31;
    if (exponent < 0) x = (x + ((uint64_t)1 << (-exponent - 1))) >> -exponent;
    if (x > 512) x = 512; /* beyond int8 already */
    return negative ? -(int32_t)x : (int32_t)x;
}
#else
/* float32 times float32, once to nearest even. Volatile: neither wider registers nor a fused multiply-add may
 * keep digits that float32 has not. */
static int32_t scaled(const layer *l, size_t o, int32_t sum)
{
    volatile float product = (float)sum * l->scale[o];
    float x = product;
    if (x > 512.0f) x = 512.0f;
    if (x < -512.0f) x = -512.0f;
    int32_t whole = (int32_t)x;
    float rest = x - (float)whole;
    if (rest > 0.5f || (rest == 0.5f && whole % 2 != 0)) whole++;
    if (rest < -0.5f || (rest == -0.5f && whole % 2 != 0)) whole--;
    return whole;
}
#endif

static int8_t requantised(const layer *l, size_t o, int32_t sum)
{
    int32_t x = scaled(l, o, sum) + l->zero_point;
    return (int8_t)(x > 127 ? 127 : x < l->lowest ? l->lowest : x);
}

#ifdef USE_DSP
/* Bytes 0 and 2 of four, and bytes 1 and 3, each widened to 16 bits. */
static int16x2_t even_bytes(const int8_t *p)
{
    int8x4_t word;
    memcpy(&word, p, sizeof word);
    return __sxtb16(word);
}

static int16x2_t odd_bytes(const int8_t *p)
{
    uint32_t word;
    memcpy(&word, p, sizeof word);
    return __sxtb16((int8x4_t)(word >> 8 | word << 24));
}
#endif

/* One time step of a layer: x [kernel][in] to y [out]. */
static void convolve(const layer *l, const int8_t *x, int8_t *y)
{
    size_t n = (size_t)l->kernel * l->in, o = 0;
    const int8_t *w = l->weight;
#ifdef USE_DSP
    for (; o + 4 <= l->out; o += 4, w += 4 * n) { /* four outputs share the widened input */
        const int8_t *p = x, *end = x + n / 4 * 4, *w0 = w, *w1 = w + n, *w2 = w + 2 * n, *w3 = w + 3 * n;
        int32_t s0 = l->bias[o], s1 = l->bias[o + 1], s2 = l->bias[o + 2], s3 = l->bias[o + 3];
        for (; p < end; p += 4, w0 += 4, w1 += 4, w2 += 4, w3 += 4) {
            int16x2_t even = even_bytes(p), odd = odd_bytes(p);
            s0 = __smlad(odd, odd_bytes(w0), __smlad(even, even_bytes(w0), s0));
            s1 = __smlad(odd, odd_bytes(w1), __smlad(even, even_bytes(w1), s1));
            s2 = __smlad(odd, odd_bytes(w2), __smlad(even, even_bytes(w2), s2));
            s3 = __smlad(odd, odd_bytes(w3), __smlad(even, even_bytes(w3), s3));
        }
        for (; p < x + n; p++) {
            s0 += *p * *w0++;
            s1 += *p * *w1++;
            s2 += *p * *w2++;
            s3 += *p * *w3++;
        }
        y[o] = requantised(l, o, s0);
        y[o + 1] = requantised(l, o + 1, s1);
        y[o + 2] = requantised(l, o + 2, s2);
        y[o + 3] = requantised(l, o + 3, s3);
    }
#endif
    for (; o < l->out; o++, w += n) {
        int32_t sum = l->bias[o];
#ifdef USE_MVE
        for (size_t i = 0; i < n; i += 16) {
            mve_pred16_t left = vctp8q((uint32_t)(n - i));
            sum = vmladavaq_p_s8(sum, vldrbq_z_s8(x + i, left), vldrbq_z_s8(w + i, left), left);
        }
#else
        for (size_t i = 0; i < n; i++) sum += x[i] * w[i];
#endif
        y[o] = requantised(l, o, sum);
    }
}

static void network_reset(edge_mi_state *s)
{
    memset(s->conv_fill, 0, sizeof s->conv_fill);
    memset(s->frames, 0, sizeof s->frames);
    memset(s->frame_sums, 0, sizeof s->frame_sums);
    s->frame_at = 0;
}

/* One sample; every layer keeps the inputs that its next output shares with the last. */
static void network_put(edge_mi_state *s, int8_t sample)
{
    int8_t outputs[2][MAX_CHANNELS];
    const int8_t *input = &sample;
    int8_t *x = s->conv_x;
    for (size_t i = 0; i < EDGE_MI_CONVS; i++) {
        const layer *l = &LAYERS[i];
        if (s->conv_fill[i] >= 0) memcpy(x + (size_t)s->conv_fill[i] * l->in, input, l->in);
        if (++s->conv_fill[i] < (int16_t)l->kernel) return;
        convolve(l, x, outputs[i % 2]);
        s->conv_fill[i] = (int16_t)(l->kernel - l->stride);
        if (l->kernel > l->stride)
            memmove(x, x + (size_t)l->stride * l->in, (size_t)(l->kernel - l->stride) * l->in);
        input = outputs[i % 2];
        x += (size_t)l->kernel * l->in;
    }
    int8_t *frame = s->frames[s->frame_at];
    for (size_t c = 0; c < EDGE_MI_FEATURES; c++) {
        s->frame_sums[c] += input[c] - frame[c];
        frame[c] = input[c];
    }
    s->frame_at = (uint16_t)((s->frame_at + 1) % EDGE_MI_FRAMES);
}

/* The mean over the frames, whose odd number leaves no ties, and the linear layer. */
static void network_head(const edge_mi_state *s, int8_t *embedding, int8_t *logits)
{
    const int32_t half = EDGE_MI_FRAMES / 2;
    for (size_t c = 0; c < EDGE_MI_FEATURES; c++) {
        int32_t sum = s->frame_sums[c];
        embedding[c] = (int8_t)((sum > 0 ? sum + half : sum - half) / EDGE_MI_FRAMES);
    }
    convolve(&LAYERS[EDGE_MI_CONVS], embedding, logits);
}

/* int8 of a filtered sample: the number of codes whose lower edge it has reached. */
static int8_t quantised(int32_t sample)
{
    int low = 0, high = 255;
    while (low < high) {
        int middle = (low + high) / 2;
        if (sample >= INPUT_EDGES[middle]) low = middle + 1;
        else high = middle;
    }
    return (int8_t)(low - 128);
}

