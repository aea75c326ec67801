/* ---- quality: whether the window can be judged at all ---- */

static edge_mi_block *block(edge_mi_state *s, size_t i)
{
    return &s->blocks[(s->block_at + i) % EDGE_MI_BLOCKS];
}

static void block_open(edge_mi_state *s)
{
    edge_mi_block *b;
    if (s->block_count > 0 && block(s, s->block_count - 1u)->n == 0) return; /* a start and an end in one place */
    if (s->block_count == EDGE_MI_BLOCKS) return; /* never: the ring holds all that a window can wait for */
    b = block(s, s->block_count++);
    memset(b, 0, sizeof *b);
    b->start = (uint32_t)s->raw;
}

/* Where a window starts or ends a new block begins, so that every window is a row of whole blocks. */
static void raw_put(edge_mi_state *s, int32_t x)
{
    if (s->raw == s->starts_at) {
        block_open(s);
        s->starting += EDGE_MI_HOP;
        s->starts_at = (s->starting - EDGE_MI_WINDOW) * EDGE_MI_RATE_HZ / EDGE_MI_MODEL_RATE_HZ;
    }
    if (s->raw == s->stops_at) {
        block_open(s);
        s->stopping += EDGE_MI_HOP;
        s->stops_at = (s->stopping - 1) * EDGE_MI_RATE_HZ / EDGE_MI_MODEL_RATE_HZ + 1;
    }
    s->raw++;
    if (s->block_count == 0) return;
    edge_mi_block *b = block(s, s->block_count - 1u);
    b->sum += x;
    if (b->n == 0) {
        b->first = b->last = b->high = b->low = x;
        b->n = b->prefix = b->suffix = b->longest = 1;
        return;
    }
    if (x != b->last) {
        if (b->prefix < b->n && b->suffix >= 3) { /* a run that touches neither end */
            if (b->last == b->high) b->at_high = (uint16_t)(b->at_high + b->suffix);
            if (b->last == b->low) b->at_low = (uint16_t)(b->at_low + b->suffix);
        }
        b->suffix = 0;
    } else if (b->prefix == b->n) {
        b->prefix++;
    }
    b->n++;
    b->suffix++;
    b->last = x;
    if (b->suffix > b->longest) b->longest = b->suffix;
    if (x > b->high) {
        b->high = x;
        b->at_high = 0;
    }
    if (x < b->low) {
        b->low = x;
        b->at_low = 0;
    }
}

typedef struct {
    int64_t sum;
    int32_t high, low;
    uint32_t n, longest, at_high, at_low;
} raw_facts;

static void end_run(raw_facts *f, int32_t value, uint32_t length)
{
    if (length > f->longest) f->longest = length;
    if (length < 3) return;
    if (value == f->high) f->at_high += length;
    if (value == f->low) f->at_low += length;
}

/* What the rules need of the raw samples under the window that ends at the present position. */
static raw_facts raw_window(edge_mi_state *s)
{
    uint32_t start = (uint32_t)((s->position - EDGE_MI_WINDOW) * EDGE_MI_RATE_HZ / EDGE_MI_MODEL_RATE_HZ);
    uint32_t stop = (uint32_t)((s->position - 1) * EDGE_MI_RATE_HZ / EDGE_MI_MODEL_RATE_HZ + 1);
    raw_facts f;
    size_t count = 0;
    int32_t value = 0;
    uint32_t run = 0;
    memset(&f, 0, sizeof f);
    while (s->block_count > 0 && block(s, 0)->start != start) { /* of windows that are answered */
        s->block_at = (uint16_t)((s->block_at + 1) % EDGE_MI_BLOCKS);
        s->block_count--;
    }
    for (; count < s->block_count && block(s, count)->start != stop; count++) {
        const edge_mi_block *b = block(s, count);
        if (b->n == 0) break;
        if (count == 0 || b->high > f.high) f.high = b->high;
        if (count == 0 || b->low < f.low) f.low = b->low;
        f.sum += b->sum;
        f.n += b->n;
    }
    for (size_t i = 0; i < count; i++) {
        const edge_mi_block *b = block(s, i);
        if (run > 0 && b->first != value) {
            end_run(&f, value, run);
            run = 0;
        }
        if (b->prefix == b->n) { /* one run from end to end */
            value = b->first;
            run += b->n;
            continue;
        }
        end_run(&f, b->first, run + b->prefix);
        if (b->longest > f.longest) f.longest = b->longest;
        if (b->high == f.high) f.at_high += b->at_high;
        if (b->low == f.low) f.at_low += b->at_low;
        value = b->last;
        run = b->suffix;
    }
    end_run(&f, value, run);
    return f;
}

static int far_from_mean(const raw_facts *f, int32_t extreme)
{
    int64_t distance = (int64_t)f->n * extreme - f->sum;
    return (distance < 0 ? -distance : distance) >= (int64_t)f->n * SATURATED_DISTANCE;
}

static edge_mi_reason rule(edge_mi_state *s)
{
    raw_facts f = raw_window(s);
    int32_t high = s->window[0], low = s->window[0];
    uint32_t at_extremes = 0;
    for (size_t i = 1; i < EDGE_MI_WINDOW; i++) {
        if (s->window[i] > high) high = s->window[i];
        if (s->window[i] < low) low = s->window[i];
    }
    if (high - low > WRONG_GAIN_SPAN) return EDGE_MI_WRONG_GAIN;
    if (f.longest >= FLAT_RUN || high - low < FLAT_SPAN) return EDGE_MI_FLAT;
    if (far_from_mean(&f, f.high)) at_extremes += f.at_high;
    if (f.high != f.low && far_from_mean(&f, f.low)) at_extremes += f.at_low;
    if (at_extremes >= SATURATED_SAMPLES) return EDGE_MI_SATURATED;
    return high - low > NOISE_SPAN ? EDGE_MI_NOISE : EDGE_MI_NO_REASON;
}

static edge_mi_reason assess(edge_mi_state *s, edge_mi_decision *decision)
{
    int16_t peaks[MAX_PEAKS];
    int32_t beats[BEAT];
    edge_mi_reason reason = rule(s);
    if (reason != EDGE_MI_NO_REASON) return reason;
    size_t count = find_peaks(s, peaks);
    if (count < 3) return EDGE_MI_LEAD_OFF;
    decision->heart_rate_dbpm = heart_rate_dbpm(peaks, count);
    decision->quality_permille = likeness(s, peaks, count, beats);
    if (decision->quality_permille >= 0 && decision->quality_permille < MIN_QUALITY) return EDGE_MI_NOISE;
#if EDGE_MI_POLARITY_CHECK
    if (!s->trusted && decision->quality_permille >= 0) watch_polarity(s, correlation(beats));
#endif
    return s->upside_down && !s->trusted ? EDGE_MI_INVERTED : EDGE_MI_NO_REASON;
}

