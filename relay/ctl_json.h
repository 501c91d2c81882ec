/*
 * ctl_json.h - any protobuf message as JSON, with the names of its .proto.
 *
 * Fields that were not set are printed with their zero values, so that programs find them all;
 * only messages that are not there, and the oneof members that are not, are left out.  64-bit
 * numbers are numbers.  Bytes are text where they are UTF-8, else base64.
 */
#ifndef RELAY_CTL_JSON_H
#define RELAY_CTL_JSON_H

#include <stdbool.h>
#include <stdio.h>

#include <protobuf-c/protobuf-c.h>

/* Without `indent` all of it is on one line; no newline at the end. */
void ctl_json_print(FILE *out, const ProtobufCMessage *message, bool indent);

/* Likewise, but without the top level's fields named in `skip` (ends with NULL). */
void ctl_json_print_without(FILE *out, const ProtobufCMessage *message, bool indent,
			    const char *const *skip);

#endif
