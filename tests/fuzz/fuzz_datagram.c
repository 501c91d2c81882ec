/*
 * fuzz_datagram.c - datagrams: what is well-formed is written again as it came, what was sealed is
 * opened and nothing else is, parts are joined to what was split, key files are sorted.
 *
 * Input: a byte that says which of these, a second one with flags, and what is left.
 */
#include <stdint.h>
#include <stdlib.h>

#include "wire/datagram_keys.h"
#include "wire/datagram_parts.h"
#include "wire/datagram_seal.h"

#define SIZE_MAX_HERE 2048
#define FROM_RELAY    1
#define SEALED        2

static uint8_t scratch[SIZE_MAX_HERE], copy[SIZE_MAX_HERE];

static void
must(bool holds)
{
	if (!holds)
		abort();
}

static void
check_same(const struct wire_out *out, const uint8_t *bytes, size_t len)
{
	must(!out->overflow && out->len == len);
	must(len == 0 || memcmp(out->data, bytes, len) == 0);
}

/* --- one datagram */

static bool
copy_part(struct wire_out *out, const struct datagram *datagram)
{
	struct datagram_part part;

	if (datagram->header.code != 0)
		return true;
	if (datagram_part_get(&part, datagram, DATAGRAM_JOINED_MAX) != DATAGRAM_OK)
		return false;
	must(part.total <= DATAGRAM_JOINED_MAX);
	must((uint64_t)part.offset + part.bytes.len <= part.total);
	must(part.is_last == ((uint64_t)part.offset + part.bytes.len == part.total));
	datagram_part_put(out, &part);
	return true;
}

static bool
copy_greeting(struct wire_out *out, const struct datagram *datagram)
{
	struct datagram_hello hello;
	struct datagram_welcome welcome;

	if (datagram->header.kind == DATAGRAM_HELLO) {
		if (datagram_hello_get(&hello, datagram) != DATAGRAM_OK)
			return false;
		datagram_hello_put(out, &hello);
		return true;
	}
	if (datagram_welcome_get(&welcome, datagram) != DATAGRAM_OK)
		return false;
	datagram_welcome_put(out, &welcome);
	return true;
}

static bool
copy_request(struct wire_out *out, const struct datagram *datagram)
{
	struct datagram_request request;

	if (datagram_request_get(&request, datagram) != DATAGRAM_OK)
		return false;
	must(request.host.len > 0 && request.host.len <= DATAGRAM_HOST_MAX);
	must(memchr(request.line.data, '\n', request.line.len) == NULL);
	datagram_request_put(out, &request);
	return true;
}

static bool
copy_confirmed(struct wire_out *out, const struct datagram *datagram)
{
	struct datagram_seen seen;

	if (datagram_confirmed_get(&seen, datagram) != DATAGRAM_OK)
		return false;
	must(datagram_seen_valid(&seen) && datagram_seen_has(&seen, seen.top));
	datagram_confirmed_put(out, &seen);
	return true;
}

/* Takes the body apart and writes it anew; false: it was refused. */
static bool
copy_body(struct wire_out *out, const struct datagram *datagram)
{
	switch ((enum datagram_kind)datagram->header.kind) {
	case DATAGRAM_HELLO:
	case DATAGRAM_WELCOME:
		return copy_greeting(out, datagram);
	case DATAGRAM_REQUEST:
		return copy_request(out, datagram);
	case DATAGRAM_REPLY:
	case DATAGRAM_NOTICE:
		return copy_part(out, datagram);
	case DATAGRAM_CONFIRMED:
		return copy_confirmed(out, datagram);
	case DATAGRAM_CONFIRM:
	case DATAGRAM_BUSY:
	case DATAGRAM_KEEP_ALIVE:
	case DATAGRAM_ACCEPTED:
	case DATAGRAM_BYE:
	case DATAGRAM_ERROR:
		must(datagram->body.len == 0);
		return true;
	}
	abort();
}

static struct datagram_terms
terms_of(uint8_t flags)
{
	return (struct datagram_terms){ flags & FROM_RELAY ? DATAGRAM_OF_RELAY : DATAGRAM_OF_CLIENT,
					(flags & SEALED) != 0, SIZE_MAX_HERE };
}

static void
check_plain(const uint8_t *data, size_t size, uint8_t flags)
{
	struct datagram_terms terms = terms_of(flags & FROM_RELAY);
	struct datagram datagram;
	struct wire_out out = wire_out(scratch, sizeof scratch);

	if (datagram_look(&datagram, wire_span(data, size), &terms) != DATAGRAM_OK)
		return;
	must(datagram.header.client != 0 && size >= DATAGRAM_HEADER_SIZE);
	datagram_begin(&out, &datagram.header);
	if (copy_body(&out, &datagram)) {
		datagram_end(&out, &datagram.header);
		check_same(&out, data, size);
	}
}

/* --- seals; the key is that of the examples, so that what is kept can be opened */

