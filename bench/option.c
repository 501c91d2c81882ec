/*
 * option.c - values of options, or a reason and the end.
 */
#include "bench/option.h"

#include "bench/clock.h"
#include "bench/number.h"

#include <err.h>
#include <stdlib.h>

uint64_t
option_number(const char *name, const char *text, uint64_t min, uint64_t max)
{
	uint64_t value;

	if (!number_parse(wire_span_str(text), max, &value) || value < min)
		errx(2, "--%s: \"%s\" is not a number from %llu to %llu", name, text,
		     (unsigned long long)min, (unsigned long long)max);
	return value;
}

uint64_t
option_seconds(const char *name, const char *text, uint64_t min_ns, uint64_t max_s)
{
	char *end;
	double value = strtod(text, &end);
	/* Also what is no number at all is not within. */
	bool within = value >= 0.0 && value <= (double)max_s;
	uint64_t ns = within ? (uint64_t)(value * (double)NS_PER_S) : 0;

	if (end == text || *end != '\0' || !within || ns < min_ns)
		errx(2, "--%s: \"%s\" is not a number of seconds%s up to %llu", name, text,
		     min_ns > 0 ? " above 0" : "", (unsigned long long)max_s);
	return ns;
}
