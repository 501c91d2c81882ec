/*
 * datagram_body.c - the bodies of the kinds that have one.
 *
 * Never looks at a header but for the kind, the part and who sends it; never reads beyond the body.
 * A sealed body must have been opened.  Owns nothing.
 */
#include "wire/datagram.h"

#include <assert.h>

#define REQUEST_PREFIX 1 /* length of the host's name */

/* --- hello and welcome: as long as each other, zeros at the end */

static bool
is_zero(const uint8_t *bytes, size_t len)
{
	uint8_t any = 0;

	for (size_t i = 0; i < len; i++)
		any |= bytes[i];
	return any == 0;
}

static bool
is_size(uint32_t size)
{
	return size >= DATAGRAM_SIZE_MIN && size <= DATAGRAM_SIZE_MAX;
}

enum datagram_fault
datagram_hello_get(struct datagram_hello *hello, const struct datagram *datagram)
{
	const uint8_t *at = datagram->body.data;
	uint32_t receive_max;

	assert(datagram->header.kind == DATAGRAM_HELLO);
	assert(datagram->body.len == DATAGRAM_HELLO_BODY);
	receive_max = datagram_get_u32(at);
	if (!is_size(receive_max) || !is_zero(at + 4, DATAGRAM_HELLO_BODY - 4))
		return DATAGRAM_BAD_BODY;
	hello->receive_max = receive_max;
	return DATAGRAM_OK;
}

void
datagram_hello_put(struct wire_out *out, const struct datagram_hello *hello)
{
	uint8_t *at = wire_out_room(out, DATAGRAM_HELLO_BODY);

	if (at == NULL)
		return;
	memset(at, 0, DATAGRAM_HELLO_BODY);
	datagram_put_u32(at, hello->receive_max);
}

enum datagram_fault
datagram_welcome_get(struct datagram_welcome *welcome, const struct datagram *datagram)
{
	const uint8_t *at = datagram->body.data;
	struct datagram_welcome got;

	assert(datagram->header.kind == DATAGRAM_WELCOME);
	assert(datagram->body.len == DATAGRAM_HELLO_BODY);
	got.size_max = datagram_get_u32(at);
	got.reply_max = datagram_get_u32(at + 4);
	got.keep_alive_ms = datagram_get_u32(at + 8);
	got.open_max = datagram_get_u32(at + 12);
	got.span_max = datagram_get_u32(at + 16);
	if (!is_size(got.size_max) || got.reply_max == 0 || got.reply_max > DATAGRAM_JOINED_MAX ||
	    got.keep_alive_ms == 0 || got.open_max == 0 || got.span_max < got.open_max ||
	    got.span_max > DATAGRAM_SPAN_MAX || !is_zero(at + 20, DATAGRAM_HELLO_BODY - 20))
		return DATAGRAM_BAD_BODY;
	*welcome = got;
	return DATAGRAM_OK;
}

void
datagram_welcome_put(struct wire_out *out, const struct datagram_welcome *welcome)
{
	uint8_t *at = wire_out_room(out, DATAGRAM_HELLO_BODY);

	if (at == NULL)
		return;
	memset(at, 0, DATAGRAM_HELLO_BODY);
	datagram_put_u32(at, welcome->size_max);
	datagram_put_u32(at + 4, welcome->reply_max);
	datagram_put_u32(at + 8, welcome->keep_alive_ms);
	datagram_put_u32(at + 12, welcome->open_max);
	datagram_put_u32(at + 16, welcome->span_max);
}

/* --- request */

enum datagram_fault
datagram_request_get(struct datagram_request *request, const struct datagram *datagram)
{
	struct wire_span body = datagram->body;
	size_t host_len, line_at;

	assert(datagram->header.kind == DATAGRAM_REQUEST);
	assert(body.len > REQUEST_PREFIX);
	host_len = body.data[0];
	line_at = REQUEST_PREFIX + host_len;
	if (host_len == 0 || line_at > body.len)
		return DATAGRAM_BAD_BODY;
	/* It would be two lines to the peer. */
	if (memchr(body.data + line_at, '\n', body.len - line_at) != NULL)
		return DATAGRAM_BAD_BODY;
	request->host = wire_span(body.data + REQUEST_PREFIX, host_len);
	request->line = wire_span(body.data + line_at, body.len - line_at);
	return DATAGRAM_OK;
}

void
datagram_request_put(struct wire_out *out, const struct datagram_request *request)
{
	uint8_t *len = wire_out_room(out, REQUEST_PREFIX);

	assert(request->host.len > 0 && request->host.len <= DATAGRAM_HOST_MAX);
	if (len == NULL)
		return;
	*len = (uint8_t)request->host.len;
	wire_out_bytes(out, request->host.data, request->host.len);
	wire_out_bytes(out, request->line.data, request->line.len);
}