static struct datagram_cipher
cipher(void)
{
	struct datagram_cipher made;
	uint8_t secret[DATAGRAM_KEY_SIZE];

	for (size_t i = 0; i < sizeof secret; i++)
		secret[i] = (uint8_t)i;
	datagram_cipher_init(&made, UINT64_C(0x0123456789abcdef), secret);
	return made;
}

/* As it comes from the net: what is opened, sealed again, is what came. */
static void
check_sealed(const uint8_t *data, size_t size, uint8_t flags)
{
	struct datagram_terms terms = terms_of((flags & FROM_RELAY) | SEALED);
	struct datagram_cipher keys = cipher();
	struct datagram datagram;
	struct wire_out out = wire_out(scratch, sizeof scratch);

	if (size > sizeof copy)
		return;
	if (size > 0)
		memcpy(copy, data, size);
	if (datagram_look(&datagram, wire_span(copy, size), &terms) != DATAGRAM_OK)
		return;
	if (datagram_open(&keys, &datagram, copy, size) != DATAGRAM_OK) {
		must(datagram.body.len == 0);
		return;
	}
	datagram_begin(&out, &datagram.header);
	wire_out_bytes(&out, datagram.body.data, datagram.body.len);
	datagram_end(&out, &datagram.header);
	must(datagram_seal(&keys, scratch, out.len, data + DATAGRAM_HEADER_SIZE));
	check_same(&out, data, size);
}

/* A well-formed plain one is sealed and opened; with one bit turned it is not. */
static void
check_forged(const uint8_t *data, size_t size, uint8_t flags)
{
	struct datagram_terms terms = terms_of(flags & FROM_RELAY);
	struct datagram_cipher keys = cipher();
	uint8_t nonce[DATAGRAM_NONCE_SIZE] = { flags };
	struct datagram plain, datagram;
	struct wire_out out = wire_out(scratch, sizeof scratch);
	size_t bit;

	if (size < 2)
		return;
	bit = (size_t)data[0] << 8 | data[1];
	if (datagram_look(&plain, wire_span(data + 2, size - 2), &terms) != DATAGRAM_OK)
		return;
	plain.header.flags |= DATAGRAM_SEALED;
	datagram_begin(&out, &plain.header);
	wire_out_bytes(&out, plain.body.data, plain.body.len);
	datagram_end(&out, &plain.header);
	if (out.overflow)
		return;
	must(datagram_seal(&keys, scratch, out.len, nonce));
	memcpy(copy, scratch, out.len);
	terms.is_sealed = true;
	must(datagram_look(&datagram, wire_span(copy, out.len), &terms) == DATAGRAM_OK);
	must(datagram_open(&keys, &datagram, copy, out.len) == DATAGRAM_OK);
	must(wire_span_equal(datagram.body, plain.body));
	scratch[bit / 8 % out.len] ^= (uint8_t)(1u << bit % 8);
	if (datagram_look(&datagram, wire_span(scratch, out.len), &terms) == DATAGRAM_OK)
		must(datagram_open(&keys, &datagram, scratch, out.len) == DATAGRAM_BAD_SEAL);
}

/* --- parts: any ones, then all of a whole */

static void
check_join(const uint8_t *data, size_t size)
{
	static uint8_t whole[256], marks[4];
	struct datagram_join join = { .total = 0 };

	memset(marks, 0, sizeof marks);
	for (; size >= 4; data += 4, size -= 4) {
		uint32_t total = data[0], index = data[1] & 0x7f, len = data[2];
		struct datagram_join before = join;
		struct datagram_part part = { total, data[3], wire_span(scratch, len),
					      (data[1] & 0x80) != 0 };
		enum datagram_joined joined =
		    datagram_join_take(&join, &part, index, whole, marks, sizeof marks);

		must(join.have <= join.count && join.count <= 8 * sizeof marks);
		must((joined == DATAGRAM_JOIN_MORE || joined == DATAGRAM_JOIN_WHOLE) ==
		     (join.have == before.have + 1));
		must(before.count == 0 || join.count == before.count);
		must((joined == DATAGRAM_JOIN_WHOLE) ==
		     (join.have == join.count && join.have > before.have));
	}
}

/* --- key files */

static void
check_keys(const uint8_t *data, size_t size)
{
	static struct datagram_key keys[16];
	size_t count = 99;
	uint32_t line;
	enum datagram_keys_fault fault =
	    datagram_keys_parse(keys, 16, &count, wire_span(data, size), &line);

	must(fault == DATAGRAM_KEYS_FINE || count == 0);
	for (size_t i = 0; i < count; i++) {
		must(keys[i].client != 0);
		must(i == 0 || keys[i - 1].client < keys[i].client);
		must(datagram_keys_find(keys, count, keys[i].client) == &keys[i]);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	switch (data[0] % 5) {
	case 0:
		check_plain(data + 2, size - 2, data[1]);
		break;
	case 1:
		check_sealed(data + 2, size - 2, data[1]);
		break;
	case 2:
		check_forged(data + 2, size - 2, data[1]);
		break;
	case 3:
		check_join(data + 2, size - 2);
		break;
	default:
		check_keys(data + 2, size - 2);
	}
	return 0;
}
