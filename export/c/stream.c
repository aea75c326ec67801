/* ---- alarm: k of the answered windows of the last seconds, with hysteresis and a latch ---- */

static int alarm(edge_mi_state *s, uint64_t ticks, int positive)
{
    uint16_t kept = 0, positives = 0;
    for (size_t i = 0; i < s->answered_count; i++) {
        if (ticks - s->answered_ticks[i] >= ALARM_SPAN_TICKS) continue;
        s->answered_ticks[kept] = s->answered_ticks[i];
        s->answered_positive[kept] = s->answered_positive[i];
        positives = (uint16_t)(positives + s->answered_positive[kept++]);
    }
    s->answered_ticks[kept] = ticks;
    s->answered_positive[kept++] = (uint8_t)positive;
    positives = (uint16_t)(positives + positive);
    s->answered_count = kept;
    if (positives >= ALARM_ON) s->latched = 1;
    else if (kept >= ALARM_ON && positives <= ALARM_OFF) s->latched = 0;
    return s->latched;
}

/* ---- the grid of hops, in units of 1 / (sensor's rate * model's rate) s ---- */

#define GRID_PHASE ((int64_t)FIRST_POSITION * EDGE_MI_RATE_HZ)
#define GRID_HOP ((int64_t)EDGE_MI_HOP * EDGE_MI_RATE_HZ)

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

static int64_t on_grid(const edge_mi_state *s, uint64_t index)
{
    return (int64_t)(index - s->first_index) * EDGE_MI_MODEL_RATE_HZ;
}

static uint64_t ticks(uint64_t index, int64_t grid)
{
    return (index * EDGE_MI_MODEL_RATE_HZ + (uint64_t)grid) / GRID_PER_TICK;
}

/* Filtered samples from the segment's start to its first decision. */
static uint64_t first_due(edge_mi_state *s)
{
    int64_t start = on_grid(s, s->start_index);
    int64_t next = floor_div(start - GRID_PHASE, GRID_HOP) + 1;
    if (next > s->next_point) s->next_point = next;
    return (uint64_t)((GRID_PHASE + s->next_point * GRID_HOP - start + EDGE_MI_RATE_HZ - 1) / EDGE_MI_RATE_HZ);
}

/* ---- stream ---- */

enum { RUNNING, FLUSH_RESAMPLER, FLUSH_FIR, TELLING };

static void undetermined(edge_mi_decision *d, uint64_t t_ticks, edge_mi_reason reason)
{
    memset(d, 0, sizeof *d);
    d->t_ticks = t_ticks;
    d->state = EDGE_MI_UNDETERMINED;
    d->reason = reason;
    d->probability_ppm = -1;
    d->quality_permille = -1;
    d->heart_rate_dbpm = -1;
}

static void judge(edge_mi_state *s, edge_mi_decision *d)
{
    int8_t embedding[EDGE_MI_FEATURES];
    undetermined(d, ticks(s->start_index, (int64_t)(s->position * EDGE_MI_RATE_HZ)), (edge_mi_reason)s->before);
    if (s->position < EDGE_MI_WINDOW) return;
    d->reason = assess(s, d);
    if (d->reason != EDGE_MI_NO_REASON) return;
    network_head(s, embedding, d->logits);
    d->probability_ppm = PROBABILITY_PPM[d->logits[0] + 128];
    int positive = d->logits[0] >= s->positive_from;
    d->state = alarm(s, d->t_ticks, positive) ? EDGE_MI_ALARM : positive ? EDGE_MI_POSITIVE : EDGE_MI_NEGATIVE;
}

/* A filtered sample; 1 where it made a decision due. */
static int accept(edge_mi_state *s, int32_t x, edge_mi_decision *d)
{
    s->window[s->window_at] = x;
    s->window_at = (uint16_t)((s->window_at + 1) % EDGE_MI_WINDOW);
    s->position++;
    if (s->skip > 0) s->skip--;
    else network_put(s, quantised(x));
    if (s->position != s->due) return 0;
    s->due += EDGE_MI_HOP;
    s->next_point++;
    judge(s, d);
    return 1;
}

static int drain_fir(edge_mi_state *s, edge_mi_decision *d)
{
    int32_t x;
    int made = 0;
    while (stage_take(&FIR, &s->stages[1], s->fir_x, &x)) made |= accept(s, x, d);
    return made;
}

/* A raw sample. A decision comes at most once in EDGE_MI_HOP filtered samples, of which it makes one or two. */
#if EDGE_MI_RESAMPLER_BUFFER
static int drain_resampler(edge_mi_state *s, edge_mi_decision *d)
{
    int made = 0;
    int32_t x;
    while (stage_take(&RESAMPLER, &s->stages[0], s->resampler_x, &x)) {
        stage_put(&FIR, &s->stages[1], s->fir_x, x);
        made |= drain_fir(s, d);
    }
    return made;
}

static int filter(edge_mi_state *s, int32_t x, edge_mi_decision *d)
{
    stage_put(&RESAMPLER, &s->stages[0], s->resampler_x, x);
    return drain_resampler(s, d);
}
#else
static int filter(edge_mi_state *s, int32_t x, edge_mi_decision *d)
{
    stage_put(&FIR, &s->stages[1], s->fir_x, x);
    return drain_fir(s, d);
}
#endif

