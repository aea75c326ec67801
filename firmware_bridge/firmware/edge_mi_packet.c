/* EdgeMI Patch, version 1: its packets. See edge_mi_packet.h.
 *
 * SPDX-License-Identifier: MIT
 *
 * Bytes are put and taken one by one, so neither the byte order nor the alignment of a machine plays a part. A compiler
 * may join them where its target can load from odd addresses; where that is switched off, tell it (-mno-unaligned-access).
 */
#include "edge_mi_packet.h"

enum { DATA_KIND = 0x40, KIND_MASK = 0xF0, WIDE = 1, CONTACT_KNOWN = 2, CONTACT_ON = 4, RESERVED = 8 };
enum { HEADER_BYTES = 10, CRC_BYTES = 2, COMMAND_MASK = 0x7F };

/* ---- bytes ---- */

static void put16(uint8_t *out, uint32_t value)
{
    out[0] = (uint8_t)(value & 0xFFu);
    out[1] = (uint8_t)(value >> 8 & 0xFFu);
}

static void put32(uint8_t *out, uint32_t value)
{
    put16(out, value);
    put16(out + 2, value >> 16);
}

static uint16_t take16(const uint8_t *in)
{
    return (uint16_t)(in[0] | (uint32_t)in[1] << 8);
}

static uint32_t take32(const uint8_t *in)
{
    return take16(in) | (uint32_t)take16(in + 2) << 16;
}

/* The polynomial has three terms below x^16, so a byte's part in the remainder is three shifts of it, and no table is
 * needed. */
uint16_t edge_mi_packet_crc(const uint8_t *in, size_t n)
{
    uint32_t crc = 0xFFFFu;
    for (size_t i = 0; i < n; i++) {
        uint32_t x = (crc >> 8 ^ in[i]) & 0xFFu;
        x ^= x >> 4;
        crc = (crc << 8 ^ x << 12 ^ x << 5 ^ x) & 0xFFFFu;
    }
    return (uint16_t)crc;
}

/* The length of the packet whose first n bytes stand at out. */
static int sealed(uint8_t *out, size_t n)
{
    put16(out + n, edge_mi_packet_crc(out, n));
    return (int)(n + CRC_BYTES);
}

static int check(const uint8_t *in, size_t n, size_t least, size_t most)
{
    if (n < least || n > most) return EDGE_MI_PACKET_BAD_LENGTH;
    if (edge_mi_packet_crc(in, n - CRC_BYTES) != take16(in + n - CRC_BYTES)) return EDGE_MI_PACKET_BAD_CRC;
    return EDGE_MI_PACKET_OK;
}

/* ---- fields ---- */

static int is_contact(uint8_t contact)
{
    return contact <= EDGE_MI_PACKET_CONTACT_ON || contact == EDGE_MI_PACKET_UNKNOWN;
}

static int is_battery(uint8_t percent)
{
    return percent <= 100 || percent == EDGE_MI_PACKET_UNKNOWN;
}

static int is_info(const edge_mi_packet_info *info, uint8_t command)
{
    if (info->measurement == 0 && command == EDGE_MI_PACKET_START) return 0;
    if (info->lead > EDGE_MI_PACKET_LEAD_V6 && info->lead != EDGE_MI_PACKET_UNKNOWN) return 0;
    if (info->bits != 16 && info->bits != 24) return 0;
    return info->rate_millihz != 0 && info->codes_per_v != 0 && is_battery(info->battery);
}

static int has_info(uint8_t command, uint8_t status)
{
    return status == EDGE_MI_PACKET_STATUS_OK &&
           (command == EDGE_MI_PACKET_START || command == EDGE_MI_PACKET_DESCRIBE);
}

/* ---- data ---- */

static int32_t saturated(int32_t x, int32_t limit)
{
    return x >= limit ? limit - 1 : x < -limit ? -limit : x;
}

