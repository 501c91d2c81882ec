/*
 * text_file.h - a whole configuration file in memory, read with bounds.
 */
#ifndef RELAY_TEXT_FILE_H
#define RELAY_TEXT_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "relay/report.h"

#define TEXT_FILE_MAX ((size_t)64 * 1024 * 1024)

struct text_file {
	uint8_t *data; /* with a NUL behind the last byte, so that it is a C string as well */
	size_t len;
	int64_t mtime_ns; /* of the file, before it was read; 0 = it was none */
	mode_t mode;      /* likewise */
};

/*
 * Reads `path`.  0, or a negative errno: -EMEDIUMTYPE for what is not a regular file, -EFBIG for
 * more than TEXT_FILE_MAX bytes, -EILSEQ for a NUL byte.  All but -ENOENT are entered into the
 * report as fatal.
 */
int text_file_read(struct text_file *file, const char *path, struct report *report);

/*
 * Bytes that came another way, as if `name` had been read: 0, or as text_file_read, of which only
 * -EFBIG, -EILSEQ and -ENOMEM are possible.
 */
int text_file_copy(struct text_file *file, const void *bytes, size_t len, const char *name,
		   struct report *report);

void text_file_free(struct text_file *file);

#endif
