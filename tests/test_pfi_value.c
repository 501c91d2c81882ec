/*
 * test_pfi_value.c - the value of PREFORK_INTERP: what is in it, and what is none.
 */
#include <criterion/criterion.h>
#include <limits.h>

#include "wire/pfi_value.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* As the original client set it. */
#define SEEN "v1,1795211899.020016263 5,9,7,8"

static void
assert_seen(const char *text, bool extended)
{
	struct pfi_value value;

	cr_assert_eq(pfi_value_parse(&value, wire_span_str(text)), PFI_VALUE_FINE, "%s", text);
	cr_assert_eq(value.seconds, 1795211899, "%s", text);
	cr_assert_eq(value.nanoseconds, 20016263, "%s", text);
	cr_assert_eq(value.fds[PFI_LISTEN], 5, "%s", text);
	cr_assert_eq(value.fds[PFI_CALL], 9, "%s", text);
	cr_assert_eq(value.fds[PFI_WATCHI], 7, "%s", text);
	cr_assert_eq(value.fds[PFI_WATCHE], 8, "%s", text);
	cr_assert_eq(value.extended, extended, "%s", text);
}

Test(pfi_value, as_seen)
{
	assert_seen(SEEN, false);
}

Test(pfi_value, more_items_and_words_mean_nothing)
{
	assert_seen("v1,1795211899.020016263,x 5,9,7,8", false);
	assert_seen("v1,1795211899.020016263,,, 5,9,7,8,10,x", false);
	assert_seen("v1,1795211899.020016263 5,9,7,8,", false);
	assert_seen("v1,1795211899.020016263 5,9,7,8 ", false);
	assert_seen("v1,1795211899.020016263 5,9,7,8 5,9 v2 ,", false);
	/* Not even a descriptor that is there twice. */
	assert_seen("v1,1795211899.020016263 5,9,7,8,5", false);
}

Test(pfi_value, one_item_tells_of_the_extension)
{
	assert_seen("v1,1795211899.020016263,rlx1 5,9,7,8", true);
	assert_seen("v1,1795211899.020016263,x,rlx1,y 5,9,7,8", true);
	assert_seen("v1,1795211899.020016263,rlx12 5,9,7,8", false);
	assert_seen("v1,1795211899.020016263,rlx 5,9,7,8", false);
	assert_seen("v1,1795211899.020016263,RLX1 5,9,7,8", false);
	/* Among the descriptors, or as a word of its own, it is any other. */
	assert_seen("v1,1795211899.020016263 5,9,7,8,rlx1 rlx1", false);
}

static const struct {
	const char *text;
	enum pfi_value_fault fault;
} bad[] = {
	{ "", PFI_VALUE_NOT_V1 },
	{ " ", PFI_VALUE_NOT_V1 },
	{ "v", PFI_VALUE_NOT_V1 },
	{ "v2,1.000000000 5,9,7,8", PFI_VALUE_NOT_V1 },
	{ "v10,1.000000000 5,9,7,8", PFI_VALUE_NOT_V1 },
	{ "V1,1.000000000 5,9,7,8", PFI_VALUE_NOT_V1 },
	{ " v1,1.000000000 5,9,7,8", PFI_VALUE_NOT_V1 },
	{ ",v1,1.000000000 5,9,7,8", PFI_VALUE_NOT_V1 },
	{ "v1", PFI_VALUE_BAD_TIME },
	{ "v1,", PFI_VALUE_BAD_TIME },
	{ "v1 5,9,7,8", PFI_VALUE_BAD_TIME },
	{ "v1, 5,9,7,8", PFI_VALUE_BAD_TIME },
	{ "v1,1 5,9,7,8", PFI_VALUE_BAD_TIME },
	{ "v1,1. 5,9,7,8", PFI_VALUE_BAD_TIME },
	{ "v1,.000000000 5,9,7,8", PFI_VALUE_BAD_TIME },
	{ "v1,1.00000000 5,9,7,8", PFI_VALUE_BAD_TIME },
	{ "v1,1.0000000000 5,9,7,8", PFI_VALUE_BAD_TIME },
	{ "v1,1.00000000x 5,9,7,8", PFI_VALUE_BAD_TIME },
	{ "v1,-1.000000000 5,9,7,8", PFI_VALUE_BAD_TIME },
	{ "v1,+1.000000000 5,9,7,8", PFI_VALUE_BAD_TIME },
	{ "v1,1e9.000000000 5,9,7,8", PFI_VALUE_BAD_TIME },
	{ "v1,1.000000000.0 5,9,7,8", PFI_VALUE_BAD_TIME },
	{ "v1,9223372036854775808.000000000 5,9,7,8", PFI_VALUE_BAD_TIME },
	{ "v1,99999999999999999999.000000000 5,9,7,8", PFI_VALUE_BAD_TIME },
	{ "v1,1.000000000", PFI_VALUE_ONE_WORD },
	{ "v1,1.000000000,5,9,7,8", PFI_VALUE_ONE_WORD },
	{ "v1,1.000000000\t5,9,7,8", PFI_VALUE_BAD_TIME },
	{ "v1,1.000000000 5", PFI_VALUE_FEW_FDS },
	{ "v1,1.000000000 5,9,7", PFI_VALUE_FEW_FDS },
	{ "v1,1.000000000 5,9,7 8", PFI_VALUE_FEW_FDS },
	{ "v1,1.000000000 ", PFI_VALUE_BAD_FD },
	{ "v1,1.000000000  5,9,7,8", PFI_VALUE_BAD_FD },
	{ "v1,1.000000000 5,9,7,", PFI_VALUE_BAD_FD },
	{ "v1,1.000000000 ,9,7,8", PFI_VALUE_BAD_FD },
	{ "v1,1.000000000 5,,7,8", PFI_VALUE_BAD_FD },
	{ "v1,1.000000000 5,9,7,-1", PFI_VALUE_BAD_FD },
	{ "v1,1.000000000 5,9,7,+8", PFI_VALUE_BAD_FD },
	{ "v1,1.000000000 5,9,7,08", PFI_VALUE_BAD_FD },
	{ "v1,1.000000000 5,9,7,00", PFI_VALUE_BAD_FD },
	{ "v1,1.000000000 5,9,7,8x", PFI_VALUE_BAD_FD },
	{ "v1,1.000000000 0x5,9,7,8", PFI_VALUE_BAD_FD },
	{ "v1,1.000000000 5,9,7,2147483648", PFI_VALUE_BAD_FD },
	{ "v1,1.000000000 5,9,7,18446744073709551620", PFI_VALUE_BAD_FD },
	{ "v1,1.000000000 5,9,7,8\n", PFI_VALUE_BAD_FD },
	{ "v1,1.000000000 5,5,7,8", PFI_VALUE_SAME_FD },
	{ "v1,1.000000000 5,9,7,5", PFI_VALUE_SAME_FD },
	{ "v1,1.000000000 5,9,7,7", PFI_VALUE_SAME_FD },
};

