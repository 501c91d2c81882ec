/*
 * spool_ask.c - looks at the three directories of delayed messages anew for each question.
 *
 * Never trusts a name or a list of before: a file is found, looked at and moved by what it is now.
 * What it answers is bounded by the page, whatever is in the directories.  Owns nothing between two
 * calls.
 */
#include "relay/spool_ask.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "relay/spool_places.h"

const char *
spool_state_text(enum spool_state state)
{
	switch (state) {
#define X(name, text) \
	case name:    \
		return text;
		SPOOL_STATES(X)
#undef X
	}
	return "unknown";
}

const char *
spool_outcome_text(enum spool_outcome outcome)
{
	switch (outcome) {
#define X(name, text) \
	case name:    \
		return text;
		SPOOL_OUTCOMES(X)
#undef X
	}
	return "unknown";
}

/* Hidden files are unfinished ones. */
bool
spool_name_valid(const char *name)
{
	return name[0] != '\0' && name[0] != '.' && strlen(name) <= NAME_MAX &&
	       strchr(name, '/') == NULL;
}

/* --- listing ---------------------------------------------------------------------------------- */

static void
add_names(const struct spool_asking *asking, enum spool_place place, DIR *stream,
	  struct spool_list *list)
{
	const struct spool_ask *ask = asking->ask;
	const struct dirent *entry;
	const char *host;

	while ((entry = readdir(stream)) != NULL) {
		struct spool_item item = { .mtime_ns = 0 };
		if (entry->d_type == DT_DIR ||
		    !spool_is_message(asking, place, entry->d_name, &host) ||
		    (place == ask->place && strcmp(entry->d_name, ask->name) <= 0))
			continue;
		if (ask->host[0] != '\0' && (host == NULL || strcmp(host, ask->host) != 0))
			continue;
		memcpy(item.name, entry->d_name, strlen(entry->d_name) + 1);
		spool_list_add(list, 0, &item);
	}
}

/* The first names behind the last page, in their order: as many as `room`, which is not 0. */
static int
first_names(const struct spool_asking *asking, enum spool_place place, size_t room,
	    struct spool_list *list)
{
	int copy = fcntl(asking->dirs[place], F_DUPFD_CLOEXEC, 0);
	DIR *stream = copy < 0 ? NULL : fdopendir(copy);
	int error = stream == NULL ? -errno : spool_list_init(list, 1);

	if (stream == NULL) {
		if (copy >= 0)
			close(copy);
		return error;
	}
	rewinddir(stream);
	if (error == 0) {
		for (size_t i = 0; i < room; i++)
			spool_list_count(list, 0);
		error = spool_list_share(list, room, 0);
	}
	if (error == 0) {
		add_names(asking, place, stream, list);
		spool_list_sort(list);
	}
	closedir(stream);
	return error;
}

/* Those that are gone again are left out; a page may then be shorter, and empty. */
static int
list_place(struct spool_asking *asking, enum spool_place place)
{
	struct spool_list list = { .items = NULL };
	struct spool_view *view = asking->view;
	const struct spool_item *item;
	struct spool_found found;

	int error = first_names(asking, place, asking->ask->page - view->count, &list);
	while (error == 0 && (item = spool_list_first(&list, 0)) != NULL) {
		if (spool_find_in(asking, place, item->name, &found))
			spool_describe(asking, item->name, &found, &view->messages[view->count++]);
		spool_list_pop(&list, 0);
	}
	view->more = view->more || list.left_out > 0;
	spool_list_fini(&list);
	return error;
}

static void
do_list(struct spool_asking *asking)
{
	struct spool_view *view = asking->view;

	for (int i = (int)asking->ask->place; i < SPOOL_PLACE_COUNT; i++) {
		if (asking->dirs[i] < 0)
			continue;
		/* What is behind a full page is for the next one to find, if there is any. */
		view->more = view->more || view->count == asking->ask->page;
		if (view->more)
			return;
		view->error = list_place(asking, (enum spool_place)i);
		if (view->error != 0) {
			view->outcome = SPOOL_OUTCOME_ERROR;
			return;
		}
	}
}

/* --- showing ---------------------------------------------------------------------------------- */

