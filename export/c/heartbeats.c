/* ---- heartbeats in the filtered window ---- */

#define CLIP ((int32_t)1 << 18) /* 16 mV */

static int32_t clipped(const edge_mi_state *s, int i)
{
    i += s->window_at;
    int32_t x = s->window[i < EDGE_MI_WINDOW ? i : i - EDGE_MI_WINDOW];
    return x > CLIP ? CLIP : x < -CLIP ? -CLIP : x;
}

static int64_t slope_squared(const edge_mi_state *s, int i)
{
    if (i < 1 || i > EDGE_MI_WINDOW - 2) return 0;
    int64_t slope = clipped(s, i + 1) - clipped(s, i - 1);
    return slope * slope;
}

/* Energy at i is the sum of ENERGY_WIDTH squared slopes around it, and 0 where the window does not hold them all. */
static int64_t energy_at(const edge_mi_state *s, int i)
{
    int first = i - ENERGY_WIDTH / 2;
    int64_t sum = 0;
    if (first < 0 || first + ENERGY_WIDTH > EDGE_MI_WINDOW) return 0;
    for (int j = first; j < first + ENERGY_WIDTH; j++) sum += slope_squared(s, j);
    return sum;
}

/* The same for the sample after one of energy `last`. */
static int64_t next_energy(const edge_mi_state *s, int i, int64_t last)
{
    int first = i - ENERGY_WIDTH / 2;
    if (first <= 0 || first + ENERGY_WIDTH > EDGE_MI_WINDOW) return energy_at(s, i);
    return last - slope_squared(s, first - 1) + slope_squared(s, first + ENERGY_WIDTH - 1);
}

/* Twice the median, which stays an integer where two values are in the middle; the values are sorted. */
static int64_t twice_median(int64_t *values, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        int64_t value = values[i];
        size_t j = i;
        for (; j > 0 && values[j - 1] > value; j--) values[j] = values[j - 1];
        values[j] = value;
    }
    return values[n / 2] + values[(n - 1) / 2];
}

static int32_t twice_median_short(int16_t *values, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        int16_t value = values[i];
        size_t j = i;
        for (; j > 0 && values[j - 1] > value; j--) values[j] = values[j - 1];
        values[j] = value;
    }
    return values[n / 2] + values[(n - 1) / 2];
}

static int steepest(const edge_mi_state *s, int centre)
{
    int low = centre < ENERGY_WIDTH ? 0 : centre - ENERGY_WIDTH;
    int high = centre + ENERGY_WIDTH + 1 > EDGE_MI_WINDOW ? EDGE_MI_WINDOW : centre + ENERGY_WIDTH + 1;
    int32_t sum = 0, largest = -1;
    int at = low;
    for (int i = low; i < high; i++) sum += clipped(s, i);
    for (int i = low; i < high; i++) {
        int32_t distance = (high - low) * clipped(s, i) - sum;
        if (distance < 0) distance = -distance;
        if (distance > largest) {
            largest = distance;
            at = i;
        }
    }
    return at;
}

static size_t find_peaks(const edge_mi_state *s, int16_t *peaks)
{
    int64_t maxima[ENERGY_BLOCKS], energy = 0, best = 0;
    size_t count = 0;
    int centre = -1;
    memset(maxima, 0, sizeof maxima);
    for (int i = 0; i < ENERGY_BLOCKS * ENERGY_BLOCK; i++) {
        energy = next_energy(s, i, energy);
        if (energy > maxima[i / ENERGY_BLOCK]) maxima[i / ENERGY_BLOCK] = energy;
    }
    int64_t threshold = 3 * twice_median(maxima, ENERGY_BLOCKS);
    if (threshold == 0) return 0;
    energy = 0;
    for (int i = 0; i <= EDGE_MI_WINDOW; i++) { /* one more, which ends a run that reaches the end */
        energy = i < EDGE_MI_WINDOW ? next_energy(s, i, energy) : 0;
        if (20 * energy > threshold) {
            if (centre < 0 || energy > best) {
                centre = i;
                best = energy;
            }
            continue;
        }
        if (centre < 0) continue;
        int peak = steepest(s, centre);
        centre = -1;
        if (count > 0 && peak - peaks[count - 1] < REFRACTORY) {
            if (energy_at(s, peak) > energy_at(s, peaks[count - 1])) peaks[count - 1] = (int16_t)peak;
        } else {
            peaks[count++] = (int16_t)peak;
        }
    }
    return count;
}

static uint64_t square_root(uint64_t x)
{
    uint64_t root = 0, bit = (uint64_t)1 << 62;
    while (bit > x) bit >>= 2;
    for (; bit != 0; bit >>= 2) {
        if (x >= root + bit) {
            x -= root + bit;
            root = (root >> 1) + bit;
        } else {
            root >>= 1;
        }
    }
    return root;
}

static void load_beat(const edge_mi_state *s, int peak, int32_t *beat)
{
    int32_t sum = 0, mean;
    for (int i = 0; i < BEAT; i++) sum += beat[i] = clipped(s, peak - BEAT_BEFORE + i);
    mean = sum / BEAT - (sum % BEAT < 0); /* downwards */
    for (int i = 0; i < BEAT; i++) beat[i] -= mean;
}

