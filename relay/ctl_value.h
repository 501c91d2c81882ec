/*
 * ctl_value.h - fields of any message, reached by their descriptors, and as text.
 */
#ifndef RELAY_CTL_VALUE_H
#define RELAY_CTL_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include <protobuf-c/protobuf-c.h>

/* A field that is one message; NULL = not set. */
const ProtobufCMessage *ctl_value_message(const ProtobufCMessage *message,
					  const ProtobufCFieldDescriptor *field);

/* A repeated field: how many, and, if they are messages, which. */
size_t ctl_value_count(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field);
ProtobufCMessage *const *ctl_value_rows(const ProtobufCMessage *message,
					const ProtobufCFieldDescriptor *field);

/* With its unit; lists with commas.  Texts come as they are: they must be cleaned behind it. */
void ctl_value_put(FILE *to, const ProtobufCMessage *message,
		   const ProtobufCFieldDescriptor *field);

/* Whether a column of it is aligned to the right. */
bool ctl_value_is_number(const ProtobufCFieldDescriptor *field);

bool ctl_value_ends_with(const char *text, const char *end);

#endif
