/*
 * settings_store.c - values of settings in the structures that keep them, each at its offset.
 *
 * Strings and lists stored into a structure belong to that structure.
 */
#include "relay/settings.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "relay/setting_list.h"

/* --- one value -------------------------------------------------------------------------------- */

static bool
store_text(char **slot, const char *text)
{
	char *copy = NULL;

	if (text != NULL) {
		copy = strdup(text);
		if (copy == NULL)
			return false;
	}
	free(*slot);
	*slot = copy;
	return true;
}

static bool
store_list(char ***slot, char *const *list)
{
	char **copy = NULL;

	if (list != NULL) {
		copy = setting_list_copy(list);
		if (copy == NULL)
			return false;
	}
	free(*slot);
	*slot = copy;
	return true;
}

/* What is too long was refused by the bound of its setting. */
static void
store_line(char *member, size_t size, const char *text)
{
	size_t len = text == NULL ? 0 : strlen(text);

	assert(len < size);
	memset(member, 0, size);
	if (len > 0)
		memcpy(member, text, len);
}

static void
store_number(void *member, size_t size, uint64_t number)
{
	if (size == sizeof(uint64_t)) {
		memcpy(member, &number, sizeof number);
	} else if (size == sizeof(uint32_t)) {
		uint32_t narrow = (uint32_t)number;

		memcpy(member, &narrow, sizeof narrow);
	} else {
		bool flag = number != 0;

		assert(size == sizeof flag);
		memcpy(member, &flag, sizeof flag);
	}
}

bool
setting_store(const struct setting *setting, void *structure, struct setting_value value)
{
	void *member = (char *)structure + setting->offset;

	if (setting_is_array(setting)) {
		store_line(member, setting->size, value.text);
		return true;
	}
	if (setting_is_text(setting))
		return store_text((char **)member, value.text);
	if (setting_is_list(setting))
		return store_list((char ***)member, value.list);
	store_number(member, setting->size, value.number);
	return true;
}

struct setting_value
setting_load(const struct setting *setting, const void *structure)
{
	const void *member = (const char *)structure + setting->offset;
	struct setting_value value = { .number = 0 };

	if (setting_is_array(setting)) {
		value.text = member;
	} else if (setting_is_text(setting)) {
		value.text = *(char *const *)member;
	} else if (setting_is_list(setting)) {
		value.list = *(char **const *)member;
	} else if (setting->size == sizeof(uint64_t)) {
		memcpy(&value.number, member, sizeof(uint64_t));
	} else if (setting->size == sizeof(uint32_t)) {
		uint32_t narrow;

		memcpy(&narrow, member, sizeof narrow);
		value.number = narrow;
	} else {
		bool flag;

		memcpy(&flag, member, sizeof flag);
		value.number = flag;
	}
	return value;
}

/* --- structures ------------------------------------------------------------------------------- */

/* Whether both are kept in one structure. */
static bool
share_structure(enum setting_section a, enum setting_section b)
{
	return a == b || (setting_section_is_single(a) && setting_section_is_single(b));
}

static void
clear(enum setting_section section, void *structure)
{
	size_t size = sizeof(struct relay_settings);

	if (section == SETTING_SECTION_HOST)
		size = sizeof(struct host_section);
	else if (section == SETTING_SECTION_SERVICE)
		size = sizeof(struct service_settings);
	else if (section == SETTING_SECTION_GATEWAY)
		size = sizeof(struct gateway_settings);
	memset(structure, 0, size);
}

void
settings_init(enum setting_section section, void *structure)
{
	char why[256];

	clear(section, structure);
	for (size_t i = 0; i < SETTING_COUNT; i++) {
		const struct setting *setting = &settings_table[i];
		struct setting_value value;

		if (!share_structure(setting->section, section) || setting->fallback[0] == '\0')
			continue;
		/* Defaults of texts come from elsewhere, so nothing here can run out of memory. */
		assert(setting_is_array(setting) ||
		       (!setting_is_text(setting) && !setting_is_list(setting)));
		bool good = setting_parse(setting, setting->fallback, &value, why, sizeof why);
		assert(good);
		(void)good;
		(void)setting_store(setting, structure, value);
	}
}

void
settings_fini(enum setting_section section, void *structure)
{
	for (size_t i = 0; i < SETTING_COUNT; i++) {
		const struct setting *setting = &settings_table[i];

		if (share_structure(setting->section, section) &&
		    (setting_is_text(setting) || setting_is_list(setting)))
			(void)setting_store(setting, structure, (struct setting_value){ 0 });
	}
	clear(section, structure);
}