int edge_mi_packet_encode_data(const edge_mi_packet_data *data, const int32_t *samples, uint8_t *out, size_t room)
{
    int32_t limit = (int32_t)1 << (data->bits == 24 ? 23 : 15);
    size_t width = data->bits == 24 ? 3 : 2, at = HEADER_BYTES;
    size_t most = (EDGE_MI_PACKET_MOST - EDGE_MI_PACKET_AROUND) / width;
    uint32_t kind = DATA_KIND;
    if (data->bits != 16 && data->bits != 24) return EDGE_MI_PACKET_BAD_VALUE;
    if (data->measurement == 0 || !is_contact(data->contact)) return EDGE_MI_PACKET_BAD_VALUE;
    if (data->n == 0 || data->n > most) return EDGE_MI_PACKET_BAD_LENGTH;
    if (room < EDGE_MI_PACKET_AROUND + width * data->n) return EDGE_MI_PACKET_NO_ROOM;
    if (width == 3) kind |= WIDE;
    if (data->contact != EDGE_MI_PACKET_UNKNOWN) kind |= CONTACT_KNOWN;
    if (data->contact == EDGE_MI_PACKET_CONTACT_ON) kind |= CONTACT_ON;
    out[0] = (uint8_t)kind;
    out[1] = data->measurement;
    put32(out + 2, data->counter);
    put32(out + 6, data->clock_us);
    for (size_t i = 0; i < data->n; i++, at += width) {
        uint32_t code = (uint32_t)saturated(samples[i], limit); /* modulo 2^32: two's complement on every machine */
        put16(out + at, code);
        if (width == 3) out[at + 2] = (uint8_t)(code >> 16 & 0xFFu);
    }
    return sealed(out, at);
}

int edge_mi_packet_decode_data(const uint8_t *in, size_t n, edge_mi_packet_data *data, int32_t *samples, size_t room)
{
    size_t width, count;
    int32_t limit;
    int error = check(in, n, EDGE_MI_PACKET_AROUND + 2, EDGE_MI_PACKET_MOST);
    if (error != EDGE_MI_PACKET_OK) return error;
    if ((in[0] & KIND_MASK) != DATA_KIND) return EDGE_MI_PACKET_BAD_KIND;
    if (in[0] & RESERVED || (in[0] & (CONTACT_KNOWN | CONTACT_ON)) == CONTACT_ON) return EDGE_MI_PACKET_BAD_BIT;
    if (in[1] == 0) return EDGE_MI_PACKET_BAD_VALUE;
    width = in[0] & WIDE ? 3 : 2;
    count = (n - EDGE_MI_PACKET_AROUND) / width;
    if (count * width != n - EDGE_MI_PACKET_AROUND) return EDGE_MI_PACKET_BAD_LENGTH;
    if (count > room) return EDGE_MI_PACKET_NO_ROOM;
    data->measurement = in[1];
    data->counter = take32(in + 2);
    data->clock_us = take32(in + 6);
    data->n = (uint16_t)count;
    data->bits = (uint8_t)(8 * width);
    data->contact = EDGE_MI_PACKET_UNKNOWN;
    if (in[0] & CONTACT_KNOWN) {
        data->contact = in[0] & CONTACT_ON ? EDGE_MI_PACKET_CONTACT_ON : EDGE_MI_PACKET_CONTACT_OFF;
    }
    limit = (int32_t)1 << (width == 3 ? 23 : 15);
    for (size_t i = 0; i < count; i++) {
        const uint8_t *from = in + HEADER_BYTES + i * width;
        int32_t code = take16(from);
        if (width == 3) code |= (int32_t)from[2] << 16;
        samples[i] = code >= limit ? code - 2 * limit : code;
    }
    return EDGE_MI_PACKET_OK;
}

/* ---- commands ---- */

