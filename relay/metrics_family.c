/*
 * metrics_family.c - see metrics_family.h.
 */
#include "relay/metrics_family.h"

void
metrics_family(struct metrics_text *text, const char *name, const char *type, const char *help)
{
	metrics_text_put(text, "# HELP ");
	metrics_text_put(text, name);
	metrics_text_put(text, " ");
	metrics_text_put(text, help);
	metrics_text_put(text, "\n# TYPE ");
	metrics_text_put(text, name);
	metrics_text_put(text, " ");
	metrics_text_put(text, type);
	metrics_text_put(text, "\n");
}

void
metrics_end_number(struct metrics_text *text, uint64_t number)
{
	metrics_text_put_number(text, number);
	metrics_text_put(text, "\n");
}

void
metrics_end_seconds(struct metrics_text *text, uint64_t us)
{
	metrics_text_put_seconds(text, us);
	metrics_text_put(text, "\n");
}

void
metrics_ends_init(struct metrics_ends *ends, const struct metrics_bounds *bounds)
{
	metrics_text_init(&ends->text, (METRICS_BOUNDS_MAX + 1) * METRICS_LE_MAX);
	for (size_t i = 0; i <= bounds->count; i++) {
		ends->at[i] = ends->text.len;
		metrics_text_put(&ends->text, ",le=\"");
		if (i < bounds->count)
			metrics_text_put_seconds(&ends->text, bounds->us[i]);
		else
			metrics_text_put(&ends->text, "+Inf");
		metrics_text_put(&ends->text, "\"} ");
	}
	ends->at[bounds->count + 1] = ends->text.len;
}

/* NAME_ending{LABEL */
static void
series(struct metrics_text *text, const char *name, const char *ending, const char *label,
       size_t label_len)
{
	metrics_text_put(text, name);
	metrics_text_put(text, ending);
	metrics_text_put_bytes(text, label, label_len);
}

/* The lines of buckets differ at their ends alone: what is before is copied from the first. */
void
metrics_histogram(struct metrics_text *text, const char *name, const char *label, size_t label_len,
		  const struct metrics_times *times, const struct metrics_bounds *bounds,
		  const struct metrics_ends *ends)
{
	size_t start = text->len;
	uint64_t sum = 0;

	series(text, name, "_bucket{", label, label_len);
	size_t len = text->len - start;
	for (size_t i = 0; i <= bounds->count; i++) {
		size_t end = ends->at[i + 1] - ends->at[i];

		sum += times->count[i];
		/* Its source may move while room is made, so that is done first. */
		if (i > 0 && metrics_text_make_room(text, len))
			metrics_text_put_bytes(text, text->bytes + start, len);
		metrics_text_put_bytes(text, ends->text.bytes + ends->at[i], end);
		metrics_end_number(text, sum);
	}
	series(text, name, "_sum{", label, label_len);
	metrics_text_put(text, "} ");
	metrics_end_seconds(text, times->sum_us);
	series(text, name, "_count{", label, label_len);
	metrics_text_put(text, "} ");
	metrics_end_number(text, sum);
}
