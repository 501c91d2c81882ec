/*
 * peer_reply.h - from a request line to the bytes that answer it: the commands of relay-peer,
 * encryption, and those tricks that change bytes.  Sends nothing, waits for nothing.
 */
#ifndef BENCH_PEER_REPLY_H
#define BENCH_PEER_REPLY_H

#include "bench/bytes.h"
#include "bench/peer_options.h"
#include "wire/idea.h"

/* What becomes of the connection behind a reply. */
enum ending {
	END_KEEP,
	END_CLOSE,
	END_RESET,
	END_SILENCE, /* it stays open and is never answered again */
};

/* What replies depend on. */
struct reply_link {
	const struct peer_options *options;
	struct wire_span build_key;
	const struct idea_key *key; /* NULL while ekey was not asked for */
};

/* Memory that is used anew for every reply. */
struct reply_scratch {
	struct bytes decoded;
	struct bytes plain;
};

/*
 * Appends the answer to `request` (without its LF) as it goes onto the wire; nothing at all is
 * possible. *tricks: those in force for this request, whose times the caller is to keep.
 */
enum ending reply_make(struct reply_scratch *scratch, const struct reply_link *link,
		       struct wire_span request, struct tricks *tricks, struct bytes *out);

void reply_scratch_free(struct reply_scratch *scratch);

#endif
