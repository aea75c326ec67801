/* EdgeMI for firmware: lead I in, one decision a hop out. C99, no allocation, no libraries.
 *
 * @NOTICE@
 *
 * Written by `edge-mi export --to c`; do not edit. The signal chain, the network, the quality rules and the alarm
 * compute in integers what the Python package computes, and give the same decisions: see docs/firmware.md.
 *
 * Call it from one place, not from an interrupt: the longest calls take as long as a whole decision.
 *
 *     static edge_mi_state state;
 *     edge_mi_decision decision;
 *     edge_mi_init(&state);
 *     for (;;) {
 *         size_t n = read_adc(samples);
 *         for (size_t used = 0; used < n;) {
 *             used += edge_mi_push(&state, samples + used, n - used, &decision);
 *             if (decision.state != EDGE_MI_NONE) report(&decision);
 *         }
 *     }
 */
#ifndef EDGE_MI_H
#define EDGE_MI_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

@CONSTANTS@

typedef enum {
    EDGE_MI_NONE,         /* nothing is due yet */
    EDGE_MI_NEGATIVE,     /* this window is below the threshold */
    EDGE_MI_POSITIVE,     /* this window is above it */
    EDGE_MI_UNDETERMINED, /* this window cannot be judged; `reason` says why */
    EDGE_MI_ALARM         /* the pattern has been there for long enough: the latch is on */
} edge_mi_answer;

typedef enum {
    EDGE_MI_NO_REASON,
    EDGE_MI_WARMING_UP, /* not enough signal yet */
    EDGE_MI_GAP,        /* samples are missing */
    EDGE_MI_FLAT,       /* the signal does not move */
    EDGE_MI_SATURATED,  /* the signal is clipped */
    EDGE_MI_NOISE,      /* heartbeats cannot be told from noise */
    EDGE_MI_LEAD_OFF,   /* no heartbeat can be found */
    EDGE_MI_WRONG_GAIN, /* the amplitude cannot be that of an ECG in millivolts */
    EDGE_MI_INVERTED    /* lead I looks upside down: are the right and left electrodes swapped? */
} edge_mi_reason;

typedef struct {
    /* End of the window in 1 / EDGE_MI_TICKS_PER_S s, counted in samples, missing ones included. It may lie up to one
     * sample of the model behind the last sample, and so the answer to a reset before it. */
    uint64_t t_ticks;
    edge_mi_answer state;
    edge_mi_reason reason;
    int32_t probability_ppm; /* calibrated, 0..1000000; -1 when undetermined */
    int16_t quality_permille; /* likeness of the beats; -1 where there are too few */
    int16_t heart_rate_dbpm; /* tenths of a beat a minute; -1 where it is not known */
    int8_t logits[EDGE_MI_OUTPUTS]; /* the network's int8 outputs; 0 when undetermined */
} edge_mi_decision;

/* Everything below belongs to the code: the arena, sized when it was exported. It holds no pointers, so a copy
 * of it is a snapshot. */
typedef struct {
    int32_t ahead;     /* newest input that the next output needs, counted from the last one received */
    uint16_t received; /* until there are enough for the reflection at the start */
    uint16_t fill;
    uint16_t phase;
    uint16_t mirrored; /* inputs made up at the end of the segment */
} edge_mi_stage;

typedef struct {
    int64_t sum;
    int32_t first, last, high, low;
    uint32_t start; /* number of its first sample in the segment, low 32 bits */
    uint16_t n, prefix, suffix, longest; /* samples; in the run at its start, at its end, in its longest run */
    uint16_t at_high, at_low; /* samples at the extremes in runs of three or more that touch neither end */
} edge_mi_block; /* what the quality rules need of a stretch of raw samples */

