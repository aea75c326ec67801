/* A Cortex-A in QEMU, without a library: decodes the packets that it was built with and encodes them again. Ends with
 * exit code 0 where all is as it should be. */
#include "edge_mi_packet.h"

typedef struct {
    int kind, n;                /* data, command or answer; bytes */
    uint8_t bytes[512];
    uint32_t first, second;     /* counter and clock; rate; rate and codes to a volt */
    int32_t samples[250];
} packet;

static const packet PACKETS[] = {
#include "packets.inc"
};

static volatile uint32_t word = 0x01020304; /* volatile, so that the machine and not the compiler says its first byte */

static int same(const packet *p, const uint8_t *out, int n)
{
    if (n != p->n) return 0;
    for (int i = 0; i < n; i++)
        if (out[i] != p->bytes[i]) return 0;
    return 1;
}

static int right(const packet *p)
{
    static int32_t samples[250];
    uint8_t out[512];
    edge_mi_packet_data data;
    edge_mi_packet_command command;
    edge_mi_packet_control control;
    size_t n = (size_t)p->n;
    if (p->kind == 0) {
        if (edge_mi_packet_decode_data(p->bytes, n, &data, samples, 250) != EDGE_MI_PACKET_OK) return 0;
        if (data.counter != p->first || data.clock_us != p->second) return 0;
        for (size_t i = 0; i < data.n; i++)
            if (samples[i] != p->samples[i]) return 0;
        return same(p, out, edge_mi_packet_encode_data(&data, samples, out, sizeof out));
    }
    if (p->kind == 1) {
        if (edge_mi_packet_decode_command(p->bytes, n, &command) != EDGE_MI_PACKET_OK) return 0;
        return command.rate_hz == p->first && same(p, out, edge_mi_packet_encode_command(&command, out, sizeof out));
    }
    if (edge_mi_packet_decode_control(p->bytes, n, &control) != EDGE_MI_PACKET_OK || !control.has_info) return 0;
    if (control.info.rate_millihz != p->first || control.info.codes_per_v != p->second) return 0;
    return same(p, out, edge_mi_packet_encode_answer(control.command, 0, &control.info, out, sizeof out));
}

/* Semihosting: a reason to stop, of which only 0x20026 is exit code 0. */
static void leave(int reason)
{
    register int r0 __asm__("r0") = 0x18;
    register int r1 __asm__("r1") = reason;
    __asm__ volatile("svc 0x123456" : "+r"(r0) : "r"(r1) : "memory");
    for (;;) {
    }
}

void go(void)
{
    int all = *(volatile uint8_t *)&word == FIRST_BYTE;
    for (size_t i = 0; i < sizeof PACKETS / sizeof PACKETS[0]; i++) all &= right(&PACKETS[i]);
    leave(all ? 0x20026 : 0x20024);
}

__asm__(".global start\nstart: ldr sp, =0x40800000\n b go\n");