/* Without the low bits of the magnitudes for which the largest leaves no room among 12. */
static void shorten(int32_t *x)
{
    uint32_t largest = 0;
    int shift = 0;
    for (int i = 0; i < BEAT; i++) {
        uint32_t magnitude = (uint32_t)(x[i] < 0 ? -x[i] : x[i]);
        if (magnitude > largest) largest = magnitude;
    }
    while (largest >> shift >= 4096) shift++;
    for (int i = 0; i < BEAT; i++) x[i] = x[i] < 0 ? -(-x[i] >> shift) : x[i] >> shift;
}

#if EDGE_MI_POLARITY_CHECK
/* Correlation of summed beats with the table of an upright lead I, in thousandths; exactly odd. */
static int16_t correlation(const int32_t *sum)
{
    int64_t total = 0;
    uint64_t largest = 0;
    int32_t cross = 0, own = 0;
    int shift = 0;
    for (int i = 0; i < BEAT; i++) total += sum[i];
    for (int i = 0; i < BEAT; i++) {
        int64_t x = (int64_t)BEAT * sum[i] - total;
        uint64_t magnitude = (uint64_t)(x < 0 ? -x : x);
        if (magnitude > largest) largest = magnitude;
    }
    while (largest >> shift >= 4096) shift++;
    for (int i = 0; i < BEAT; i++) {
        int64_t x = (int64_t)BEAT * sum[i] - total;
        int32_t magnitude = (int32_t)((uint64_t)(x < 0 ? -x : x) >> shift);
        cross += (x < 0 ? -magnitude : magnitude) * POLARITY[i];
        own += magnitude * magnitude;
    }
    int32_t norm = (int32_t)square_root((uint64_t)own * POLARITY_SQUARES);
    if (norm == 0) return 0;
    int64_t size = (INT64_C(2000) * (cross < 0 ? -cross : cross) + norm) / (INT64_C(2) * norm);
    if (size > 1000) size = 1000;
    return (int16_t)(cross > 0 ? size : -size);
}

/* Whether the stream looks upside down, this window of it included. */
static void watch_polarity(edge_mi_state *s, int16_t permille)
{
    if (s->polarity_count < POLARITY_MEMORY) s->polarity_count++;
    else s->polarity_sum -= s->polarity_sum / POLARITY_MEMORY;
    s->polarity_sum += permille;
    s->upside_down = s->upside_down ? s->polarity_sum < POLARITY_UPRIGHT * (int32_t)s->polarity_count
                                    : s->polarity_sum <= POLARITY_INVERTED * (int32_t)s->polarity_count;
}
#endif

static void forget_polarity(edge_mi_state *s)
{
    s->upside_down = 0;
#if EDGE_MI_POLARITY_CHECK
    s->polarity_sum = 0;
    s->polarity_count = 0;
#endif
}

/* Median over the beats of how alike each is to the sum of the others, in thousandths; -1 for fewer than three.
 * The sum is left in `sum`. */
static int16_t likeness(const edge_mi_state *s, const int16_t *peaks, size_t count, int32_t *sum)
{
    int32_t beat[BEAT], others[BEAT];
    int16_t thousandths[MAX_PEAKS];
    size_t whole = 0;
    memset(sum, 0, BEAT * sizeof *sum);
    for (size_t k = 0; k < count; k++) {
        if (peaks[k] < BEAT_BEFORE || peaks[k] + BEAT - BEAT_BEFORE > EDGE_MI_WINDOW) continue;
        load_beat(s, peaks[k], beat);
        for (int i = 0; i < BEAT; i++) sum[i] += beat[i];
        whole++;
    }
    if (whole < 3) return -1;
    whole = 0;
    for (size_t k = 0; k < count; k++) {
        int64_t cross = 0, own = 0, other = 0;
        if (peaks[k] < BEAT_BEFORE || peaks[k] + BEAT - BEAT_BEFORE > EDGE_MI_WINDOW) continue;
        load_beat(s, peaks[k], beat);
        for (int i = 0; i < BEAT; i++) others[i] = sum[i] - beat[i];
        shorten(beat);
        shorten(others);
        for (int i = 0; i < BEAT; i++) {
            cross += beat[i] * others[i];
            own += beat[i] * beat[i];
            other += others[i] * others[i];
        }
        int64_t alike = 0;
        if (cross > 0) {
            int64_t norm = (int64_t)square_root((uint64_t)own * (uint64_t)other);
            alike = (2000 * cross + norm) / (2 * norm);
        }
        thousandths[whole++] = (int16_t)(alike > 1000 ? 1000 : alike);
    }
    return (int16_t)((twice_median_short(thousandths, whole) + 1) / 2);
}

static int16_t heart_rate_dbpm(const int16_t *peaks, size_t count)
{
    int16_t intervals[MAX_PEAKS];
    for (size_t k = 1; k < count; k++) intervals[k - 1] = (int16_t)(peaks[k] - peaks[k - 1]);
    int32_t twice = twice_median_short(intervals, count - 1);
    return (int16_t)((INT32_C(2400) * EDGE_MI_MODEL_RATE_HZ + twice) / (2 * twice));
}

