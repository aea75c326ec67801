/* ---- grid and filters: samples in 2^-14 mV, taps in 2^-20 ---- */

#define LIMIT ((int32_t)1 << 24) /* 1024 mV */

static int32_t held(int64_t x)
{
    return x > LIMIT ? LIMIT : x < -LIMIT ? -LIMIT : (int32_t)x;
}

static int32_t to_grid(int16_t code)
{
    uint64_t u = (uint64_t)((int32_t)code + 32768);
    return held((int64_t)((u * GAIN_MULTIPLIER + GAIN_OFFSET) >> GAIN_SHIFT) - GAIN_BASE);
}

/* Half upwards; the shift is of an unsigned number, since C leaves that of a negative one to the compiler. */
static int32_t rounded(int64_t sum)
{
    return held((int64_t)((uint64_t)(sum + ((int64_t)1 << 19) + ((int64_t)1 << 62)) >> 20) - ((int64_t)1 << 42));
}

static void stage_reset(const stage_design *d, edge_mi_stage *s)
{
    memset(s, 0, sizeof *s);
    s->ahead = d->half / d->up + 1;
    s->phase = (uint16_t)(d->half % d->up);
}

static void stage_put(const stage_design *d, edge_mi_stage *s, int32_t *x, int32_t value)
{
    s->ahead--;
    if (s->received <= d->reach) {
        x[d->reach + s->received] = value;
        s->received++;
        if (s->received > d->reach) { /* enough for the odd reflection before the first sample */
            const int32_t *first = x + d->reach;
            for (size_t k = 1; k <= d->reach; k++) x[d->reach - k] = 2 * first[0] - first[k];
            s->fill = (uint16_t)(2 * d->reach + 1);
        }
        return;
    }
    if (s->fill == d->capacity) {
        memmove(x, x + d->capacity - d->keep, d->keep * sizeof *x);
        s->fill = d->keep;
    }
    x[s->fill++] = value;
}

static int stage_take(const stage_design *d, edge_mi_stage *s, const int32_t *x, int32_t *result)
{
    if (s->received <= d->reach || s->ahead > 0) return 0;
    if (s->mirrored > 0 && (s->ahead + s->mirrored) * d->up + s->phase > d->half) return 0; /* beyond the end */
    const int32_t *first = x + (s->fill + s->ahead - d->length);
    int64_t sum = 0;
    if (d->up == 1) {
        const int32_t *last = first + 2 * d->half;
        for (size_t i = 0; i < d->half; i++) sum += (int64_t)(first[i] + *last--) * d->taps[i];
        sum += (int64_t)first[d->half] * d->taps[d->half];
    } else {
        const int32_t *taps = d->taps + (size_t)s->phase * d->length;
        for (size_t i = 0; i < d->length; i++) sum += (int64_t)first[i] * taps[i];
    }
    *result = rounded(sum);
    uint32_t phase = (uint32_t)s->phase + d->down;
    s->ahead += (int32_t)(phase / d->up);
    s->phase = (uint16_t)(phase % d->up);
    return 1;
}

/* One sample of the odd reflection after the last one; 0 where the stage needs no more. */
static int stage_mirror(const stage_design *d, edge_mi_stage *s, int32_t *x)
{
    if (s->received <= d->reach || s->mirrored == d->reach) return 0;
    const int32_t *last = x + s->fill - 1 - s->mirrored;
    s->mirrored++;
    stage_put(d, s, x, 2 * last[0] - *(last - s->mirrored));
    return 1;
}

