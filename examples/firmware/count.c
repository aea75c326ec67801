/* Counts the instructions of the network alone for one decision, without filters, quality rules and alarm.
 *
 * Needs edge_mi.c compiled with EDGE_MI_TESTING. */
#include "board.h"
#include "edge_mi.h"

#include <stdio.h>

int main(void)
{
    static edge_mi_state state;
    static int8_t samples[EDGE_MI_WINDOW];
    int8_t embedding[EDGE_MI_FEATURES], logits[EDGE_MI_OUTPUTS];
    for (int i = 0; i < EDGE_MI_WINDOW; i++) samples[i] = (int8_t)(i * 37 % 199 - 99);
    board_init();
    edge_mi_init(&state);
    edge_mi_test_network(&state, 1, samples, EDGE_MI_WINDOW, embedding, logits);
    unsigned long start = board_ticks();
    edge_mi_test_network(&state, 0, samples, EDGE_MI_HOP, embedding, logits);
    printf("%lu\n", (unsigned long)board_instructions(start, board_ticks()));
    return 0;
}
