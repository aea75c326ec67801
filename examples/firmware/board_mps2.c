/* Arm's MPS2 and MPS3 boards as QEMU emulates them: vectors, start, SysTick as a counter of instructions.
 *
 * Under `-icount shift=0` an instruction takes 1 ns of emulated time, so SysTick counts instructions, not cycles. */
#include "board.h"

#include <stddef.h>
#include <stdint.h>

#define SYST_CSR (*(volatile uint32_t *)0xE000E010u)
#define SYST_RVR (*(volatile uint32_t *)0xE000E014u)
#define SYST_CVR (*(volatile uint32_t *)0xE000E018u)
#define CPACR (*(volatile uint32_t *)0xE000ED88u)
#define WRAP 0xFFFFFFu

#define PAINT 0xA5A5A5A5u
#define PAINTED 6144u /* bytes below the caller */
#define OWN 64u       /* of which these are left alone */

extern uint32_t __stack_top, __data_load, __data_start, __data_end;
extern char end;
extern void _start(void);
void Reset_Handler(void);
void _init(void);
void _fini(void);
void *_sbrk(ptrdiff_t n);

static unsigned long thousandths; /* of an instruction in a tick */
static uintptr_t painted;

void Reset_Handler(void)
{
    CPACR |= 0xFu << 20; /* FPU and vectors, where there are any; before the compiler uses them */
    __asm volatile("dsb\n isb" ::: "memory");
    const uint32_t *from = &__data_load;
    for (uint32_t *to = &__data_start; to < &__data_end; to++) *to = *from++;
    _start();
    for (;;) {}
}

static void trap(void)
{
    for (;;) {}
}

__attribute__((section(".vectors"), used)) static void *const vectors[16] = {
    &__stack_top, (void *)Reset_Handler, (void *)trap, (void *)trap, (void *)trap, (void *)trap, (void *)trap, 0,
    0, 0, 0, (void *)trap, (void *)trap, 0, (void *)trap, (void *)trap};

void _init(void) {}
void _fini(void) {}

/* The C library's own takes the heap for where the emulator's largest memory is. */
void *_sbrk(ptrdiff_t n)
{
    static char *heap = &end;
    char *before = heap;
    heap += n;
    return before;
}

unsigned long board_ticks(void)
{
    return WRAP - SYST_CVR;
}

void board_init(void)
{
    const uint32_t loops = 1000000; /* of two instructions */
    uint32_t n = loops;
    SYST_RVR = WRAP;
    SYST_CVR = 0;
    SYST_CSR = 5;
    unsigned long start = board_ticks();
    __asm volatile("1: sub %0, #1\n cmp %0, #0\n bne 1b" : "+r"(n) : : "cc");
    unsigned long took = (board_ticks() - start) & WRAP;
    thousandths = (unsigned long)(3000ull * loops / took);
}

unsigned long board_instructions(unsigned long from, unsigned long to)
{
    return (unsigned long)((unsigned long long)((to - from) & WRAP) * thousandths / 1000u);
}

static uintptr_t stack_pointer(void)
{
    uintptr_t sp;
    __asm volatile("mov %0, sp" : "=r"(sp));
    return sp;
}

__attribute__((noinline)) void board_paint_stack(void)
{
    uintptr_t top = stack_pointer() - OWN; /* the compiler may save registers after this was read */
    painted = top - PAINTED;
    for (uintptr_t at = painted; at < top; at += 4) *(volatile uint32_t *)at = PAINT;
}

__attribute__((noinline)) unsigned long board_stack_used(void)
{
    uintptr_t at = painted, top = stack_pointer();
    while (at < top && *(volatile uint32_t *)at == PAINT) at += 4;
    return (unsigned long)(top - at);
}
