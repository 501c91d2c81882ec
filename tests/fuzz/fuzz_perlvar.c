/*
 * fuzz_perlvar.c - every line is read once, alone or in the file, and a variable written out again
 * reads the same.
 *
 * Input: the bytes of a file.
 */
#include <stdint.h>
#include <stdlib.h>

#include "wire/perlvar.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(bool holds)
{
	if (!holds)
		abort();
}

static bool
blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\v' || c == '\f' || c == '\r';
}

static bool
holds_byte(struct wire_span s, uint8_t byte)
{
	return s.len > 0 && memchr(s.data, byte, s.len) != NULL;
}

/* The plainest line that says the same. */
static void
check_rewritten(const struct perlvar *var)
{
	static const char directive[] = "PerlSetVar ";
	size_t size = sizeof directive + var->name.len + var->value.len;
	uint8_t *line = malloc(size);
	if (line == NULL)
		return;

	struct wire_out out = wire_out(line, size);
	wire_out_bytes(&out, directive, sizeof directive - 1);
	wire_out_bytes(&out, var->name.data, var->name.len);
	wire_out_bytes(&out, " ", 1);
	wire_out_bytes(&out, var->value.data, var->value.len);
	must(!out.overflow && out.len == size);

	const uint8_t *src = line;
	struct perlvar again;
	must(perlvar_next(&again, &src, line + size) == WIRE_OK && src == line + size);
	must(wire_span_equal(again.name, var->name));
	must(wire_span_equal(again.value, var->value));
	free(line);
}

static void
check_var(const struct perlvar *var, struct wire_span line)
{
	const uint8_t *end = line.data + line.len;

	must(var->name.len > 0 && var->value.len > 0);
	must(var->name.data > line.data && var->name.data + var->name.len < var->value.data);
	must(var->value.data + var->value.len <= end);
	for (size_t i = 0; i < var->name.len; i++)
		must(!blank(var->name.data[i]));
	must(!blank(var->value.data[0]) && !blank(var->value.data[var->value.len - 1]));
	must(!holds_byte(line, '\0'));
	for (const uint8_t *at = var->value.data + var->value.len; at < end; at++)
		must(blank(*at));
	check_rewritten(var);
}

static void
check_alone(struct wire_span line, enum wire_status want, const struct perlvar *var)
{
	const uint8_t *src = line.data;
	const uint8_t *end = line.data + line.len;
	struct perlvar alone = { 0 };
	enum wire_status status = perlvar_next(&alone, &src, end);

	if (line.len == 0) {
		must(status == WIRE_MORE && want == WIRE_SKIP);
		return;
	}
	must(status == want && src == end);
	must(alone.name.data == var->name.data && alone.name.len == var->name.len);
	must(alone.value.data == var->value.data && alone.value.len == var->value.len);
}

/* One call at *src; returns false at the end of what can be read. */
static bool
step(const uint8_t **src, const uint8_t *end)
{
	const uint8_t *before = *src;
	struct perlvar var = { 0 };
	enum wire_status status = perlvar_next(&var, src, end);

	if (status == WIRE_MORE || status == WIRE_BAD_LONG) {
		must(*src == before);
		must(status == WIRE_BAD_LONG ? end - before > PERLVAR_LINE_MAX : before == end);
		return false;
	}
	must(*src > before && *src <= end);
	bool lf = (*src)[-1] == '\n';
	must(lf || *src == end);
	struct wire_span line = wire_span(before, (size_t)(*src - before) - lf);
	must(line.len <= PERLVAR_LINE_MAX && !holds_byte(line, '\n'));
	if (status == WIRE_OK)
		check_var(&var, line);
	else
		must((status == WIRE_SKIP || status == WIRE_BAD_FORM) && var.name.data == NULL);
	check_alone(line, status, &var);
	return true;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *src = data;

	while (step(&src, data + size))
		;
	return 0;
}