typedef struct {
    int64_t next_point;   /* number of the next point on the grid of hops */
    int64_t last_point;   /* last point that has passed */
    uint64_t reset_ticks; /* when the sensor was reset, if that is still to be told */
    uint64_t first_index; /* sample at which the grid begins */
    uint64_t index;       /* samples of the sensor so far, missing ones included */
    uint64_t start_index; /* first sample of the segment */
    uint64_t position;    /* filtered samples of the segment */
    uint64_t due;         /* position of the next decision */
    uint64_t raw;         /* raw samples of the segment */
    uint64_t starting;    /* position of the window whose start comes next among the raw samples, */
    uint64_t starts_at;   /* and that raw sample */
    uint64_t stopping;    /* position of the window whose end comes next, */
    uint64_t stops_at;    /* and the first raw sample after it */
    uint64_t answered_ticks[EDGE_MI_ANSWERS];
    edge_mi_block blocks[EDGE_MI_BLOCKS];
    edge_mi_stage stages[2];
    int32_t window[EDGE_MI_WINDOW];
    int32_t fir_x[EDGE_MI_FIR_BUFFER];
#if EDGE_MI_RESAMPLER_BUFFER
    int32_t resampler_x[EDGE_MI_RESAMPLER_BUFFER];
#endif
    int32_t frame_sums[EDGE_MI_FEATURES];
#if EDGE_MI_POLARITY_CHECK
    int32_t polarity_sum; /* of correlations, over polarity_count windows */
    uint16_t polarity_count;
#endif
    uint16_t told; /* undetermined decisions since the last sample */
    uint16_t skip; /* samples before the first frame of the segment */
    uint16_t window_at, frame_at, block_at, block_count, answered_count;
    int16_t positive_from;
    int16_t conv_fill[EDGE_MI_CONVS];
    int8_t conv_x[EDGE_MI_CONV_BUFFER];
    int8_t frames[EDGE_MI_FRAMES][EDGE_MI_FEATURES];
    uint8_t answered_positive[EDGE_MI_ANSWERS];
    uint8_t step;                   /* what edge_mi_next goes on with */
    uint8_t lost, was_reset, ended; /* what it has to tell of */
    uint8_t before;                 /* reason for windows before there is enough signal */
    uint8_t heard, in_segment;      /* since the start or a reset; since the last gap */
    uint8_t latched;
    uint8_t upside_down, trusted; /* as seen; whether that is to be ignored */
} edge_mi_state;

/* The start of a stream, at the default operating point. */
void edge_mi_init(edge_mi_state *state);

/* Another operating point, EDGE_MI_POINT_...; takes effect with the next decision. */
void edge_mi_set_operating_point(edge_mi_state *state, int16_t point);

/* 1: answer where lead I looks upside down too, for a person who knows that the electrodes are right. 0: as at first. */
void edge_mi_trust_polarity(edge_mi_state *state, int trust);

/* Takes samples in the sensor's codes up to and including the one that makes a decision due, and says how many.
 * decision->state is EDGE_MI_NONE where nothing is due. Decisions that are still waiting after a gap come first,
 * and take no sample. */
size_t edge_mi_push(edge_mi_state *state, const int16_t *samples, size_t n, edge_mi_decision *decision);

/* n_samples are missing here. The decisions that this brings are given by edge_mi_next, or by the next pushes. */
void edge_mi_gap(edge_mi_state *state, uint32_t n_samples);

/* The sensor started anew, and nobody knows how many samples are missing. As edge_mi_gap. */
void edge_mi_reset(edge_mi_state *state);

/* The stream ends here. When edge_mi_next has given the last decision, the state is that of a new stream. */
void edge_mi_close(edge_mi_state *state);

/* One decision of those that a gap, a reset or the end brought. Returns 0 where none is left. */
int edge_mi_next(edge_mi_state *state, edge_mi_decision *decision);

#ifdef EDGE_MI_TESTING
/* The network alone: what it says of the last window after these int8 samples; `first` forgets what came before. */
void edge_mi_test_network(edge_mi_state *state, int first, const int8_t *samples, size_t n, int8_t *embedding,
                          int8_t *logits);
/* The chain alone: filtered samples in units of 2^-14 mV; returns how many. Ends the segment where `last` is set. */
size_t edge_mi_test_filter(edge_mi_state *state, const int16_t *samples, size_t n, int last, int32_t *filtered);
size_t edge_mi_test_state_bytes(void);
#endif

#ifdef __cplusplus
}
#endif
#endif
