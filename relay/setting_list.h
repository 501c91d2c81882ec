/*
 * setting_list.h - the values of settings that are lists: NULL-terminated arrays of strings.
 */
#ifndef RELAY_SETTING_LIST_H
#define RELAY_SETTING_LIST_H

#include "relay/settings.h"

/* Whether the setting's value is a list: LIST or PATHS. */
bool setting_is_list(const struct setting *setting);

/*
 * Takes `text` apart at its commas, in place; a backslash takes away the meaning of the comma or
 * backslash behind it.  "" is a list of one empty text.  Fills items[0 .. count) and the NULL
 * behind them.  False: there are more than SETTINGS_LIST_MAX.
 */
bool setting_list_split(char *text, char *items[SETTINGS_LIST_MAX + 1]);

/*
 * Whether the list is one that the setting takes: how many texts, which ones, how many bytes in
 * all.  On false `why` says what is wrong, without naming the key.
 */
bool setting_list_check(const struct setting *setting, char *const *list, char *why,
			size_t why_size);

/*
 * As it would be written in relay.conf: {"perl", "/srv/hello.pl"}.  What finds no room is left out,
 * from whole texts, and shown as "..."; NULL gives "".
 */
void setting_list_format(char *const *list, char *out, size_t size);

/* NULL equals NULL only. */
bool setting_list_equal(char *const *a, char *const *b);

/* One block of memory, to be given to free(); NULL = there is none. */
char **setting_list_copy(char *const *list);

#endif
