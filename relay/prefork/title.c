/*
 * title.c - see title.h.
 */
#include "relay/prefork/title.h"

#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

void
prefork_title_get(char name[PREFORK_TITLE_SIZE])
{
	if (prctl(PR_GET_NAME, name) != 0)
		name[0] = '\0';
}

void
prefork_title_set(const char *name, const char *role)
{
	char title[PREFORK_TITLE_SIZE];

	if (role == NULL)
		snprintf(title, sizeof title, "%s", name);
	else
		snprintf(title, sizeof title, "%.*s[%s]", (int)(sizeof title - 3 - strlen(role)),
			 name, role);
	(void)prctl(PR_SET_NAME, title);
}
