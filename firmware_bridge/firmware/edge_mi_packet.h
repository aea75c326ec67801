/* EdgeMI Patch, version 1: its packets, for firmware and for whatever speaks with it. C99, no allocation, no libraries.
 *
 * SPDX-License-Identifier: MIT
 *
 * The protocol and an example are in docs/patch-protocol.md. Nothing here keeps a state, so every function may be
 * called from anywhere at any time. Pointers must not be NULL unless it says so, and buffers must not overlap.
 *
 * Encoders return the length of the packet, decoders EDGE_MI_PACKET_OK; both a negative edge_mi_packet_error otherwise,
 * and then what they were to write holds what it held before, but for the command that decode_command names in an error.
 */
#ifndef EDGE_MI_PACKET_H
#define EDGE_MI_PACKET_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define EDGE_MI_PACKET_VERSION 1

#define EDGE_MI_PACKET_SERVICE "e4d60001-9b1c-4f5a-8f2e-2c6b1f0a7e11"
#define EDGE_MI_PACKET_CONTROL "e4d60002-9b1c-4f5a-8f2e-2c6b1f0a7e11" /* write with response, indicate */
#define EDGE_MI_PACKET_DATA "e4d60003-9b1c-4f5a-8f2e-2c6b1f0a7e11"    /* notify */

/* Sizes in bytes, checksum included. */
#define EDGE_MI_PACKET_AROUND 12       /* of a data packet: all but its samples */
#define EDGE_MI_PACKET_MOST 512        /* of a data packet: what an attribute can hold, whatever the MTU */
#define EDGE_MI_PACKET_START_BYTES 6   /* a START */
#define EDGE_MI_PACKET_COMMAND_BYTES 3 /* any other command */
#define EDGE_MI_PACKET_ANSWER_BYTES 4  /* an answer without info */
#define EDGE_MI_PACKET_INFO_BYTES 13   /* what info adds to it */
#define EDGE_MI_PACKET_STATUS_BYTES 5
#define EDGE_MI_PACKET_STOPPED_BYTES 4
#define EDGE_MI_PACKET_CONTROL_MOST 20 /* room for any indication or command */

/* Samples of a data packet that fills a notification at an ATT MTU of 23 or more; bits: 16 or 24. */
#define EDGE_MI_PACKET_SAMPLES(att_mtu, bits) \
    (((att_mtu) - 3 > EDGE_MI_PACKET_MOST ? EDGE_MI_PACKET_MOST - EDGE_MI_PACKET_AROUND \
                                          : (att_mtu) - 3 - EDGE_MI_PACKET_AROUND) / ((bits) / 8))

typedef enum {
    EDGE_MI_PACKET_OK = 0,
    EDGE_MI_PACKET_BAD_LENGTH = -1,   /* too short, too long, or no whole samples */
    EDGE_MI_PACKET_BAD_CRC = -2,      /* damaged on its way */
    EDGE_MI_PACKET_BAD_KIND = -3,     /* no packet, command or answer of this version */
    EDGE_MI_PACKET_BAD_BIT = -4,      /* a bit that must be 0 is set */
    EDGE_MI_PACKET_BAD_VALUE = -5,    /* a field is out of its range */
    EDGE_MI_PACKET_NO_ROOM = -6,      /* the buffer is too small */
    EDGE_MI_PACKET_OTHER_VERSION = -7 /* the patch speaks another version */
} edge_mi_packet_error;

enum { /* commands */
    EDGE_MI_PACKET_START = 1,
    EDGE_MI_PACKET_STOP = 2,
    EDGE_MI_PACKET_DESCRIBE = 3
};

enum { /* what the patch indicates */
    EDGE_MI_PACKET_STATUS = 0x40,
    EDGE_MI_PACKET_STOPPED = 0x41,
    EDGE_MI_PACKET_ANSWER = 0x80 /* and the command in the low seven bits */
};

enum { /* status of an answer; a client takes every other one as a refusal too */
    EDGE_MI_PACKET_STATUS_OK = 0,
    EDGE_MI_PACKET_STATUS_UNKNOWN_COMMAND = 1,
    EDGE_MI_PACKET_STATUS_BAD_LENGTH = 2,
    EDGE_MI_PACKET_STATUS_BAD_CRC = 3,
    EDGE_MI_PACKET_STATUS_RATE_NOT_SUPPORTED = 4,
    EDGE_MI_PACKET_STATUS_NOT_MEASURING = 5,
    EDGE_MI_PACKET_STATUS_ENCRYPTION_NEEDED = 6,
    EDGE_MI_PACKET_STATUS_CANNOT_MEASURE = 7
};

enum { /* why a measurement ended */
    EDGE_MI_PACKET_REASON_COMMANDED = 0,
    EDGE_MI_PACKET_REASON_BATTERY = 1,
    EDGE_MI_PACKET_REASON_ELECTRODES = 2,
    EDGE_MI_PACKET_REASON_FAULT = 3
};

