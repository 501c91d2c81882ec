/*
 * settings.c - the settings of settings.def: found by name; their values read from text, checked,
 * compared and printed.
 *
 * Never reads a file and never decides where a value comes from.  Owns nothing but the table, which
 * is constant.
 */
#include "relay/settings.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "relay/limits.h"
#include "relay/peer_name.h"
#include "relay/service_paths.h"
#include "relay/setting_list.h"
#include "wire/datagram.h"

#define KIB     UINT64_C(1024)
#define MIB     (1024 * KIB)
#define GIB     (1024 * MIB)
#define HOUR_MS UINT64_C(3600000)
#define DAY_MS  (24 * HOUR_MS)

#define STRUCT_OF_relay     struct relay_settings
#define STRUCT_OF_control   struct relay_settings
#define STRUCT_OF_exporter  struct relay_settings
#define STRUCT_OF_datagram  struct relay_settings
#define STRUCT_OF_webpager  struct relay_settings
#define STRUCT_OF_host      struct host_section
#define STRUCT_OF_service   struct service_settings
#define STRUCT_OF_gateway   struct gateway_settings
#define SECTION_OF_relay    SETTING_SECTION_RELAY
#define SECTION_OF_control  SETTING_SECTION_CONTROL
#define SECTION_OF_exporter SETTING_SECTION_EXPORTER
#define SECTION_OF_datagram SETTING_SECTION_DATAGRAM
#define SECTION_OF_webpager SETTING_SECTION_WEBPAGER
#define SECTION_OF_host     SETTING_SECTION_HOST
#define SECTION_OF_service  SETTING_SECTION_SERVICE
#define SECTION_OF_gateway  SETTING_SECTION_GATEWAY

