/*
 * datagram.c - takes datagrams of the message plane apart and puts them together.
 *
 * Never knows a key, never remembers a datagram, never allocates.  Every field that a kind does not
 * have must be 0, so that a later version can give it a meaning.  Owns nothing but the tables.
 */
#include "wire/datagram.h"

#include <assert.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* Where the fields of the header are. */
enum {
	AT_CLIENT = 0,
	AT_VERSION = 8,
	AT_KIND = 9,
	AT_FLAGS = 10,
	AT_CODE = 11,
	AT_VALUE = 12,
	AT_SESSION = 16,
	AT_NUMBER = 24,
	AT_ABOUT = 32,
	AT_SEEN_TOP = 40,
	AT_SEEN_BITS = 48,
};

static_assert(AT_SEEN_BITS + 8 == DATAGRAM_HEADER_SIZE, "the header has no gap");
static_assert(DATAGRAM_HEADER_SIZE + DATAGRAM_SEAL_SIZE + DATAGRAM_HELLO_BODY < DATAGRAM_SIZE_MIN,
	      "hello fits");

/* --- names */

const char *
datagram_kind_name(uint8_t kind)
{
	static const char *const names[] = {
#define X(symbol, number, name, by, flags) [number] = (name),
		DATAGRAM_KINDS(X)
#undef X
	};

	return kind < COUNT(names) && names[kind] != NULL ? names[kind] : "unknown";
}

const char *
datagram_code_name(uint8_t code)
{
	static const char *const names[] = {
#define X(symbol, number, name) [number] = (name),
		DATAGRAM_CODES(X)
#undef X
	};

	return code < COUNT(names) ? names[code] : "unknown";
}

const char *
datagram_fault_text(enum datagram_fault fault)
{
	static const char *const texts[] = {
#define X(name, text) [name] = (text),
		DATAGRAM_FAULTS(X)
#undef X
	};
	size_t index = (size_t)fault;

	return index < COUNT(texts) ? texts[index] : "unknown fault";
}

enum datagram_code
datagram_fault_code(enum datagram_fault fault)
{
	switch (fault) {
	case DATAGRAM_OK:
		return DATAGRAM_FINE;
	case DATAGRAM_BAD_SPEECH:
		return DATAGRAM_BAD_VERSION;
	case DATAGRAM_BAD_LONG:
		return DATAGRAM_TOO_LONG;
	case DATAGRAM_BAD_SEAL:
	case DATAGRAM_NOT_SEALED:
		return DATAGRAM_NOT_ALLOWED;
	case DATAGRAM_BAD_SHORT:
	case DATAGRAM_BAD_CLIENT:
	case DATAGRAM_BAD_KIND:
	case DATAGRAM_BAD_SIDE:
	case DATAGRAM_BAD_FLAGS:
	case DATAGRAM_BAD_FIELD:
	case DATAGRAM_BAD_BODY:
	case DATAGRAM_BAD_PART:
		return DATAGRAM_MALFORMED;
	}
	return DATAGRAM_MALFORMED;
}

/* --- what each kind may hold */

enum field {
	NONE, /* must be 0 */
	SOME, /* must not be 0 */
	ANY,
};

struct rule {
	enum field session, number, seen;
	enum field about_client, about_relay; /* by who sends it */
	size_t body_min, body_max;
};

#define OPEN_END    DATAGRAM_SIZE_MAX
#define PART_MIN    (DATAGRAM_PART_PREFIX + 1)
#define REQUEST_MIN 2

static const struct rule rules[] = {
	[DATAGRAM_HELLO] = { NONE, SOME, NONE, NONE, NONE, DATAGRAM_HELLO_BODY,
			     DATAGRAM_HELLO_BODY },
	[DATAGRAM_WELCOME] = { SOME, NONE, NONE, NONE, SOME, DATAGRAM_HELLO_BODY,
			       DATAGRAM_HELLO_BODY },
	[DATAGRAM_REQUEST] = { SOME, SOME, ANY, NONE, NONE, REQUEST_MIN, OPEN_END },
	[DATAGRAM_REPLY] = { SOME, SOME, ANY, NONE, SOME, 0, OPEN_END },
	[DATAGRAM_CONFIRM] = { SOME, SOME, SOME, NONE, NONE, 0, 0 },
	[DATAGRAM_CONFIRMED] = { SOME, SOME, ANY, NONE, NONE, DATAGRAM_CONFIRMED_BODY,
				 DATAGRAM_CONFIRMED_BODY },
	[DATAGRAM_BUSY] = { ANY, ANY, ANY, NONE, SOME, 0, 0 },
	[DATAGRAM_KEEP_ALIVE] = { SOME, SOME, ANY, NONE, SOME, 0, 0 },
	[DATAGRAM_NOTICE] = { SOME, SOME, ANY, NONE, SOME, PART_MIN, OPEN_END },
	[DATAGRAM_ACCEPTED] = { SOME, SOME, ANY, NONE, SOME, 0, 0 },
	[DATAGRAM_BYE] = { SOME, SOME, ANY, NONE, ANY, 0, 0 },
	[DATAGRAM_ERROR] = { ANY, ANY, ANY, NONE, ANY, 0, 0 },
};

