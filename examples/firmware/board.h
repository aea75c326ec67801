/* What the example needs of a board: a counter, and how deep the stack was. */
#ifndef BOARD_H
#define BOARD_H

/* Starts the counter and finds out how many instructions one of its ticks is. */
void board_init(void);
/* A running counter. */
unsigned long board_ticks(void);
/* Instructions between two readings of the counter; 0 where the board cannot count them. */
unsigned long board_instructions(unsigned long from, unsigned long to);
/* Fills the free stack below the caller with a pattern. */
void board_paint_stack(void);
/* Bytes of it that were written since. */
unsigned long board_stack_used(void);

#endif
