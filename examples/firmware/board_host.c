/* The example on a computer: nothing is counted. */
#include "board.h"

void board_init(void) {}
unsigned long board_ticks(void) { return 0; }
unsigned long board_instructions(unsigned long from, unsigned long to) { return to - from; }
void board_paint_stack(void) {}
unsigned long board_stack_used(void) { return 0; }
