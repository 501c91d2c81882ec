/*
 * prefork-service.c - a service that is prepared once and then asked many times: how often does a
 * word occur in a text?
 *
 *   prefork-interp -U /path/to/prefork-service TEXT WORD...     or: build/... TEXT WORD... by
 * itself
 *
 *   cc -o prefork-service prefork-service.c $(pkg-config --cflags --libs relay-prefork)
 *
 * Reading TEXT is what takes time, so it is done before relay_prefork_initialisation_complete(); an
 * invocation has its own words, and writes to its own standard output.  A changed TEXT is read
 * again, by the next server.
 */
#include <relay/prefork.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* All of a file as one string, or NULL. */
static char *
read_text(const char *path)
{
	FILE *file = fopen(path, "r");
	char *text = NULL;
	size_t room = 0;

	if (file == NULL)
		return NULL;
	if (getdelim(&text, &room, '\0', file) < 0) {
		free(text);
		text = ferror(file) != 0 ? NULL : calloc(1, 1);
	}
	fclose(file);
	return text;
}

static size_t
count_word(const char *text, const char *word)
{
	size_t count = 0, length = strlen(word);

	for (const char *at = text; length > 0 && (at = strstr(at, word)) != NULL; at += length)
		count++;
	return count;
}

int
main(int argc, char *argv[])
{
	const char *path = argc > 1 ? argv[1] : "";
	const char *const files[] = { path, NULL };
	const struct relay_prefork_options options = { .max_servers = 8, .autoreload = files };
	char *text = read_text(path);

	if (text == NULL) {
		perror(path);
		return 1;
	}
	int result = relay_prefork_initialisation_complete(&options, &argc, &argv);
	if (result < 0) {
		fprintf(stderr, "prefork-service: PREFORK_INTERP: %s\n", strerror(-result));
	} else {
		for (int i = 2; i < argc; i++)
			printf("%s %zu\n", argv[i], count_word(text, argv[i]));
	}
	free(text);
	return result < 0 ? 1 : 0;
}
