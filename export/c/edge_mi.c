/* @NOTICE@
 *
 * Written by `edge-mi export --to c`; do not edit. Sections: tables, grid and filters, network, heartbeats, quality,
 * alarm, grid of hops, stream.
 */
#include "edge_mi.h"

#include <string.h>

#if defined(__ARM_FEATURE_MVE)
#include <arm_mve.h>
#define USE_MVE 1
#elif defined(__ARM_FEATURE_SIMD32)
#include <arm_acle.h>
#define USE_DSP 1
#endif

#if EDGE_MI_ROUNDING != 0 && EDGE_MI_ROUNDING != 2
#error "EDGE_MI_ROUNDING is 0 (reference) or 2 (fast)"
#endif

/* ---- tables ---- */

typedef struct {
    const int32_t *taps; /* up = 1: the first half and the middle; else `up` rows, oldest input first */
    uint16_t up, down, half, length, reach, keep, capacity;
} stage_design;

typedef struct {
    const int8_t *weight; /* [out][kernel][in] */
    const int32_t *bias;  /* the input's zero point is in it */
#if EDGE_MI_ROUNDING == 0
    const int32_t *mantissa;
    const int8_t *exponent;
#else
    const float *scale;
#endif
    uint16_t kernel, stride, in, out;
    int8_t zero_point, lowest;
} layer;

@TABLES@

