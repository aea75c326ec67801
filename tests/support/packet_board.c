/* What the example of docs/patch-protocol.md needs of a firmware: it keeps what is sent, behind the way it took. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

void notify(const uint8_t *bytes, size_t n);
void indicate(const uint8_t *bytes, size_t n);

uint8_t sent[64][600];
size_t lengths[64];
int count;

static void keep(int way, const uint8_t *bytes, size_t n)
{
    sent[count][0] = (uint8_t)way;
    memcpy(sent[count] + 1, bytes, n);
    lengths[count++] = n + 1;
}

void notify(const uint8_t *bytes, size_t n)
{
    keep('n', bytes, n);
}

void indicate(const uint8_t *bytes, size_t n)
{
    keep('i', bytes, n);
}
