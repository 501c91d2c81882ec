/*
 * ctl_value.c - one field of a message as text for people.  The unit comes from the field's name,
 * which is why control.proto names them so strictly.
 *
 * Never prints a message as a whole, never cleans: what it writes goes into a cell that is cleaned.
 * Owns nothing.
 */
#include "relay/ctl_value.h"

#include <inttypes.h>
#include <string.h>

#include "relay/ctl_units.h"

#include "control.pb-c.h"

const ProtobufCMessage *
ctl_value_message(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
	return *(const ProtobufCMessage *const *)(const void *)((const uint8_t *)message +
								field->offset);
}

size_t
ctl_value_count(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
	return *(const size_t *)(const void *)((const uint8_t *)message + field->quantifier_offset);
}

ProtobufCMessage *const *
ctl_value_rows(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
	return *(ProtobufCMessage *const *const *)(const void *)((const uint8_t *)message +
								 field->offset);
}

bool
ctl_value_ends_with(const char *text, const char *end)
{
	size_t len = strlen(text);
	size_t end_len = strlen(end);

	return len >= end_len && strcmp(text + len - end_len, end) == 0;
}

static bool
is_moment(const char *name)
{
	static const char *const moments[] = { "started", "now", "loaded", "last_load", "at" };

	for (size_t i = 0; i < sizeof moments / sizeof moments[0]; i++)
		if (strcmp(name, moments[i]) == 0)
			return true;
	return ctl_value_ends_with(name, "expires");
}

static bool
is_bytes(const char *name)
{
	return strncmp(name, "bytes", 5) == 0
		   ? name[5] == '\0' || name[5] == '_'
		   : ctl_value_ends_with(name, "_bytes") || strncmp(name, "memory_", 7) == 0;
}

static void
put_number(FILE *to, const char *name, uint64_t value)
{
	char text[CTL_UNIT_SIZE];

	/* It is not due at any time; another duration may well be 0. */
	if (strcmp(name, "next_us") == 0 && value == 0)
		return;
	if (ctl_value_ends_with(name, "_us"))
		fputs(ctl_duration(text, value), to);
	else if (is_moment(name))
		fputs(ctl_moment(text, value), to);
	else if (is_bytes(name))
		fputs(ctl_bytes(text, value), to);
	else
		fprintf(to, "%" PRIu64, value);
}

static void
put_enum(FILE *to, const ProtobufCFieldDescriptor *field, int32_t value)
{
	const ProtobufCEnumValue *known =
	    protobuf_c_enum_descriptor_get_value(field->descriptor, value);

	if (known)
		fputs(known->name, to);
	else
		fprintf(to, "%" PRId32, value);
}

static void put_message(FILE *to, const ProtobufCMessage *message);

static void
put_value(FILE *to, const ProtobufCFieldDescriptor *field, const void *value)
{
	const ProtobufCBinaryData *bytes = value;

	switch (field->type) {
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
		put_number(to, field->name, *(const uint32_t *)value);
		break;
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
		put_number(to, field->name, *(const uint64_t *)value);
		break;
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
		fprintf(to, "%" PRId32, *(const int32_t *)value);
		break;
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
		fprintf(to, "%" PRId64, *(const int64_t *)value);
		break;
	case PROTOBUF_C_TYPE_FLOAT:
		fprintf(to, "%g", (double)*(const float *)value);
		break;
	case PROTOBUF_C_TYPE_DOUBLE:
		fprintf(to, "%g", *(const double *)value);
		break;
	case PROTOBUF_C_TYPE_BOOL:
		fputs(*(const protobuf_c_boolean *)value ? "yes" : "no", to);
		break;
	case PROTOBUF_C_TYPE_ENUM:
		put_enum(to, field, *(const int32_t *)value);
		break;
	case PROTOBUF_C_TYPE_STRING:
		fputs(*(char *const *)value ? *(char *const *)value : "", to);
		break;
	case PROTOBUF_C_TYPE_BYTES:
		fwrite(bytes->data, 1, bytes->len, to);
		break;
	case PROTOBUF_C_TYPE_MESSAGE:
		put_message(to, *(const ProtobufCMessage *const *)value);
		break;
	}
}

/* A reason that never was: nothing to tell. */
static bool
is_zero_reason(const ProtobufCFieldDescriptor *field, const void *item)
{
	if (field->type != PROTOBUF_C_TYPE_MESSAGE ||
	    field->descriptor != &relay__control__reason__descriptor)
		return false;
	return (*(const Relay__Control__Reason *const *)item)->count == 0;
}

static void
put_list(FILE *to, const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
	const uint8_t *items =
	    *(const uint8_t *const *)(const void *)((const uint8_t *)message + field->offset);
	size_t size = field->type == PROTOBUF_C_TYPE_UINT32   ? sizeof(uint32_t)
		      : field->type == PROTOBUF_C_TYPE_UINT64 ? sizeof(uint64_t)
							      : sizeof(void *);

	/* Lists of other types are not in the protocol. */
	if (size == sizeof(void *) && field->type != PROTOBUF_C_TYPE_STRING &&
	    field->type != PROTOBUF_C_TYPE_MESSAGE && field->type != PROTOBUF_C_TYPE_UINT64)
		return;
	const char *between = "";

	for (size_t i = 0; i < ctl_value_count(message, field); i++) {
		const uint8_t *item = items + i * size;

		if (is_zero_reason(field, item))
			continue;
		fputs(between, to);
		put_value(to, field, item);
		between = ", ";
	}
}

void
ctl_value_put(FILE *to, const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
	if (field->label == PROTOBUF_C_LABEL_REPEATED)
		put_list(to, message, field);
	else if (field->type != PROTOBUF_C_TYPE_MESSAGE || ctl_value_message(message, field))
		put_value(to, field, (const uint8_t *)message + field->offset);
}

static void
put_histogram(FILE *to, const Relay__Control__Histogram *histogram)
{
	char p50[CTL_UNIT_SIZE];
	char p90[CTL_UNIT_SIZE];
	char p99[CTL_UNIT_SIZE];

	if (ctl_histogram_total(histogram) > 0)
		fprintf(to, "p50 %s  p90 %s  p99 %s", ctl_quantile(p50, histogram, NULL, 50),
			ctl_quantile(p90, histogram, NULL, 90),
			ctl_quantile(p99, histogram, NULL, 99));
}

/* A message in one cell: "queue_timeout 3", "p50 ...", else its values side by side. */
static void
put_message(FILE *to, const ProtobufCMessage *message)
{
	const ProtobufCMessageDescriptor *type = message->descriptor;

	if (type == &relay__control__histogram__descriptor) {
		put_histogram(to, (const Relay__Control__Histogram *)message);
		return;
	}
	for (unsigned i = 0; i < type->n_fields; i++) {
		if (i > 0)
			fputc(' ', to);
		ctl_value_put(to, message, &type->fields[i]);
	}
}

bool
ctl_value_is_number(const ProtobufCFieldDescriptor *field)
{
	if (field->label == PROTOBUF_C_LABEL_REPEATED || is_moment(field->name))
		return false;
	return field->type != PROTOBUF_C_TYPE_STRING && field->type != PROTOBUF_C_TYPE_BYTES &&
	       field->type != PROTOBUF_C_TYPE_BOOL && field->type != PROTOBUF_C_TYPE_ENUM;
}
