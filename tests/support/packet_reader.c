/* Decodes what comes on stdin, each packet behind its length of two bytes, with buffers that are not a byte too long.
 * Prints the three results of each, and whether what was understood is encoded to the same bytes. */
#include "edge_mi_packet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *room(size_t n)
{
    void *found = malloc(n);
    if (found == NULL && n > 0) exit(3);
    return found;
}

static int data_again(const uint8_t *in, size_t n, uint8_t *out)
{
    edge_mi_packet_data data;
    int32_t *samples = room(250 * sizeof *samples), *exact;
    int length;
    if (edge_mi_packet_decode_data(in, n, &data, samples, 250) != EDGE_MI_PACKET_OK) exit(4);
    exact = room(data.n * sizeof *exact);
    if (edge_mi_packet_decode_data(in, n, &data, exact, data.n) != EDGE_MI_PACKET_OK) exit(5);
    length = edge_mi_packet_encode_data(&data, exact, out, n);
    free(exact);
    free(samples);
    return length;
}

static int control_again(const edge_mi_packet_control *c, uint8_t *out, size_t n)
{
    if (c->kind == EDGE_MI_PACKET_ANSWER) return edge_mi_packet_encode_answer(c->command, c->status, &c->info, out, n);
    if (c->kind == EDGE_MI_PACKET_STATUS) return edge_mi_packet_encode_status(c->battery, c->contact, out, n);
    return edge_mi_packet_encode_stopped(c->reason, out, n);
}

int main(void)
{
    uint8_t head[2];
    while (fread(head, 1, 2, stdin) == 2) {
        size_t n = (size_t)(head[0] | head[1] << 8);
        uint8_t *in = room(n), *out = room(n);
        int32_t *samples = room(250 * sizeof *samples);
        edge_mi_packet_data data;
        edge_mi_packet_command command;
        edge_mi_packet_control control;
        int errors[3], length = -1, same = 1;
        if (fread(in, 1, n, stdin) != n) return 6;
        errors[0] = edge_mi_packet_decode_data(in, n, &data, samples, 250);
        errors[1] = edge_mi_packet_decode_command(in, n, &command);
        errors[2] = edge_mi_packet_decode_control(in, n, &control);
        if (errors[0] == EDGE_MI_PACKET_OK) length = data_again(in, n, out);
        else if (errors[1] == EDGE_MI_PACKET_OK) length = edge_mi_packet_encode_command(&command, out, n);
        else if (errors[2] == EDGE_MI_PACKET_OK) length = control_again(&control, out, n);
        if (errors[0] == 0 || errors[1] == 0 || errors[2] == 0) same = length == (int)n && memcmp(in, out, n) == 0;
        printf("%d %d %d %d\n", errors[0], errors[1], errors[2], same);
        free(in);
        free(out);
        free(samples);
    }
    return 0;
}
