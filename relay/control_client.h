/*
 * control_client.h - the client's side of the control socket: connects, reads the Hello, sends
 * requests and reads their replies, all of it blocking up to a deadline.
 *
 * Deadlines are on control_client_clock_ms().  What came from the daemon is hostile: frames are
 * bounded, what they unpack to is bounded, texts are valid UTF-8 but may hold control characters.
 */
#ifndef RELAY_CONTROL_CLIENT_H
#define RELAY_CONTROL_CLIENT_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/control_frame.h"

#include "control.pb-c.h"

#define CONTROL_PROTOCOL 1

enum control_client_result {
	CONTROL_CLIENT_OK,
	CONTROL_CLIENT_UNREACHABLE, /* no socket, nobody listens, it closed */
	CONTROL_CLIENT_TIMEOUT,
	CONTROL_CLIENT_PROTOCOL,  /* what came is not what the protocol says */
	CONTROL_CLIENT_TOO_LARGE, /* the request does not fit a frame; nothing was sent */
	CONTROL_CLIENT_INTERRUPTED,
};

/* Memory for what one request brought; to be used again for the next one. */
struct control_answer {
	struct control_arena arena;
	void *memory;
	size_t size;
	const Relay__Control__Reply *reply; /* NULL = none yet */
};

/* Reserves address space; pages are taken as they are used.  False: none is to be had. */
bool control_answer_init(struct control_answer *answer);
void control_answer_fini(struct control_answer *answer);

struct control_client {
	int fd;
	uint32_t last_id;
	const volatile sig_atomic_t *stop; /* NULL, or waiting ends soon after it became true */
	uint8_t *in;                       /* [0 .. in_len) came and was not taken */
	size_t in_len;
	size_t in_size;
	char version[64]; /* from the Hello, as are the others */
	char boot_id[64];
	char role[16];
	uint32_t pid;
	char error[256]; /* why the last call failed, for people; printable */
};

uint64_t control_client_clock_ms(void);

/*
 * Connects and waits for the Hello.  `client` is zeroed before, but for `stop`, and must be closed
 * whatever the result is.
 */
enum control_client_result control_client_open(struct control_client *client, const char *path,
					       uint64_t deadline_ms);
void control_client_close(struct control_client *client);

/* Sends the request with an id of its own, which is filled in. */
enum control_client_result control_client_send(struct control_client *client,
					       Relay__Control__Request *request,
					       uint64_t deadline_ms);

/*
 * The next reply to the request sent last; answer->reply is good until the next call with the same
 * answer.  UINT64_MAX waits for ever.  A reply of no request (id 0) is one to this request.
 */
enum control_client_result control_client_next(struct control_client *client,
					       struct control_answer *answer, uint64_t deadline_ms);

/*
 * Sends and reads all pages; their rows are joined into the first page's body.  A reply that is not
 * OK ends it and is the answer.
 */
enum control_client_result control_client_ask(struct control_client *client,
					      Relay__Control__Request *request,
					      struct control_answer *answer, uint64_t deadline_ms);

#endif
