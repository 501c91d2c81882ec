/*
 * sim_cover.c - names and printing of the counts.
 */
#include "tests/sim_cover.h"

#include <inttypes.h>
#include <stdio.h>

#define NAMES(list, variable, count_name)           \
	switch (variable) {                         \
		list(NAME) case count_name : break; \
	}                                           \
	return "unknown"
#define NAME(name, text) \
	case name:       \
		return text;

const char *
sim_style_text(enum sim_style style)
{
	NAMES(SIM_STYLES, style, SIM_STYLE_COUNT);
}

const char *
sim_fault_text(enum sim_fault fault)
{
	NAMES(SIM_FAULTS, fault, SIM_FAULT_COUNT);
}

static const char *
event_text(enum sim_event event)
{
	NAMES(SIM_EVENTS, event, SIM_EVENT_COUNT);
}

static unsigned
print_one(const char *group, const char *name, uint64_t count)
{
	printf("%-8s %-28s %" PRIu64 "%s\n", group, name, count, count == 0 ? "  MISSING" : "");
	return count == 0;
}

unsigned
sim_cover_print(const struct sim_cover *cover)
{
	unsigned missing = 0;

	for (int i = 0; i < SIM_STYLE_COUNT; i++)
		missing += print_one("client", sim_style_text((enum sim_style)i), cover->styles[i]);
	for (int i = 0; i < SIM_FAULT_COUNT; i++)
		missing += print_one("peer", sim_fault_text((enum sim_fault)i), cover->faults[i]);
	for (int i = 0; i < FAKE_EVENT_COUNT; i++)
		missing += print_one("ring", fake_event_text((enum fake_event)i), cover->ring[i]);
	for (int i = 0; i < REQUEST_RESULT_COUNT; i++)
		missing += print_one("result", request_result_text((enum request_result)i),
				     cover->results[i]);
	/* There is no TLS here: those of it, the last ones, are of test_link_tls. */
	for (int i = 0; i < LINK_REASON_TLS_UNTRUSTED; i++)
		missing +=
		    print_one("close", link_reason_text((enum link_reason)i), cover->closes[i]);
	for (int i = 0; i < SIM_EVENT_COUNT; i++)
		missing += print_one("event", event_text((enum sim_event)i), cover->events[i]);
	return missing;
}