int edge_mi_packet_encode_command(const edge_mi_packet_command *command, uint8_t *out, size_t room)
{
    int start = command->command == EDGE_MI_PACKET_START;
    if (command->command < EDGE_MI_PACKET_START || command->command > EDGE_MI_PACKET_DESCRIBE) {
        return EDGE_MI_PACKET_BAD_KIND;
    }
    if (room < (start ? EDGE_MI_PACKET_START_BYTES : EDGE_MI_PACKET_COMMAND_BYTES)) return EDGE_MI_PACKET_NO_ROOM;
    out[0] = command->command;
    if (!start) return sealed(out, 1);
    put16(out + 1, command->rate_hz);
    out[3] = command->resume;
    return sealed(out, 4);
}

int edge_mi_packet_decode_command(const uint8_t *in, size_t n, edge_mi_packet_command *command)
{
    int error = check(in, n, EDGE_MI_PACKET_COMMAND_BYTES, (size_t)-1);
    command->command = n > 0 ? (uint8_t)(in[0] & COMMAND_MASK) : 0;
    if (error != EDGE_MI_PACKET_OK) return error;
    if (in[0] < EDGE_MI_PACKET_START || in[0] > EDGE_MI_PACKET_DESCRIBE) return EDGE_MI_PACKET_BAD_KIND;
    if (in[0] != EDGE_MI_PACKET_START) {
        if (n != EDGE_MI_PACKET_COMMAND_BYTES) return EDGE_MI_PACKET_BAD_LENGTH;
        command->rate_hz = 0;
        command->resume = 0;
        return EDGE_MI_PACKET_OK;
    }
    if (n != EDGE_MI_PACKET_START_BYTES) return EDGE_MI_PACKET_BAD_LENGTH;
    command->rate_hz = take16(in + 1);
    command->resume = in[3];
    return EDGE_MI_PACKET_OK;
}

uint8_t edge_mi_packet_status_of(int error)
{
    switch (error) {
    case EDGE_MI_PACKET_OK: return EDGE_MI_PACKET_STATUS_OK;
    case EDGE_MI_PACKET_BAD_LENGTH: return EDGE_MI_PACKET_STATUS_BAD_LENGTH;
    case EDGE_MI_PACKET_BAD_CRC: return EDGE_MI_PACKET_STATUS_BAD_CRC;
    default: return EDGE_MI_PACKET_STATUS_UNKNOWN_COMMAND;
    }
}

/* ---- answers and events ---- */

int edge_mi_packet_encode_answer(uint8_t command, uint8_t status, const edge_mi_packet_info *info, uint8_t *out,
                                 size_t room)
{
    if (command > COMMAND_MASK) return EDGE_MI_PACKET_BAD_VALUE;
    if (!has_info(command, status)) {
        if (status == EDGE_MI_PACKET_STATUS_OK && command != EDGE_MI_PACKET_STOP) return EDGE_MI_PACKET_BAD_KIND;
        if (room < EDGE_MI_PACKET_ANSWER_BYTES) return EDGE_MI_PACKET_NO_ROOM;
        out[0] = (uint8_t)(EDGE_MI_PACKET_ANSWER | command);
        out[1] = status;
        return sealed(out, 2);
    }
    if (info == NULL || !is_info(info, command)) return EDGE_MI_PACKET_BAD_VALUE;
    if (room < EDGE_MI_PACKET_ANSWER_BYTES + EDGE_MI_PACKET_INFO_BYTES) return EDGE_MI_PACKET_NO_ROOM;
    out[0] = (uint8_t)(EDGE_MI_PACKET_ANSWER | command);
    out[1] = status;
    out[2] = EDGE_MI_PACKET_VERSION;
    out[3] = info->measurement;
    out[4] = info->lead;
    out[5] = info->bits;
    put32(out + 6, info->rate_millihz);
    put32(out + 10, info->codes_per_v);
    out[14] = info->battery;
    return sealed(out, 2 + EDGE_MI_PACKET_INFO_BYTES);
}

