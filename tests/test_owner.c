/*
 * test_owner.c - users and groups as settings name them.
 */
#include "relay/owner.h"

#include <criterion/criterion.h>
#include <string.h>

static void
expect(const char *text, uid_t uid, gid_t gid)
{
	struct owner owner;

	cr_assert(owner_parse(text, &owner), "%s", text);
	cr_assert(owner.uid == uid && owner.gid == gid, "%s", text);
}

Test(owner, nobody_if_nothing_is_said)
{
	struct owner owner;

	cr_assert(owner_parse(NULL, &owner));
	cr_assert(owner.uid == OWNER_NOBODY_UID && owner.gid == OWNER_NOBODY_GID);
}

Test(owner, names_and_numbers)
{
	expect("root", 0, OWNER_NOBODY_GID);
	expect("root:root", 0, 0);
	expect("0:0", 0, 0);
	expect("54321", 54321, OWNER_NOBODY_GID);
	expect("root:54321", 0, 54321);
	expect("4294967294:4294967294", 4294967294u, 4294967294u);
}

Test(owner, what_nobody_is_called)
{
	static const char *const bad[] = { "",
					   ":",
					   ":root",
					   "root:",
					   "no such user",
					   "root:no such group",
					   "-1",
					   "4294967295",
					   "4294967296",
					   "12x",
					   "0x10",
					   " 1",
					   "99999999999999999999999" };
	char longest[400];
	struct owner owner;

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		cr_assert_not(owner_parse(bad[i], &owner), "%s", bad[i]);
	memset(longest, 'u', sizeof longest - 1);
	longest[sizeof longest - 1] = '\0';
	cr_assert_not(owner_parse(longest, &owner));
}
