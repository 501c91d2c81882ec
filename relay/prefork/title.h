/*
 * title.h - which of its processes one is, beside the program's name where ps(1) and others show
 * it.
 */
#ifndef RELAY_PREFORK_TITLE_H
#define RELAY_PREFORK_TITLE_H

/* With the NUL, all that the kernel keeps. */
#define PREFORK_TITLE_SIZE 16

/* The name as it is. */
void prefork_title_get(char name[PREFORK_TITLE_SIZE]);

/* The name with the role behind it, cut as much as it takes; a role of NULL gives the name back. */
void prefork_title_set(const char *name, const char *role);

#endif
