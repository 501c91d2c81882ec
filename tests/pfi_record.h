/*
 * pfi_record.h - a request stream, cut into reads, and what the server side says to it.
 *
 * The stream knows with which of its bytes descriptors come; a read of it has one such byte at
 * most, as the kernel has it.  What is recorded does not depend on how the stream was cut, unless
 * the codec does.  Every read is a copy of its own size: a sanitizer sees a look beside it.
 */
#ifndef TESTS_PFI_RECORD_H
#define TESTS_PFI_RECORD_H

#include <stdlib.h>
#include <string.h>

#include "wire/pfi_server.h"

#define PFI_STREAM_MAX 4096
/* Every byte of a stream makes one step at most, and its end another. */
#define PFI_STEPS_MAX (PFI_STREAM_MAX + 1)

struct pfi_stream {
	uint8_t bytes[PFI_STREAM_MAX];
	uint8_t fds[PFI_STREAM_MAX]; /* how many come with each byte */
	size_t len;
};

/* An event other than "more" and "body", and what there is to know of it. */
struct pfi_step {
	enum pfi_server_event event;
	size_t at; /* bytes of the stream that were taken */
	uint32_t detail;
};

struct pfi_record {
	struct pfi_step steps[PFI_STEPS_MAX];
	size_t count;
	uint8_t message[PFI_STREAM_MAX]; /* its pieces; of a refused one they depend on the cuts */
	size_t message_len;
	bool whole;
	enum pfi_fault end; /* what pfi_server_end() says behind the last byte */
};

static inline void
pfi_record_must(bool holds)
{
	if (!holds)
		abort();
}

static inline void
pfi_stream_put(struct pfi_stream *stream, const void *bytes, size_t len, uint8_t fds_of_first)
{
	pfi_record_must(len <= PFI_STREAM_MAX - stream->len && len > 0);
	memcpy(stream->bytes + stream->len, bytes, len);
	stream->fds[stream->len] = fds_of_first;
	stream->len += len;
}

/* What the client says before its length: the signalling byte and the descriptors. */
static inline void
pfi_stream_begin(struct pfi_stream *stream)
{
	const uint8_t byte = PFI_BYTE;

	memset(stream, 0, sizeof *stream);
	pfi_stream_put(stream, &byte, 1, 0);
	for (int i = 0; i < PFI_FDS; i++)
		pfi_stream_put(stream, &byte, 1, 1);
}

/* The next read: at most `len` bytes, and not as far as a second byte with descriptors. */
static inline struct pfi_input
pfi_stream_read(const struct pfi_stream *stream, size_t at, size_t len)
{
	struct pfi_input input = { .data = stream->bytes + at };

	while (input.len < len && at + input.len < stream->len) {
		uint8_t fds = stream->fds[at + input.len];

		if (fds > 0 && input.fds > 0)
			break;
		if (fds > 0) {
			input.fd_at = input.len;
			input.fds = fds;
		}
		input.len++;
	}
	return input;
}

static inline void
pfi_record_step(struct pfi_record *record, const struct pfi_server *server,
		enum pfi_server_event event, size_t at)
{
	struct pfi_step step = { .event = event, .at = at };

	switch (event) {
	case PFI_REQUEST_MORE:
	case PFI_REQUEST_BODY:
		return;
	case PFI_REQUEST_FD:
		step.detail = server->fds;
		break;
	case PFI_REQUEST_LENGTH:
		step.detail = server->message_len;
		break;
	case PFI_REQUEST_WHOLE:
		record->whole = true;
		step.detail = server->scan.settings << 16 | server->scan.arguments;
		break;
	case PFI_REQUEST_SIGNAL:
		step.detail = server->signal;
		break;
	case PFI_REQUEST_BAD:
		step.detail = (uint32_t)server->fault;
		break;
	}
	pfi_record_must(record->count < PFI_STEPS_MAX);
	record->steps[record->count++] = step;
}

/* Takes one read apart; false if it broke the protocol. */
static inline bool
pfi_record_read(struct pfi_record *record, struct pfi_server *server, struct pfi_input read,
		size_t at)
{
	uint8_t *copy = malloc(read.len);
	struct pfi_input input = read;
	enum pfi_server_event event;

	pfi_record_must(copy != NULL);
	memcpy(copy, read.data, read.len);
	input.data = copy;
	do {
		struct wire_span body = wire_span(NULL, 0);

		event = pfi_server_next(server, &input, &body);
		pfi_record_must(input.len <= read.len && input.data == copy + read.len - input.len);
		if (event == PFI_REQUEST_BODY || event == PFI_REQUEST_WHOLE) {
			pfi_record_must(body.len > 0 && body.data + body.len == input.data);
			memcpy(record->message + record->message_len, body.data, body.len);
			record->message_len += body.len;
		}
		pfi_record_step(record, server, event, at + read.len - input.len);
	} while (event != PFI_REQUEST_MORE && event != PFI_REQUEST_BAD);
	pfi_record_must(event == PFI_REQUEST_BAD || input.len == 0);
	free(copy);
	return event == PFI_REQUEST_MORE;
}

/* The whole stream, in reads of at most sizes[0], sizes[1], ... and from the front again. */
static inline void
pfi_record_make(struct pfi_record *record, struct pfi_server *server,
		const struct pfi_stream *stream, const size_t *sizes, size_t count)
{
	size_t at = 0;

	memset(record, 0, sizeof *record);
	for (size_t i = 0; at < stream->len; i++) {
		struct pfi_input read = pfi_stream_read(stream, at, sizes[i % count]);

		if (!pfi_record_read(record, server, read, at))
			break;
		at += read.len;
	}
	record->end = pfi_server_end(server);
}

static inline bool
pfi_record_equal(const struct pfi_record *a, const struct pfi_record *b)
{
	if (a->count != b->count || a->whole != b->whole || a->end != b->end)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (a->steps[i].event != b->steps[i].event || a->steps[i].at != b->steps[i].at ||
		    a->steps[i].detail != b->steps[i].detail)
			return false;
	return !a->whole || wire_span_equal(wire_span(a->message, a->message_len),
					    wire_span(b->message, b->message_len));
}

#endif
