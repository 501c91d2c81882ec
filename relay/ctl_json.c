/*
 * ctl_json.c - walks a message by its descriptor and writes JSON.
 *
 * Never interprets a field by its meaning, and never lets a byte through that JSON forbids: control
 * characters (those of a terminal too) leave as escapes.  Owns nothing.
 */
#include "relay/ctl_json.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "wire/control_frame.h"

struct printer {
	FILE *out;
	bool indent;
	unsigned depth;
	const char *const *skip; /* of the top level; NULL = none */
};

static void print_message(struct printer *printer, const ProtobufCMessage *message);

static void
line(const struct printer *printer)
{
	if (!printer->indent)
		return;
	fputc('\n', printer->out);
	for (unsigned i = 0; i < printer->depth; i++)
		fputs("  ", printer->out);
}

/* DEL and the C1 controls (U+0080..U+009F) are legal in JSON but not on a terminal. */
static size_t
escape(FILE *out, const uint8_t *at, size_t len)
{
	static const char from[] = "\"\\\n\r\t\b\f";
	static const char to[] = "\"\\nrtbf";
	const char *known = *at ? strchr(from, *at) : NULL;

	if (known) {
		fprintf(out, "\\%c", to[known - from]);
		return 1;
	}
	if (*at < ' ' || *at == 0x7f) {
		fprintf(out, "\\u%04x", *at);
		return 1;
	}
	if (*at == 0xc2 && len > 1 && at[1] < 0xa0) {
		fprintf(out, "\\u%04x", at[1]);
		return 2;
	}
	fputc(*at, out);
	return 1;
}

static void
print_text(FILE *out, const void *text, size_t len)
{
	const uint8_t *at = text;

	fputc('"', out);
	for (size_t i = 0; i < len;)
		i += escape(out, at + i, len - i);
	fputc('"', out);
}

static void
print_base64(FILE *out, const uint8_t *data, size_t len)
{
	static const char digits[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	fputc('"', out);
	for (size_t i = 0; i < len; i += 3) {
		size_t n = len - i < 3 ? len - i : 3;
		uint32_t group = (uint32_t)data[i] << 16;

		if (n > 1)
			group |= (uint32_t)data[i + 1] << 8;
		if (n > 2)
			group |= data[i + 2];
		fputc(digits[group >> 18], out);
		fputc(digits[group >> 12 & 63], out);
		fputc(n > 1 ? digits[group >> 6 & 63] : '=', out);
		fputc(n > 2 ? digits[group & 63] : '=', out);
	}
	fputc('"', out);
}

static void
print_bytes(FILE *out, const ProtobufCBinaryData *bytes)
{
	const char *text = (const char *)bytes->data;

	if (bytes->len == 0 || control_text_valid(text, bytes->len))
		print_text(out, text, bytes->len);
	else
		print_base64(out, bytes->data, bytes->len);
}

static void
print_enum(FILE *out, const ProtobufCEnumDescriptor *type, int32_t value)
{
	const ProtobufCEnumValue *known = protobuf_c_enum_descriptor_get_value(type, value);

	if (known)
		print_text(out, known->name, strlen(known->name));
	else
		fprintf(out, "%" PRId32, value);
}

/* JSON has no infinities. */
static void
print_real(FILE *out, double value)
{
	if (isfinite(value))
		fprintf(out, "%.17g", value);
	else
		fputs("null", out);
}

static void
print_string(FILE *out, const char *text)
{
	print_text(out, text ? text : "", text ? strlen(text) : 0);
}

static void
print_value(struct printer *printer, const ProtobufCFieldDescriptor *field, const void *value)
{
	FILE *out = printer->out;

	switch (field->type) {
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
		fprintf(out, "%" PRId32, *(const int32_t *)value);
		break;
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
		fprintf(out, "%" PRId64, *(const int64_t *)value);
		break;
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
		fprintf(out, "%" PRIu32, *(const uint32_t *)value);
		break;
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
		fprintf(out, "%" PRIu64, *(const uint64_t *)value);
		break;
	case PROTOBUF_C_TYPE_FLOAT:
		print_real(out, (double)*(const float *)value);
		break;
	case PROTOBUF_C_TYPE_DOUBLE:
		print_real(out, *(const double *)value);
		break;
	case PROTOBUF_C_TYPE_BOOL:
		fputs(*(const protobuf_c_boolean *)value ? "true" : "false", out);
		break;
	case PROTOBUF_C_TYPE_ENUM:
		print_enum(out, field->descriptor, *(const int32_t *)value);
		break;
	case PROTOBUF_C_TYPE_STRING:
		print_string(out, *(char *const *)value);
		break;
	case PROTOBUF_C_TYPE_BYTES:
		print_bytes(out, value);
		break;
	case PROTOBUF_C_TYPE_MESSAGE:
		print_message(printer, *(ProtobufCMessage *const *)value);
		break;
	}
}

static size_t
value_size(ProtobufCType type)
{
	switch (type) {
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
	case PROTOBUF_C_TYPE_FLOAT:
	case PROTOBUF_C_TYPE_ENUM:
		return 4;
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_DOUBLE:
		return 8;
	case PROTOBUF_C_TYPE_BOOL:
		return sizeof(protobuf_c_boolean);
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_MESSAGE:
		return sizeof(void *);
	case PROTOBUF_C_TYPE_BYTES:
		return sizeof(ProtobufCBinaryData);
	}
	return 0;
}

static void
print_list(struct printer *printer, const ProtobufCFieldDescriptor *field,
	   const ProtobufCMessage *message)
{
	const uint8_t *base = (const uint8_t *)message;
	size_t n = *(const size_t *)(const void *)(base + field->quantifier_offset);
	const uint8_t *items = *(const uint8_t *const *)(const void *)(base + field->offset);
	size_t size = value_size(field->type);

	fputc('[', printer->out);
	printer->depth++;
	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			fputs(printer->indent && field->type != PROTOBUF_C_TYPE_MESSAGE &&
				      field->type != PROTOBUF_C_TYPE_STRING
				  ? ", "
				  : ",",
			      printer->out);
		/* Lists of numbers (histograms) stay on a line. */
		if (field->type == PROTOBUF_C_TYPE_MESSAGE || field->type == PROTOBUF_C_TYPE_STRING)
			line(printer);
		print_value(printer, field, items + i * size);
	}
	printer->depth--;
	if (n > 0 &&
	    (field->type == PROTOBUF_C_TYPE_MESSAGE || field->type == PROTOBUF_C_TYPE_STRING))
		line(printer);
	fputc(']', printer->out);
}

