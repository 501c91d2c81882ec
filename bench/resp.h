/*
 * resp.h - as much of the redis protocol (RESP2) as it takes to ask a proxy for the same work: one
 * command with one request line inside, answered by one bulk string.
 *
 *     *2 GET <request>           requests of at most RESP_KEY_MAX bytes
 *     *3 GETSET k <request>      longer ones: a proxy keeps a key, not a value, in one buffer
 *     $<reply>                   or -ERROR
 *
 * Pure: reads a span, appends to a buffer.
 */
#ifndef BENCH_RESP_H
#define BENCH_RESP_H

#include "bench/bytes.h"

#define RESP_KEY_MAX 1024

/* Append a command with this request inside, a reply with this value. */
void resp_add_command(struct bytes *out, struct wire_span request);
void resp_add_bulk(struct bytes *out, struct wire_span value);

/*
 * The last argument of the next command.  WIRE_OK moves *src behind it; WIRE_MORE leaves it, and so
 * do WIRE_BAD_FORM and WIRE_BAD_LONG (an argument of more than `max` bytes).
 */
WIRE_MUST_CHECK enum wire_status resp_command_next(struct wire_span *last, const uint8_t **src,
						   const uint8_t *end, size_t max);

/* The next reply; *failed: it is an error, and `value` its text. */
WIRE_MUST_CHECK enum wire_status resp_reply_next(struct wire_span *value, bool *failed,
						 const uint8_t **src, const uint8_t *end,
						 size_t max);

#endif
