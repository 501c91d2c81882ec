/*
 * notice_check.h - the rules that a notice obeys in whatever form it comes.
 *
 * For the files of notice.h alone.
 */
#ifndef WIRE_NOTICE_CHECK_H
#define WIRE_NOTICE_CHECK_H

#include "wire/notice.h"

/* NOTICE_FINE, or the first rule that it breaks. */
WIRE_MUST_CHECK enum notice_fault notice_check(const struct notice *notice);

#endif
