/*
 * loncapa.c - reads the legacy configuration of a LON-CAPA machine.
 *
 * Never judges a value and never looks at anything but PerlSetVar lines.  Owns the values and the
 * names of the files.
 */
#include "relay/loncapa.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "relay/permissions.h"
#include "relay/text_file.h"
#include "wire/perlvar.h"

static const char *const file_names[LONCAPA_FILE_COUNT] = {
	"loncapa_apache.conf",
	"loncapa.conf",
};

static const char *const var_names[LONCAPA_VAR_COUNT] = {
#define X(name, text) [name] = text,
	LONCAPA_VARS(X)
#undef X
};

const char *
loncapa_var_name(enum loncapa_var var)
{
	return var_names[var];
}

static bool
take_var(struct loncapa *loncapa, const struct perlvar *var, const char *path, unsigned line,
	 struct report *report)
{
	for (size_t i = 0; i < LONCAPA_VAR_COUNT; i++) {
		if (!wire_span_equal(var->name, wire_span_str(var_names[i])))
			continue;
		char *text = strndup((const char *)var->value.data, var->value.len);
		if (text == NULL) {
			report_add(report, REPORT_FATAL, path, line, "out of memory");
			return false;
		}
		free(loncapa->vars[i].text);
		loncapa->vars[i] =
		    (struct loncapa_value){ .text = text, .file = path, .line = line };
	}
	return true;
}

static void
take_file(struct loncapa *loncapa, const struct text_file *file, const char *path,
	  struct report *report)
{
	const uint8_t *at = file->data;
	const uint8_t *end = file->data + file->len;

	for (unsigned line = 1;; line++) {
		struct perlvar var;
		enum wire_status status = perlvar_next(&var, &at, end);

		switch (status) {
		case WIRE_OK:
			if (!take_var(loncapa, &var, path, line, report))
				return;
			break;
		case WIRE_SKIP:
			break;
		case WIRE_MORE:
			return;
		case WIRE_BAD_FORM:
			report_add(report, REPORT_WARNING, path, line,
				   "PerlSetVar without a value: ignored");
			break;
		case WIRE_BAD_LONG:
		case WIRE_BAD_ID:
		case WIRE_BAD_ORDER:
		case WIRE_BAD_REFUSED:
			report_add(report, REPORT_FATAL, path, line, "a line over %d bytes",
				   PERLVAR_LINE_MAX);
			return;
		}
	}
}

/* 0, -ENOENT, or another error that is in the report. */
static int
load_file(struct loncapa *loncapa, const char *path, struct report *report)
{
	struct text_file file;
	int error = text_file_read(&file, path, report);

	if (error == 0) {
		permissions_warn_mode(path, file.mode, S_IWGRP | S_IWOTH, report);
		take_file(loncapa, &file, path, report);
		text_file_free(&file);
	}
	return error;
}

bool
loncapa_load(struct loncapa *loncapa, const char *dir, struct report *report)
{
	size_t before = report->totals[REPORT_FATAL];
	size_t missing = 0;

	*loncapa = (struct loncapa){ .files = { NULL } };
	if (dir == NULL)
		return true;
	for (size_t i = 0; i < LONCAPA_FILE_COUNT; i++) {
		if (asprintf(&loncapa->files[i], "%s/%s", dir, file_names[i]) < 0) {
			loncapa->files[i] = NULL;
			report_add(report, REPORT_FATAL, dir, 0, "out of memory");
			return false;
		}
		if (load_file(loncapa, loncapa->files[i], report) == -ENOENT)
			missing++;
	}
	if (missing == LONCAPA_FILE_COUNT)
		report_add(report, REPORT_FATAL, dir, 0, "neither %s nor %s is there",
			   file_names[1], file_names[0]);
	return report->totals[REPORT_FATAL] == before;
}

void
loncapa_fini(struct loncapa *loncapa)
{
	for (size_t i = 0; i < LONCAPA_VAR_COUNT; i++)
		free(loncapa->vars[i].text);
	for (size_t i = 0; i < LONCAPA_FILE_COUNT; i++)
		free(loncapa->files[i]);
	*loncapa = (struct loncapa){ .files = { NULL } };
}