static void stages_reset(edge_mi_state *s)
{
#if EDGE_MI_RESAMPLER_BUFFER
    stage_reset(&RESAMPLER, &s->stages[0]);
#endif
    stage_reset(&FIR, &s->stages[1]);
}

static void begin_segment(edge_mi_state *s)
{
    if (!s->heard) {
        s->heard = 1;
        s->first_index = s->index;
        s->next_point = 0;
    }
    s->in_segment = 1;
    s->told = 0;
    s->start_index = s->index;
    s->position = s->raw = 0;
    s->due = first_due(s);
    /* frames are aligned with the windows that will come, and so is what is kept of the raw samples */
    uint64_t window = s->due;
    while (window < EDGE_MI_WINDOW) window += EDGE_MI_HOP;
    s->skip = (uint16_t)((window - EDGE_MI_WINDOW) % TOTAL_STRIDE);
    s->starting = s->stopping = window;
    s->starts_at = (window - EDGE_MI_WINDOW) * EDGE_MI_RATE_HZ / EDGE_MI_MODEL_RATE_HZ;
    s->stops_at = (window - 1) * EDGE_MI_RATE_HZ / EDGE_MI_MODEL_RATE_HZ + 1;
    s->block_count = 0;
    stages_reset(s);
    network_reset(s);
}

void edge_mi_init(edge_mi_state *s)
{
    memset(s, 0, sizeof *s);
    s->positive_from = EDGE_MI_DEFAULT_POINT;
    s->before = EDGE_MI_WARMING_UP;
}

void edge_mi_set_operating_point(edge_mi_state *s, int16_t point)
{
    s->positive_from = point;
}

void edge_mi_trust_polarity(edge_mi_state *s, int trust)
{
    s->trusted = trust != 0;
}

size_t edge_mi_push(edge_mi_state *s, const int16_t *samples, size_t n, edge_mi_decision *d)
{
    if (edge_mi_next(s, d)) return 0;
    for (size_t i = 0; i < n; i++) {
        int32_t x = to_grid(samples[i]);
        if (!s->in_segment) begin_segment(s);
        raw_put(s, x);
        s->index++;
        if (filter(s, x, d)) return i + 1;
    }
    return n;
}

/* Points of the grid up to now have passed; those without a decision are told of. */
static void pass(edge_mi_state *s)
{
    if (s->heard) s->last_point = floor_div(on_grid(s, s->index) - GRID_PHASE, GRID_HOP);
    if (s->step == RUNNING) s->step = s->in_segment ? FLUSH_RESAMPLER : TELLING;
}

void edge_mi_gap(edge_mi_state *s, uint32_t n_samples)
{
    if (n_samples == 0) return;
    s->index += n_samples;
    if (s->was_reset) return; /* nothing was heard since, so nothing is missed */
    s->lost = 1;
    pass(s);
}

void edge_mi_reset(edge_mi_state *s)
{
    if (s->was_reset) return;
    s->was_reset = 1;
    s->reset_ticks = ticks(s->index, 0);
    if (s->step == RUNNING) s->step = s->in_segment ? FLUSH_RESAMPLER : TELLING;
}

void edge_mi_close(edge_mi_state *s)
{
    s->ended = 1;
    if (!s->was_reset) pass(s);
}

/* What falls due while nothing is heard: the first few decisions, so that a long gap is not a flood. */
static int tell(edge_mi_state *s, edge_mi_decision *d)
{
    if (s->lost) s->before = EDGE_MI_GAP;
    if (s->heard && (s->lost || (s->ended && !s->was_reset))) {
        if (s->next_point <= s->last_point && s->told < MOST_IN_A_GAP) {
            undetermined(d, ticks(s->first_index, GRID_PHASE + s->next_point * GRID_HOP), (edge_mi_reason)s->before);
            s->told++;
            s->next_point++;
            return 1;
        }
        if (s->last_point >= s->next_point) s->next_point = s->last_point + 1;
    }
    s->lost = 0;
    if (s->was_reset) {
        undetermined(d, s->reset_ticks, EDGE_MI_GAP);
        s->was_reset = 0;
        s->before = EDGE_MI_GAP;
        s->heard = 0;
        s->answered_count = 0;
        forget_polarity(s);
        if (!s->ended) s->step = RUNNING;
        return 1;
    }
    s->step = RUNNING;
    if (s->ended) {
        int16_t point = s->positive_from;
        uint8_t trusted = s->trusted;
        edge_mi_init(s);
        s->positive_from = point;
        s->trusted = trusted;
    }
    return 0;
}

int edge_mi_next(edge_mi_state *s, edge_mi_decision *d)
{
    memset(d, 0, sizeof *d);
    if (s->step == FLUSH_RESAMPLER) {
#if EDGE_MI_RESAMPLER_BUFFER
        while (stage_mirror(&RESAMPLER, &s->stages[0], s->resampler_x))
            if (drain_resampler(s, d)) return 1;
#endif
        s->step = FLUSH_FIR;
    }
    if (s->step == FLUSH_FIR) {
        while (stage_mirror(&FIR, &s->stages[1], s->fir_x))
            if (drain_fir(s, d)) return 1;
        s->in_segment = 0;
        s->step = TELLING;
    }
    return s->step == TELLING ? tell(s, d) : 0;
}
