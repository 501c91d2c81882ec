/*
 * vectors.h - the examples of wire/DATAGRAM.md, by name: what the tests read is what is written
 * there.  Tests run from the top of the tree.
 */
#ifndef TESTS_VECTORS_H
#define TESTS_VECTORS_H

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include <criterion/criterion.h>

#include "wire/wire.h"

#define VECTOR_MAX 1024

struct vector {
	uint8_t bytes[VECTOR_MAX];
	size_t len;
};

static inline unsigned
vector_digit(int c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c != '\0' ? strchr(digits, c) : NULL;

	cr_assert_not_null(at, "not a digit: %c", c);
	return (unsigned)(at - digits);
}

static inline void
vector_line(struct vector *vector, const char *line)
{
	for (; *line != '\0'; line++) {
		if (isspace((unsigned char)*line))
			continue;
		cr_assert_lt(vector->len, sizeof vector->bytes);
		vector->bytes[vector->len++] =
		    (uint8_t)(vector_digit(line[0]) << 4 | vector_digit(line[1]));
		line++;
	}
}

static inline struct vector
vector_read(const char *name)
{
	struct vector vector = { .len = 0 };
	FILE *file = fopen("wire/DATAGRAM.md", "r");
	char line[512], fence[80];
	bool is_inside = false;

	cr_assert_not_null(file, "wire/DATAGRAM.md: tests run from the top of the tree");
	(void)snprintf(fence, sizeof fence, "```vector-%s\n", name);
	while (fgets(line, sizeof line, file) != NULL) {
		if (is_inside && strcmp(line, "```\n") == 0)
			break;
		if (is_inside)
			vector_line(&vector, line);
		else
			is_inside = strcmp(line, fence) == 0;
	}
	(void)fclose(file);
	cr_assert(is_inside && vector.len > 0, "no example %s", name);
	return vector;
}

static inline struct wire_span
vector_span(const struct vector *vector)
{
	return wire_span(vector->bytes, vector->len);
}

#endif