static const struct {
	uint8_t by;
	uint8_t flags;
} speakers[] = {

#define X(symbol, number, name, may, more) [number] = { (may), (more) },
	DATAGRAM_KINDS(X)
#undef X
};

static_assert(COUNT(rules) == COUNT(speakers), "each kind has its rule");

static bool
is_kind(uint8_t kind)
{
	return kind < COUNT(speakers) && speakers[kind].by != 0;
}

static bool
obeys(enum field field, uint64_t value)
{
	return field == ANY || (field == SOME) == (value != 0);
}

bool
datagram_seen_valid(const struct datagram_seen *seen)
{
	if (seen->top == 0)
		return seen->bits == 0;
	return seen->top > 64 || seen->bits >> (seen->top - 1) == 0;
}

/* --- header */

static void
read_header(struct datagram_header *header, const uint8_t *bytes)
{
	header->client = datagram_get_u64(bytes + AT_CLIENT);
	header->kind = bytes[AT_KIND];
	header->flags = bytes[AT_FLAGS];
	header->code = bytes[AT_CODE];
	header->value = datagram_get_u32(bytes + AT_VALUE);
	header->session = datagram_get_u64(bytes + AT_SESSION);
	header->number = datagram_get_u64(bytes + AT_NUMBER);
	header->about = datagram_get_u64(bytes + AT_ABOUT);
	header->seen.top = datagram_get_u64(bytes + AT_SEEN_TOP);
	header->seen.bits = datagram_get_u64(bytes + AT_SEEN_BITS);
}

static bool
is_whole_reply(const struct datagram_header *header)
{
	return header->kind == DATAGRAM_REPLY && header->code != 0;
}

static bool
is_code_valid(const struct datagram_header *header)
{
	if (header->code > DATAGRAM_CODE_MAX)
		return false;
	if (header->kind == DATAGRAM_ERROR)
		return header->code != 0;
	if (header->code == 0)
		return true;
	/* An outcome instead of a line: one part, and nothing that was kept. */
	return is_whole_reply(header) && (header->flags & DATAGRAM_LAST) != 0 &&
	       (header->flags & DATAGRAM_DURABLE) == 0;
}

static bool
is_value_valid(const struct datagram_header *header, enum datagram_side from)
{
	bool is_relay = from == DATAGRAM_OF_RELAY;
	bool has_parts = is_relay && !is_whole_reply(header) &&
			 (header->kind == DATAGRAM_REPLY || header->kind == DATAGRAM_NOTICE);

	return header->value == 0 || has_parts || header->kind == DATAGRAM_BUSY;
}

static bool
are_flags_valid(const struct datagram_header *header, enum datagram_side from)
{
	uint8_t known = (uint8_t)(speakers[header->kind].flags | DATAGRAM_SEALED | DATAGRAM_RELAY);

	if ((header->flags & ~known) != 0)
		return false;
	/* A client's notice is one datagram. */
	return header->kind != DATAGRAM_NOTICE || from == DATAGRAM_OF_RELAY ||
	       (header->flags & DATAGRAM_LAST) != 0;
}

static bool
are_fields_valid(const struct datagram_header *header, enum datagram_side from)
{
	const struct rule *rule = &rules[header->kind];
	enum field about = from == DATAGRAM_OF_CLIENT ? rule->about_client : rule->about_relay;

	return obeys(rule->session, header->session) && obeys(rule->number, header->number) &&
	       obeys(about, header->about) && obeys(rule->seen, header->seen.top) &&
	       datagram_seen_valid(&header->seen) && is_code_valid(header) &&
	       is_value_valid(header, from);
}