enum { /* leads: I, II, III, aVR, aVL, aVF, then V1 to V6 */
    EDGE_MI_PACKET_LEAD_I = 0,
    EDGE_MI_PACKET_LEAD_II = 1,
    EDGE_MI_PACKET_LEAD_V1 = 6,
    EDGE_MI_PACKET_LEAD_V6 = 11
};

enum {
    EDGE_MI_PACKET_CONTACT_OFF = 0,
    EDGE_MI_PACKET_CONTACT_ON = 1,
    EDGE_MI_PACKET_UNKNOWN = 255 /* a contact, a lead or a battery that the patch does not know */
};

typedef struct {
    uint32_t counter;    /* number of the first sample since the measurement began; wraps */
    uint32_t clock_us;   /* the sensor's clock at the first sample; wraps */
    uint16_t n;          /* samples */
    uint8_t measurement; /* 1..255 */
    uint8_t bits;        /* 16 or 24 */
    uint8_t contact;     /* during all of them: EDGE_MI_PACKET_CONTACT_..., or _UNKNOWN */
} edge_mi_packet_data;

typedef struct {
    uint8_t command;
    uint8_t resume;   /* START: the measurement to go on with, 0 to begin a new one */
    uint16_t rate_hz; /* START: the rate wished, 0 for what the patch chooses */
} edge_mi_packet_command;

typedef struct {
    uint32_t rate_millihz; /* nominal, 1 or more */
    uint32_t codes_per_v;  /* codes to a volt, which is thousandths of codes to a millivolt; 1 or more */
    uint8_t measurement;   /* 1..255; 0 where none runs */
    uint8_t lead;          /* EDGE_MI_PACKET_LEAD_..., or _UNKNOWN */
    uint8_t bits;          /* 16 or 24 */
    uint8_t battery;       /* percent, or EDGE_MI_PACKET_UNKNOWN */
} edge_mi_packet_info;

typedef struct {
    edge_mi_packet_info info; /* of an answer that has_info */
    uint8_t kind;             /* EDGE_MI_PACKET_ANSWER, _STATUS or _STOPPED; 0 in what follows where it is of another */
    uint8_t command, status;  /* of an answer */
    uint8_t has_info;         /* an OK to START or DESCRIBE */
    uint8_t battery, contact; /* of a STATUS */
    uint8_t reason;           /* of a STOPPED */
} edge_mi_packet_control;

/* Samples as a data packet. data->n of them are read, and saturate at the ends of the range of data->bits.
 * room: bytes at out; EDGE_MI_PACKET_MOST is always enough. */
int edge_mi_packet_encode_data(const edge_mi_packet_data *data, const int32_t *samples, uint8_t *out, size_t room);

/* A notification of n bytes. room: samples that fit at samples; EDGE_MI_PACKET_SAMPLES(517, 16) is always enough. */
int edge_mi_packet_decode_data(const uint8_t *in, size_t n, edge_mi_packet_data *data, int32_t *samples, size_t room);

/* A command, for a client. resume and rate_hz are looked at for a START only. */
int edge_mi_packet_encode_command(const edge_mi_packet_command *command, uint8_t *out, size_t room);

/* What a client wrote, n bytes, which may be none. Where it is no command, command->command is still what the answer
 * has to name, and edge_mi_packet_status_of says the status to answer with. */
int edge_mi_packet_decode_command(const uint8_t *in, size_t n, edge_mi_packet_command *command);

/* The status that a patch answers with to bytes for which edge_mi_packet_decode_command returned this. */
uint8_t edge_mi_packet_status_of(int error);

/* An answer to a command of 0..127. info: goes with an OK to START and DESCRIBE, for which it must be given; not looked
 * at otherwise, and may then be NULL. */
int edge_mi_packet_encode_answer(uint8_t command, uint8_t status, const edge_mi_packet_info *info, uint8_t *out,
                                 size_t room);

/* A STATUS. battery: percent; contact: EDGE_MI_PACKET_CONTACT_...; or _UNKNOWN. */
int edge_mi_packet_encode_status(uint8_t battery, uint8_t contact, uint8_t *out, size_t room);

/* A STOPPED. */
int edge_mi_packet_encode_stopped(uint8_t reason, uint8_t *out, size_t room);

/* An indication of n bytes, for a client. */
int edge_mi_packet_decode_control(const uint8_t *in, size_t n, edge_mi_packet_control *control);

/* Number of a new measurement after the one numbered last (0..255, 0 for none): never 0, and never the one that the
 * client wished to resume, so that a patch that was reset does not pass a new measurement off as the old one. */
uint8_t edge_mi_packet_next_measurement(uint8_t last, uint8_t resume);

/* CRC-16/CCITT-FALSE of n bytes; 0x29B1 for "123456789". */
uint16_t edge_mi_packet_crc(const uint8_t *in, size_t n);

#ifdef __cplusplus
}
#endif
#endif
