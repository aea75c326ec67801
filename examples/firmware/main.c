/* Reads a record over semihosting and prints its decisions: the part of a firmware that EdgeMI needs.
 *
 *     main RECORD [gap=SAMPLE:N]...
 *
 * RECORD holds int16 codes, little endian, at EDGE_MI_RATE_HZ; in a firmware they come from the ADC. N samples are
 * said to be missing before sample number SAMPLE; 0: the sensor was reset there. */
#include "board.h"
#include "edge_mi.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK 13 /* as a sensor's interrupt may bring them; any number gives the same decisions */
#define MAX_GAPS 8

static const char *const ANSWERS[] = {"", "negative", "positive", "undetermined", "alarm"};
static const char *const REASONS[] = {"", "warming_up", "gap", "flat", "saturated", "noise", "lead_off", "wrong_gain",
                                      "inverted"};

static edge_mi_state state; /* the only memory that EdgeMI uses beside the stack */
static unsigned long long since_decision, all, most;
static unsigned long decisions, deepest, longest_push, longest_next;

static void report(const edge_mi_decision *d)
{
    unsigned long long t_us = (d->t_ticks * 1000000u + EDGE_MI_TICKS_PER_S / 2) / EDGE_MI_TICKS_PER_S;
    printf("%lu.%06lu,%s,%s,%ld,%d,%d,%d\n", (unsigned long)(t_us / 1000000u), (unsigned long)(t_us % 1000000u),
           ANSWERS[d->state], REASONS[d->reason], (long)d->probability_ppm, d->quality_permille, d->heart_rate_dbpm,
           d->logits[0]);
    decisions++;
    all += since_decision;
    if (since_decision > most) most = since_decision;
    since_decision = 0;
}

/* One call under the counters of the board. */
static size_t push(const int16_t *samples, size_t n, edge_mi_decision *d)
{
    board_paint_stack();
    unsigned long start = board_ticks();
    size_t used = edge_mi_push(&state, samples, n, d);
    unsigned long took = board_instructions(start, board_ticks());
    since_decision += took;
    if (took > longest_push) longest_push = took;
    unsigned long depth = board_stack_used();
    if (depth > deepest) deepest = depth;
    return used;
}

static void take(const int16_t *samples, size_t n)
{
    edge_mi_decision d;
    for (size_t used = 0; used < n;) {
        used += push(samples + used, n - used, &d);
        if (d.state != EDGE_MI_NONE) report(&d);
    }
}

static void drain(void)
{
    edge_mi_decision d;
    int more;
    do {
        unsigned long start = board_ticks();
        more = edge_mi_next(&state, &d);
        unsigned long took = board_instructions(start, board_ticks());
        if (took > longest_next) longest_next = took;
        if (more) report(&d);
    } while (more);
}

int main(int argc, char **argv)
{
    unsigned long gap_at[MAX_GAPS], gap_samples[MAX_GAPS], at = 0;
    int gaps = 0, next = 0;
    unsigned char bytes[2];
    int16_t samples[CHUNK];
    size_t n = 0;
    if (argc < 2) {
        fprintf(stderr, "usage: main RECORD [gap=SAMPLE:N]...\n");
        return 2;
    }
    for (int i = 2; i < argc; i++) {
        char *end;
        if (gaps == MAX_GAPS || strncmp(argv[i], "gap=", 4) != 0) {
            fprintf(stderr, "%s: expected gap=SAMPLE:N, %d at most\n", argv[i], MAX_GAPS);
            return 2;
        }
        gap_at[gaps] = strtoul(argv[i] + 4, &end, 10);
        gap_samples[gaps++] = *end == ':' ? strtoul(end + 1, NULL, 10) : 0;
    }
    FILE *record = fopen(argv[1], "rb");
    if (record == NULL) {
        fprintf(stderr, "cannot read %s\n", argv[1]);
        return 2;
    }
    board_init();
    edge_mi_init(&state);
    printf("t_s,state,reason,probability_ppm,quality_permille,heart_rate_dbpm,logit\n");
    while (fread(bytes, 1, 2, record) == 2) {
        for (; next < gaps && at == gap_at[next]; next++) {
            take(samples, n);
            n = 0;
            if (gap_samples[next] > 0) edge_mi_gap(&state, (uint32_t)gap_samples[next]);
            else edge_mi_reset(&state);
            drain();
        }
        samples[n++] = (int16_t)(uint16_t)(bytes[0] | bytes[1] << 8);
        at++;
        if (n == CHUNK) {
            take(samples, n);
            n = 0;
        }
    }
    take(samples, n);
    fclose(record);
    edge_mi_close(&state);
    drain();
    if (decisions > 0 && all > 0) { /* the board counts */
        printf("# instructions %lu mean %lu most\n", (unsigned long)(all / decisions), (unsigned long)most);
        printf("# longest %lu push %lu next\n", longest_push, longest_next);
        printf("# bytes %lu stack %lu state\n", deepest, (unsigned long)sizeof state);
    }
    return 0;
}