const struct setting settings_table[SETTING_COUNT] = {
#define SETTING(section_, key_, type_, unit_, field_, fallback_, min_, max_, apply_, help_) \
	[SETTING_##section_##_##key_] = {                                                   \
		.section = SECTION_OF_##section_,                                           \
		.key = #key_,                                                               \
		.type = SETTING_##type_,                                                    \
		.unit = unit_,                                                              \
		.fallback = fallback_,                                                      \
		.min = min_,                                                                \
		.max = max_,                                                                \
		.apply = SETTING_##apply_,                                                  \
		.help = help_,                                                              \
		.offset = offsetof(STRUCT_OF_##section_, field_),                           \
		.size = sizeof((STRUCT_OF_##section_ *)0)->field_,                          \
	},
#include "relay/settings.def"
#undef SETTING
};

struct unit {
	const char *name;
	uint64_t factor;
};

/* The bare number first; then for each factor the name it is printed with before its other
 * spellings. */
static const struct unit byte_units[] = {
	{ "", 1 },    { "GiB", GIB }, { "G", GIB }, { "MiB", MIB },
	{ "M", MIB }, { "KiB", KIB }, { "K", KIB }, { "B", 1 },
};

static const struct unit duration_units[] = {
	{ "", 1000 }, { "d", DAY_MS }, { "h", HOUR_MS }, { "m", 60000 }, { "s", 1000 }, { "ms", 1 },
};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

bool
setting_is_array(const struct setting *setting)
{
	return setting->type == SETTING_LINE || setting->type == SETTING_NAME;
}

bool
setting_is_text(const struct setting *setting)
{
	return setting->type == SETTING_STRING || setting->type == SETTING_PATH ||
	       setting_is_array(setting);
}

bool
setting_section_is_single(enum setting_section section)
{
	return section != SETTING_SECTION_HOST && section != SETTING_SECTION_SERVICE &&
	       section != SETTING_SECTION_GATEWAY;
}

const char *
setting_section_name(enum setting_section section)
{
	switch (section) {
	case SETTING_SECTION_RELAY:
		return "relay";
	case SETTING_SECTION_CONTROL:
		return "control";
	case SETTING_SECTION_EXPORTER:
		return "exporter";
	case SETTING_SECTION_DATAGRAM:
		return "datagram";
	case SETTING_SECTION_WEBPAGER:
		return "webpager";
	case SETTING_SECTION_SERVICE:
		return "service";
	case SETTING_SECTION_GATEWAY:
		return "gateway";
	case SETTING_SECTION_HOST:
		break;
	}
	return "defaults";
}

const struct setting *
setting_find(enum setting_section section, const char *key)
{
	for (size_t i = 0; i < SETTING_COUNT; i++) {
		const struct setting *setting = &settings_table[i];

		if (setting->section == section && strcmp(setting->key, key) == 0)
			return setting;
	}
	return NULL;
}

/* Digits of `base` from *text on, at least one; false too if they exceed 64 bits. */
static bool
parse_digits(const char **text, unsigned base, uint64_t *number)
{
	const char *at = *text;
	uint64_t n = 0;

	for (; *at >= '0' && *at < (char)('0' + (char)base); at++) {
		uint64_t digit = (uint64_t)(*at - '0');

		if (n > (UINT64_MAX - digit) / base)
			return false;
		n = n * base + digit;
	}
	if (at == *text)
		return false;
	*text = at;
	*number = n;
	return true;
}

static bool
parse_with_unit(const char *text, const struct unit *units, size_t count, bool any_case,
		uint64_t *number)
{
	uint64_t n;

	if (!parse_digits(&text, 10, &n))
		return false;
	for (size_t i = 0; i < count; i++) {
		int differ =
		    any_case ? strcasecmp(text, units[i].name) : strcmp(text, units[i].name);

		if (differ == 0) {
			if (n > UINT64_MAX / units[i].factor)
				return false;
			*number = n * units[i].factor;
			return true;
		}
	}
	return false;
}

static bool
parse_bool(const char *text, uint64_t *number)
{
	static const char *const words[] = { "no", "yes", "off", "on", "false", "true" };

	for (size_t i = 0; i < COUNT_OF(words); i++) {
		if (strcmp(text, words[i]) == 0) {
			*number = i % 2;
			return true;
		}
	}
	return false;
}

/* The place of a word in `words`, which has a bar between each two. */
static bool
parse_choice(const char *words, const char *text, uint64_t *number)
{
	size_t len = strlen(text);

	for (uint64_t i = 0;; i++) {
		size_t word = strcspn(words, "|");

		if (word == len && memcmp(words, text, len) == 0) {
			*number = i;
			return true;
		}
		if (words[word] == '\0')
			return false;
		words += word + 1;
	}
}

static void
format_choice(const char *words, uint64_t number, char *out, size_t size)
{
	for (; number > 0 && strchr(words, '|') != NULL; number--)
		words = strchr(words, '|') + 1;
	snprintf(out, size, "%.*s", (int)strcspn(words, "|"), words);
}

static bool
parse_number(const struct setting *setting, const char *text, uint64_t *number)
{
	switch (setting->type) {
	case SETTING_UINT:
		return parse_digits(&text, 10, number) && *text == '\0';
	case SETTING_MODE:
		return parse_digits(&text, 8, number) && *text == '\0';
	case SETTING_BYTES:
		/* Nobody means a milli-byte by a small m. */
		return parse_with_unit(text, byte_units, COUNT_OF(byte_units), true, number);
	case SETTING_DURATION:
		return parse_with_unit(text, duration_units, COUNT_OF(duration_units), false,
				       number);
	case SETTING_BOOL:
		return parse_bool(text, number);
	case SETTING_CHOICE:
		return parse_choice(setting->unit, text, number);
	case SETTING_STRING:
	case SETTING_PATH:
	case SETTING_LINE:
	case SETTING_NAME:
	case SETTING_LIST:
	case SETTING_PATHS:
		break;
	}
	return false;
}

/* What the text should have been: "a duration such as 300, 300s, ...". */
static const char *
type_text(enum setting_type type)
{
	switch (type) {
	case SETTING_UINT:
		return "a whole number";
	case SETTING_BYTES:
		return "a size such as 4096, 64k, 64KiB, 16MiB or 1GiB";
	case SETTING_DURATION:
		return "a duration such as 300 or 300s, 250ms, 5m, 1h or 1d";
	case SETTING_MODE:
		return "an octal mode such as 0755";
	case SETTING_BOOL:
		return "yes or no";
	case SETTING_STRING:
	case SETTING_LINE:
		return "a text without control characters";
	case SETTING_NAME:
		return "a host name or an IP address";
	case SETTING_PATH:
		return "an absolute path without control characters";
	case SETTING_CHOICE:
	case SETTING_LIST:
	case SETTING_PATHS:
		break;
	}
	return "";
}

static void
format_range(const struct setting *setting, char *out, size_t size)
{
	char min[64], max[64];

	if (setting_is_text(setting)) {
		snprintf(out, size, "%" PRIu64 " to %" PRIu64 " bytes", setting->min, setting->max);
		return;
	}
	setting_format(setting, (struct setting_value){ .number = setting->min }, min, sizeof min);
	setting_format(setting, (struct setting_value){ .number = setting->max }, max, sizeof max);
	snprintf(out, size, "%s to %s", min, max);
}

bool
setting_text_is_printable(const char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			return false;
	return true;
}

/* One that is empty is judged by its length. */
static bool
text_has_form(const struct setting *setting, const char *text)
{
	if (!setting_text_is_printable(text))
		return false;
	if (*text == '\0')
		return true;
	if (setting->type == SETTING_NAME)
		return peer_name_is_valid(text);
	return setting->type != SETTING_PATH || *text == '/';
}

bool
setting_parse(const struct setting *setting, const char *text, struct setting_value *value,
	      char *why, size_t why_size)
{
	struct setting_value found = { .number = 0 };
	uint64_t measure;
	bool form;
	char range[160];

	assert(!setting_is_list(setting));
	if (setting_is_text(setting)) {
		form = text_has_form(setting, text);
		measure = strlen(text);
		found.text = text;
	} else {
		form = parse_number(setting, text, &found.number);
		measure = found.number;
	}
	if (form && measure >= setting->min && measure <= setting->max) {
		*value = found;
		return true;
	}
	format_range(setting, range, sizeof range);
	if (setting->type == SETTING_CHOICE)
		snprintf(why, why_size, "\"%.80s\" is none of %s", text, setting->unit);
	else if (form)
		snprintf(why, why_size, "\"%.80s\" is out of range: allowed %s", text, range);
	else
		snprintf(why, why_size, "\"%.80s\" is not %s: allowed %s", text,
			 type_text(setting->type), range);
	return false;
}

/* With the largest unit that divides the number. */
static void
format_with_unit(uint64_t number, const struct unit *units, size_t count, char *out, size_t size)
{
	/* Ends at the latest with the last one, whose factor is 1. */
	for (size_t i = 1; i < count; i++) {
		bool whole = number % units[i].factor == 0;

		if (whole && (number != 0 || units[i].factor <= 1000)) {
			snprintf(out, size, "%" PRIu64 "%s", number / units[i].factor,
				 units[i].name);
			return;
		}
	}
}

void
setting_text_format(const char *text, char *out, size_t size)
{
	size_t at = 0;

	if (text == NULL || size < 3) {
		if (size > 0)
			out[0] = '\0';
		return;
	}
	out[at++] = '"';
	for (; *text != '\0' && at + 3 < size; text++) {
		/* "${" would be refused in the file, so '$' is marked as well. */
		if (*text == '"' || *text == '\\' || *text == '$')
			out[at++] = '\\';
		out[at++] = *text;
	}
	out[at++] = '"';
	out[at] = '\0';
}

void
setting_format(const struct setting *setting, struct setting_value value, char *out, size_t size)
{
	switch (setting->type) {
	case SETTING_UINT:
		snprintf(out, size, "%" PRIu64, value.number);
		break;
	case SETTING_BYTES:
		format_with_unit(value.number, byte_units, COUNT_OF(byte_units), out, size);
		break;
	case SETTING_DURATION:
		format_with_unit(value.number, duration_units, COUNT_OF(duration_units), out, size);
		break;
	case SETTING_MODE:
		snprintf(out, size, "%04" PRIo64, value.number);
		break;
	case SETTING_BOOL:
		snprintf(out, size, "%s", value.number != 0 ? "yes" : "no");
		break;
	case SETTING_CHOICE:
		format_choice(setting->unit, value.number, out, size);
		break;
	case SETTING_STRING:
	case SETTING_PATH:
	case SETTING_LINE:
	case SETTING_NAME:
		setting_text_format(value.text, out, size);
		break;
	case SETTING_LIST:
	case SETTING_PATHS:
		setting_list_format(value.list, out, size);
		break;
	}
}

bool
setting_equal(const struct setting *setting, struct setting_value a, struct setting_value b)
{
	if (setting_is_list(setting))
		return setting_list_equal(a.list, b.list);
	if (!setting_is_text(setting))
		return a.number == b.number;
	if (a.text == NULL || b.text == NULL)
		return a.text == b.text;
	return strcmp(a.text, b.text) == 0;
}
