/*
 * fuzz_control_request.c - what comes through the control socket: any bytes, and any arguments and
 * body for every verb.  The server behind it is the real one, without workers.
 *
 * Input: 0xff and bytes for the socket; or the number of a verb, flags, then arguments, each with
 * its length in front, and a body.
 */
#include "relay/control_server.h"
#include "relay/log.h"
#include "tests/control_stage.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ARGUMENTS_MAX 70 /* a few more than allowed */
#define TEXT_MAX      256
#define BYTES_MAX     65536

static const char *const VERBS[] = {
#define VERB(name, role, handler, arguments, options, help) name,
#include "relay/control_verbs.def"
#undef VERB
};

static void
must(bool holds)
{
	if (!holds)
		abort();
}

static struct control_stage *
stage_once(void)
{
	static struct control_stage stage;
	static bool made;

	if (!made) {
		log_set_level(LOG_ERROR);
		freopen("/dev/null", "w", stdout);
		must(control_stage_init(&stage, ""));
		made = true;
	}
	return &stage;
}

/* The request that the input describes, as a frame; its length. */
static size_t
make_request(const uint8_t *data, size_t size, uint8_t *frame)
{
	static char texts[ARGUMENTS_MAX][TEXT_MAX];
	char *arguments[ARGUMENTS_MAX];
	char verb[32];
	char cursor[16] = "";
	Relay__Control__Request request;

	relay__control__request__init(&request);
	strcpy(verb, VERBS[data[0] % (sizeof VERBS / sizeof VERBS[0])]);
	request.id = 1;
	request.verb = verb;
	request.arguments = arguments;
	uint8_t flags = data[1];
	request.dry_run = flags & 1;
	request.wait_ms = flags & 2 ? 1 : 0;
	request.if_generation = flags & 4 ? 1 : 0;
	request.page_size = flags & 8 ? 1 : 0;
	if (flags & 16)
		memcpy(cursor, data + 2, size - 2 < 15 ? size - 2 : 15);
	request.cursor = cursor;
	unsigned count = flags >> 5;
	data += 2;
	size -= 2;
	while (request.n_arguments < count && size > 0) {
		size_t len = data[0] < size - 1 ? data[0] : size - 1;
		char *text = texts[request.n_arguments];
		memcpy(text, data + 1, len);
		text[len] = '\0';
		arguments[request.n_arguments++] = text;
		data += 1 + len;
		size -= 1 + len;
	}
	uint8_t body[BYTES_MAX];
	memcpy(body, data, size);
	request.body.data = body;
	request.body.len = size;
	size_t len = relay__control__request__pack(&request, frame + CONTROL_FRAME_HEADER);
	control_frame_put_length(frame, len);
	return len + CONTROL_FRAME_HEADER;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t frame[2 * BYTES_MAX];
	struct control_stage *stage = stage_once();
	uint8_t answer[4096];

	if (size < 2 || size > BYTES_MAX / 2)
		return 0;
	int fd = control_stage_connect(stage);
	must(fd >= 0);
	bool raw = data[0] == 0xff;
	size_t len = raw ? size - 1 : make_request(data, size, frame);
	must(send(fd, raw ? data + 1 : frame, len, MSG_NOSIGNAL) >= 0);
	shutdown(fd, SHUT_WR);
	/* Everything is answered, or ended: an end without an answer is for the two that wait. */
	for (int i = 0; i < 200 && stage->server.count + (i < 2) > 0; i++) {
		control_stage_round(stage, 20);
		while (recv(fd, answer, sizeof answer, 0) > 0)
			;
	}
	close(fd);
	for (int i = 0; i < 1000 && stage->server.count > 0; i++)
		control_stage_round(stage, 20);
	must(stage->server.count == 0);
	must(stage->server.memory == 0);
	return 0;
}