Test(pfi_value, malformed)
{
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct pfi_value value, untouched;

		memset(&value, 0xa5, sizeof value);
		untouched = value;
		cr_assert_eq(pfi_value_parse(&value, wire_span_str(bad[i].text)), bad[i].fault,
			     "%s", bad[i].text);
		cr_assert_arr_eq(&value, &untouched, sizeof value);
	}
	cr_assert_eq(pfi_value_parse(&(struct pfi_value){ 0 }, wire_span(NULL, 0)),
		     PFI_VALUE_NOT_V1);
}

/* Cut anywhere before the last digit it is no value. */
Test(pfi_value, every_beginning_is_refused)
{
	for (size_t len = 0; len < sizeof SEEN - 1; len++) {
		struct pfi_value value;
		cr_assert_neq(pfi_value_parse(&value, wire_span(SEEN, len)), PFI_VALUE_FINE);
	}
}

/* --- writing */

static struct wire_span
put(const struct pfi_value *value, uint8_t room[static PFI_VALUE_SIZE_MAX])
{
	struct wire_out out = wire_out(room, PFI_VALUE_SIZE_MAX);

	pfi_value_put(&out, value);
	cr_assert_not(out.overflow);
	return wire_span(room, out.len);
}

Test(pfi_value, written_as_seen)
{
	struct pfi_value value = { 1795211899, 20016263, false, { 5, 9, 7, 8 } };
	uint8_t room[PFI_VALUE_SIZE_MAX];

	cr_assert(wire_span_equal(put(&value, room), wire_span_str(SEEN)));
	value.extended = true;
	cr_assert(wire_span_equal(put(&value, room),
				  wire_span_str("v1,1795211899.020016263,rlx1 5,9,7,8")));
}

Test(pfi_value, extremes_come_back)
{
	static const struct pfi_value values[] = {
		{ 0, 0, false, { 0, 1, 2, 3 } },
		{ INT64_MAX, 999999999, true, { INT_MAX, INT_MAX - 1, INT_MAX - 2, INT_MAX - 3 } },
		{ 1, 1, true, { 3, 2, 1, 0 } },
	};

	for (size_t i = 0; i < COUNT(values); i++) {
		uint8_t room[PFI_VALUE_SIZE_MAX];
		struct pfi_value back;

		cr_assert_eq(pfi_value_parse(&back, put(&values[i], room)), PFI_VALUE_FINE);
		cr_assert_eq(back.seconds, values[i].seconds);
		cr_assert_eq(back.nanoseconds, values[i].nanoseconds);
		cr_assert_eq(back.extended, values[i].extended);
		cr_assert_arr_eq(back.fds, values[i].fds, sizeof back.fds);
	}
}

Test(pfi_value, too_little_room_shows)
{
	const struct pfi_value value = { 1795211899, 20016263, false, { 5, 9, 7, 8 } };

	for (size_t cap = 0; cap < sizeof SEEN - 1; cap++) {
		uint8_t room[sizeof SEEN];
		struct wire_out out = wire_out(room, cap);

		pfi_value_put(&out, &value);
		cr_assert(out.overflow);
	}
}

Test(pfi_value, faults_have_texts)
{
	cr_assert_str_eq(pfi_value_fault_text(PFI_VALUE_FINE), "no fault");
	cr_assert_str_eq(pfi_value_fault_text(PFI_VALUE_SAME_FD), "a descriptor is there twice");
	cr_assert_str_eq(pfi_value_fault_text((enum pfi_value_fault)(PFI_VALUE_SAME_FD + 1)),
			 "unknown fault");
}