static enum datagram_fault
check_header(const struct datagram_header *header, const struct datagram_terms *terms)
{
	bool by_relay = (header->flags & DATAGRAM_RELAY) != 0;

	if (header->client == 0)
		return DATAGRAM_BAD_CLIENT;
	if (!is_kind(header->kind))
		return DATAGRAM_BAD_KIND;
	if (by_relay != (terms->from == DATAGRAM_OF_RELAY) ||
	    (speakers[header->kind].by & (by_relay ? DATAGRAM_BY_RELAY : DATAGRAM_BY_CLIENT)) == 0)
		return DATAGRAM_BAD_SIDE;
	if (((header->flags & DATAGRAM_SEALED) != 0) != terms->is_sealed)
		return DATAGRAM_NOT_SEALED;
	if (!are_flags_valid(header, terms->from))
		return DATAGRAM_BAD_FLAGS;
	if (!are_fields_valid(header, terms->from))
		return DATAGRAM_BAD_FIELD;
	return DATAGRAM_OK;
}

/* The body is what is left of a well-formed header, nonce and tag. */
static enum datagram_fault
check_lengths(const struct datagram_header *header, size_t len)
{
	struct rule rule = rules[header->kind];
	size_t around = DATAGRAM_HEADER_SIZE;

	if ((header->flags & DATAGRAM_SEALED) != 0)
		around += DATAGRAM_SEAL_SIZE;
	if (header->kind == DATAGRAM_REPLY) {
		rule.body_min = header->code == 0 ? DATAGRAM_PART_PREFIX : 0;
		rule.body_max = header->code == 0 ? OPEN_END : 0;
	}
	if (len < around || len - around < rule.body_min)
		return DATAGRAM_BAD_SHORT;
	return len - around > rule.body_max ? DATAGRAM_BAD_LONG : DATAGRAM_OK;
}

bool
datagram_client(uint64_t *client, struct wire_span bytes)
{
	if (bytes.len < AT_CLIENT + 8)
		return false;
	*client = datagram_get_u64(bytes.data + AT_CLIENT);
	return true;
}

enum datagram_fault
datagram_look(struct datagram *datagram, struct wire_span bytes, const struct datagram_terms *terms)
{
	struct datagram_header header;
	enum datagram_fault fault;
	size_t at = DATAGRAM_HEADER_SIZE;
	size_t end = bytes.len;

	if (bytes.len < DATAGRAM_HEADER_SIZE)
		return DATAGRAM_BAD_SHORT;
	if (bytes.len > terms->size_max)
		return DATAGRAM_BAD_LONG;
	if (bytes.data[AT_VERSION] != DATAGRAM_VERSION)
		return DATAGRAM_BAD_SPEECH;
	read_header(&header, bytes.data);
	fault = check_header(&header, terms);
	if (fault == DATAGRAM_OK)
		fault = check_lengths(&header, bytes.len);
	if (fault != DATAGRAM_OK)
		return fault;
	if (terms->is_sealed) {
		at += DATAGRAM_NONCE_SIZE;
		end -= DATAGRAM_TAG_SIZE;
	}
	datagram->header = header;
	datagram->body_at = at;
	datagram->body = wire_span(bytes.data + at, end - at);
	return DATAGRAM_OK;
}

void
datagram_begin(struct wire_out *out, const struct datagram_header *header)
{
	uint8_t *at = wire_out_room(out, DATAGRAM_HEADER_SIZE);
	uint8_t *nonce;

	if (at == NULL)
		return;
	datagram_put_u64(at + AT_CLIENT, header->client);
	at[AT_VERSION] = DATAGRAM_VERSION;
	at[AT_KIND] = header->kind;
	at[AT_FLAGS] = header->flags;
	at[AT_CODE] = header->code;
	datagram_put_u32(at + AT_VALUE, header->value);
	datagram_put_u64(at + AT_SESSION, header->session);
	datagram_put_u64(at + AT_NUMBER, header->number);
	datagram_put_u64(at + AT_ABOUT, header->about);
	datagram_put_u64(at + AT_SEEN_TOP, header->seen.top);
	datagram_put_u64(at + AT_SEEN_BITS, header->seen.bits);
	if ((header->flags & DATAGRAM_SEALED) == 0)
		return;
	nonce = wire_out_room(out, DATAGRAM_NONCE_SIZE);
	if (nonce != NULL)
		memset(nonce, 0, DATAGRAM_NONCE_SIZE);
}

void
datagram_end(struct wire_out *out, const struct datagram_header *header)
{
	uint8_t *tag;

	if ((header->flags & DATAGRAM_SEALED) == 0)
		return;
	tag = wire_out_room(out, DATAGRAM_TAG_SIZE);
	if (tag != NULL)
		memset(tag, 0, DATAGRAM_TAG_SIZE);
}

void
datagram_put_bare(struct wire_out *out, const struct datagram_header *header)
{
	datagram_begin(out, header);
	datagram_end(out, header);
}