static bool
is_set(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
	const uint8_t *base = (const uint8_t *)message;

	if (field->label == PROTOBUF_C_LABEL_REPEATED)
		return true;
	if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF &&
	    *(const uint32_t *)(const void *)(base + field->quantifier_offset) != field->id)
		return false;
	return field->type != PROTOBUF_C_TYPE_MESSAGE ||
	       *(void *const *)(const void *)(base + field->offset) != NULL;
}

static bool
is_skipped(const struct printer *printer, const char *name)
{
	for (const char *const *skip = printer->skip; skip && *skip; skip++)
		if (strcmp(*skip, name) == 0)
			return true;
	return false;
}

static void
print_field(struct printer *printer, const ProtobufCMessage *message,
	    const ProtobufCFieldDescriptor *field)
{
	line(printer);
	print_string(printer->out, field->name);
	fputs(printer->indent ? ": " : ":", printer->out);
	if (field->label == PROTOBUF_C_LABEL_REPEATED)
		print_list(printer, field, message);
	else
		print_value(printer, field, (const uint8_t *)message + field->offset);
}

static void
print_message(struct printer *printer, const ProtobufCMessage *message)
{
	const ProtobufCMessageDescriptor *type = message->descriptor;
	bool any = false;

	fputc('{', printer->out);
	printer->depth++;
	for (unsigned i = 0; i < type->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &type->fields[i];

		if (!is_set(message, field) ||
		    (printer->depth == 1 && is_skipped(printer, field->name)))
			continue;
		if (any)
			fputc(',', printer->out);
		print_field(printer, message, field);
		any = true;
	}
	printer->depth--;
	if (any)
		line(printer);
	fputc('}', printer->out);
}

void
ctl_json_print_without(FILE *out, const ProtobufCMessage *message, bool indent,
		       const char *const *skip)
{
	struct printer printer = { .out = out, .indent = indent, .skip = skip };

	print_message(&printer, message);
}

void
ctl_json_print(FILE *out, const ProtobufCMessage *message, bool indent)
{
	ctl_json_print_without(out, message, indent, NULL);
}