int edge_mi_packet_encode_status(uint8_t battery, uint8_t contact, uint8_t *out, size_t room)
{
    if (!is_battery(battery) || !is_contact(contact)) return EDGE_MI_PACKET_BAD_VALUE;
    if (room < EDGE_MI_PACKET_STATUS_BYTES) return EDGE_MI_PACKET_NO_ROOM;
    out[0] = EDGE_MI_PACKET_STATUS;
    out[1] = battery;
    out[2] = contact;
    return sealed(out, 3);
}

int edge_mi_packet_encode_stopped(uint8_t reason, uint8_t *out, size_t room)
{
    if (room < EDGE_MI_PACKET_STOPPED_BYTES) return EDGE_MI_PACKET_NO_ROOM;
    out[0] = EDGE_MI_PACKET_STOPPED;
    out[1] = reason;
    return sealed(out, 2);
}

static int decode_answer(const uint8_t *in, size_t n, edge_mi_packet_control *found)
{
    found->kind = EDGE_MI_PACKET_ANSWER;
    found->command = (uint8_t)(in[0] & COMMAND_MASK);
    found->status = in[1];
    if (!has_info(found->command, found->status)) {
        if (found->status == EDGE_MI_PACKET_STATUS_OK && found->command != EDGE_MI_PACKET_STOP) {
            return EDGE_MI_PACKET_BAD_KIND;
        }
        return n == EDGE_MI_PACKET_ANSWER_BYTES ? EDGE_MI_PACKET_OK : EDGE_MI_PACKET_BAD_LENGTH;
    }
    if (n > EDGE_MI_PACKET_ANSWER_BYTES && in[2] != EDGE_MI_PACKET_VERSION) return EDGE_MI_PACKET_OTHER_VERSION;
    if (n != EDGE_MI_PACKET_ANSWER_BYTES + EDGE_MI_PACKET_INFO_BYTES) return EDGE_MI_PACKET_BAD_LENGTH;
    found->has_info = 1;
    found->info.measurement = in[3];
    found->info.lead = in[4];
    found->info.bits = in[5];
    found->info.rate_millihz = take32(in + 6);
    found->info.codes_per_v = take32(in + 10);
    found->info.battery = in[14];
    return is_info(&found->info, found->command) ? EDGE_MI_PACKET_OK : EDGE_MI_PACKET_BAD_VALUE;
}

static int decode_event(const uint8_t *in, size_t n, edge_mi_packet_control *found)
{
    found->kind = in[0];
    if (in[0] == EDGE_MI_PACKET_STOPPED) {
        found->reason = in[1];
        return n == EDGE_MI_PACKET_STOPPED_BYTES ? EDGE_MI_PACKET_OK : EDGE_MI_PACKET_BAD_LENGTH;
    }
    if (in[0] != EDGE_MI_PACKET_STATUS) return EDGE_MI_PACKET_BAD_KIND;
    if (n != EDGE_MI_PACKET_STATUS_BYTES) return EDGE_MI_PACKET_BAD_LENGTH;
    found->battery = in[1];
    found->contact = in[2];
    return is_battery(in[1]) && is_contact(in[2]) ? EDGE_MI_PACKET_OK : EDGE_MI_PACKET_BAD_VALUE;
}

int edge_mi_packet_decode_control(const uint8_t *in, size_t n, edge_mi_packet_control *control)
{
    static const edge_mi_packet_control nothing;
    edge_mi_packet_control found = nothing;
    int error = check(in, n, EDGE_MI_PACKET_ANSWER_BYTES, EDGE_MI_PACKET_CONTROL_MOST);
    if (error != EDGE_MI_PACKET_OK) return error;
    error = in[0] & EDGE_MI_PACKET_ANSWER ? decode_answer(in, n, &found) : decode_event(in, n, &found);
    if (error == EDGE_MI_PACKET_OK) *control = found;
    return error;
}

uint8_t edge_mi_packet_next_measurement(uint8_t last, uint8_t resume)
{
    uint8_t next = (uint8_t)(last % 255u + 1u);
    return next != resume ? next : (uint8_t)(next % 255u + 1u);
}