static int
read_line(int fd, char *line, size_t *len)
{
	*len = 0;
	while (*len < SPOOL_SHOW_MAX) {
		ssize_t n = read(fd, line + *len, SPOOL_SHOW_MAX - *len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		const char *lf = memchr(line + *len, '\n', (size_t)n);
		if (lf != NULL)
			n = lf - (line + *len);
		*len += (size_t)n;
		if (n == 0 || lf != NULL)
			break;
	}
	return 0;
}

static int
open_and_read(const struct spool_asking *asking, const struct spool_found *found)
{
	struct spool_view *view = asking->view;
	struct stat st;
	int error = 0;

	/* Opening a FIFO or a device may already have an effect on others. */
	if (!S_ISREG(found->stamp.mode))
		return 0;
	int fd = openat(asking->dirs[found->place], asking->ask->name,
			O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
		view->line = malloc(SPOOL_SHOW_MAX);
		error = view->line == NULL ? -ENOMEM : read_line(fd, view->line, &view->line_len);
	}
	close(fd);
	return error;
}

static void
do_show(struct spool_asking *asking)
{
	struct spool_view *view = asking->view;
	struct spool_found found;

	if (!spool_find_name(asking, SPOOL_PLACE_QUEUE, &found)) {
		view->outcome = SPOOL_OUTCOME_NOT_FOUND;
		return;
	}
	view->error = open_and_read(asking, &found);
	if (view->error == -ENOENT) {
		view->outcome = SPOOL_OUTCOME_NOT_FOUND;
	} else if (view->error != 0) {
		view->outcome = SPOOL_OUTCOME_ERROR;
	} else {
		spool_describe(asking, asking->ask->name, &found, &view->messages[0]);
		view->count = 1;
	}
}

/* --- moving ----------------------------------------------------------------------------------- */

/* What a claimed file is called after; the host may have left the table. */
static const char *
host_part(const struct spool_found *found, const char *name)
{
	const char *dot = strrchr(name, '.');

	if (found->host != NULL)
		return found->host;
	return dot == NULL ? name : dot + 1;
}

static enum spool_outcome
move(struct spool_asking *asking, const struct spool_found *found, enum spool_place to)
{
	static const char *const below[] = { NULL, SPOOL_HELD_DIR, SPOOL_BAD_DIR };
	const struct spool_ask *ask = asking->ask;
	struct spool_view *view = asking->view;

	if (ask->dry_run)
		return SPOOL_OUTCOME_DONE;
	if (asking->dirs[to] < 0)
		asking->dirs[to] = spool_file_open_dir(asking->dirs[SPOOL_PLACE_QUEUE], below[to]);
	view->error = asking->dirs[to];
	if (asking->dirs[to] >= 0)
		view->error = spool_file_move(asking->dirs[found->place], ask->name,
					      host_part(found, ask->name), &found->stamp,
					      asking->dirs[to], to != SPOOL_PLACE_BAD, view->to);
	if (view->error == 0)
		return SPOOL_OUTCOME_DONE;
	view->to[0] = '\0';
	/* Another file took its name, or it went: in either case not this one. */
	if (view->error == -ESTALE)
		return SPOOL_OUTCOME_WRITING;
	return view->error == -ENOENT ? SPOOL_OUTCOME_NOT_FOUND : SPOOL_OUTCOME_ERROR;
}

static enum spool_outcome
hold(struct spool_asking *asking, const struct spool_found *found)
{
	switch (found->place) {
	case SPOOL_PLACE_HELD:
		return SPOOL_OUTCOME_ALREADY;
	case SPOOL_PLACE_BAD:
		return SPOOL_OUTCOME_BAD;
	case SPOOL_PLACE_QUEUE:
	case SPOOL_PLACE_COUNT:
		break;
	}
	return move(asking, found, SPOOL_PLACE_HELD);
}

static enum spool_outcome
free_it(struct spool_asking *asking, const struct spool_found *found)
{
	switch (found->place) {
	case SPOOL_PLACE_HELD:
		/* Nobody would ever send it, or list it. */
		return found->host == NULL ? SPOOL_OUTCOME_NO_HOST
					   : move(asking, found, SPOOL_PLACE_QUEUE);
	case SPOOL_PLACE_BAD:
		return SPOOL_OUTCOME_BAD;
	case SPOOL_PLACE_QUEUE:
	case SPOOL_PLACE_COUNT:
		break;
	}
	if (spool_is_sending(asking, found) || spool_backoff_of(asking, found) == NULL)
		return SPOOL_OUTCOME_ALREADY;
	if (!asking->ask->dry_run)
		spool_backoff_forget(&asking->spool->backoff, &found->key);
	return SPOOL_OUTCOME_DONE;
}

static enum spool_outcome
drop(struct spool_asking *asking, const struct spool_found *found)
{
	return found->place == SPOOL_PLACE_BAD ? SPOOL_OUTCOME_ALREADY
					       : move(asking, found, SPOOL_PLACE_BAD);
}

static void
do_change(struct spool_asking *asking)
{
	enum spool_verb verb = asking->ask->verb;
	struct spool_view *view = asking->view;
	struct spool_found found;

	if (!spool_find_name(asking, verb == SPOOL_FREE ? SPOOL_PLACE_HELD : SPOOL_PLACE_QUEUE,
			     &found))
		view->outcome = SPOOL_OUTCOME_NOT_FOUND;
	else if (verb == SPOOL_FREE)
		view->outcome = free_it(asking, &found);
	else if (spool_is_sending(asking, &found))
		view->outcome = SPOOL_OUTCOME_SENDING;
	/* Its writer may look for it under its name. */
	else if (found.place == SPOOL_PLACE_QUEUE &&
		 spool_unsettled_ms(asking->spool, asking->now, &found.stamp) > 0)
		view->outcome = SPOOL_OUTCOME_WRITING;
	else
		view->outcome = verb == SPOOL_HOLD ? hold(asking, &found) : drop(asking, &found);
	if (verb == SPOOL_FREE && view->outcome == SPOOL_OUTCOME_DONE && !asking->ask->dry_run) {
		/* What failed before it was held is over. */
		spool_backoff_forget(&asking->spool->backoff, &found.key);
		asking->spool->rescan_ms = 0;
	}
}

/* ---------------------------------------------------------------------------------------------- */

struct spool_view *
spool_ask(struct spool *spool, const struct spool_ask *ask, struct spool_time now)
{
	size_t page = ask->verb == SPOOL_LIST ? ask->page : 1;
	struct spool_view *view = calloc(1, sizeof *view + page * sizeof view->messages[0]);
	struct spool_asking asking = { .spool = spool, .ask = ask, .now = now, .view = view };

	if (view == NULL)
		return NULL;
	spool_places_open(&asking);
	if (view->outcome == SPOOL_OUTCOME_DONE) {
		switch (ask->verb) {
		case SPOOL_LIST:
			do_list(&asking);
			break;
		case SPOOL_SHOW:
			do_show(&asking);
			break;
		case SPOOL_HOLD:
		case SPOOL_FREE:
		case SPOOL_DROP:
			do_change(&asking);
			break;
		}
	}
	spool_places_close(&asking);
	return view;
}

void
spool_view_free(struct spool_view *view)
{
	if (view != NULL)
		free(view->line);
	free(view);
}
