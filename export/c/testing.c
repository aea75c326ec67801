#ifdef EDGE_MI_TESTING
size_t edge_mi_test_state_bytes(void)
{
    return sizeof(edge_mi_state);
}

void edge_mi_test_network(edge_mi_state *s, int first, const int8_t *samples, size_t n, int8_t *embedding, int8_t *logits)
{
    if (first) network_reset(s);
    for (size_t i = 0; i < n; i++) network_put(s, samples[i]);
    network_head(s, embedding, logits);
}

static size_t test_drain(edge_mi_state *s, int32_t *filtered)
{
    size_t count = 0;
#if EDGE_MI_RESAMPLER_BUFFER
    int32_t x;
    while (stage_take(&RESAMPLER, &s->stages[0], s->resampler_x, &x)) {
        stage_put(&FIR, &s->stages[1], s->fir_x, x);
        while (stage_take(&FIR, &s->stages[1], s->fir_x, filtered + count)) count++;
    }
#endif
    while (stage_take(&FIR, &s->stages[1], s->fir_x, filtered + count)) count++;
    return count;
}

size_t edge_mi_test_filter(edge_mi_state *s, const int16_t *samples, size_t n, int last, int32_t *filtered)
{
    size_t count = 0;
    if (!s->in_segment) stages_reset(s);
    s->in_segment = 1;
    for (size_t i = 0; i < n; i++) {
#if EDGE_MI_RESAMPLER_BUFFER
        stage_put(&RESAMPLER, &s->stages[0], s->resampler_x, to_grid(samples[i]));
#else
        stage_put(&FIR, &s->stages[1], s->fir_x, to_grid(samples[i]));
#endif
        count += test_drain(s, filtered + count);
    }
    if (!last) return count;
#if EDGE_MI_RESAMPLER_BUFFER
    while (stage_mirror(&RESAMPLER, &s->stages[0], s->resampler_x)) count += test_drain(s, filtered + count);
#endif
    while (stage_mirror(&FIR, &s->stages[1], s->fir_x)) count += test_drain(s, filtered + count);
    s->in_segment = 0;
    return count;
}
#endif