size_t
datagram_line_max(size_t size, size_t host_len, bool is_sealed)
{
	size_t around = DATAGRAM_HEADER_SIZE + REQUEST_PREFIX + host_len;

	if (is_sealed)
		around += DATAGRAM_SEAL_SIZE;

	return size > around ? size - around : 0;
}

/* --- confirmed */

enum datagram_fault
datagram_confirmed_get(struct datagram_seen *confirmed, const struct datagram *datagram)
{
	const uint8_t *at = datagram->body.data;
	struct datagram_seen got;

	assert(datagram->header.kind == DATAGRAM_CONFIRMED);
	assert(datagram->body.len == DATAGRAM_CONFIRMED_BODY);
	got.top = datagram_get_u64(at);
	got.bits = datagram_get_u64(at + 8);
	if (!datagram_seen_valid(&got) || got.top == 0)
		return DATAGRAM_BAD_BODY;
	*confirmed = got;
	return DATAGRAM_OK;
}

void
datagram_confirmed_put(struct wire_out *out, const struct datagram_seen *confirmed)
{
	uint8_t *at = wire_out_room(out, DATAGRAM_CONFIRMED_BODY);

	if (at == NULL)
		return;
	datagram_put_u64(at, confirmed->top);
	datagram_put_u64(at + 8, confirmed->bits);
}

/* --- parts */

/* Where the bytes belong: all parts but the last are equally long. */
static bool
place_part(struct datagram_part *part, uint32_t index, size_t len)
{
	uint64_t end;

	if (part->is_last) {
		/* What is before the last one are `index` equal parts, none shorter than it. */
		if (len > part->total)
			return false;
		part->offset = part->total - (uint32_t)len;
		if (index == 0)
			return part->offset == 0;
		return len > 0 && part->offset % index == 0 && part->offset / index >= len;
	}
	end = ((uint64_t)index + 1) * len;
	if (len == 0 || index == UINT32_MAX || end >= part->total)
		return false;
	part->offset = index * (uint32_t)len;
	return true;
}

enum datagram_fault
datagram_part_get(struct datagram_part *part, const struct datagram *datagram, uint32_t total_max)
{
	const struct datagram_header *header = &datagram->header;
	struct wire_span body = datagram->body;
	struct datagram_part got;

	assert(header->kind == DATAGRAM_NOTICE ||
	       (header->kind == DATAGRAM_REPLY && header->code == 0));
	assert(body.len >= DATAGRAM_PART_PREFIX);
	got.total = datagram_get_u32(body.data);
	got.bytes = wire_span(body.data + DATAGRAM_PART_PREFIX, body.len - DATAGRAM_PART_PREFIX);
	got.is_last = (header->flags & DATAGRAM_LAST) != 0;
	if (got.total > total_max)
		return DATAGRAM_BAD_LONG;
	if (!place_part(&got, header->value, got.bytes.len))
		return DATAGRAM_BAD_PART;
	*part = got;
	return DATAGRAM_OK;
}

void
datagram_part_put(struct wire_out *out, const struct datagram_part *part)
{
	uint8_t *at = wire_out_room(out, DATAGRAM_PART_PREFIX);

	if (at == NULL)
		return;
	datagram_put_u32(at, part->total);
	wire_out_bytes(out, part->bytes.data, part->bytes.len);
}

/* --- replies out of the store */

enum datagram_fault
datagram_stored_get(struct datagram_stored *stored, struct wire_span whole)
{
	struct datagram_stored got;

	if (whole.len < DATAGRAM_STORED_PREFIX)
		return DATAGRAM_BAD_SHORT;
	got.session = datagram_get_u64(whole.data);
	got.number = datagram_get_u64(whole.data + 8);
	got.line =
	    wire_span(whole.data + DATAGRAM_STORED_PREFIX, whole.len - DATAGRAM_STORED_PREFIX);
	if (got.session == 0 || got.number == 0)
		return DATAGRAM_BAD_BODY;
	*stored = got;
	return DATAGRAM_OK;
}

void
datagram_stored_put(struct wire_out *out, const struct datagram_stored *stored)
{
	uint8_t *at = wire_out_room(out, DATAGRAM_STORED_PREFIX);

	if (at == NULL)
		return;
	datagram_put_u64(at, stored->session);
	datagram_put_u64(at + 8, stored->number);
	wire_out_bytes(out, stored->line.data, stored->line.len);
}
