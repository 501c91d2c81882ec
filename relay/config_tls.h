/*
 * config_tls.h - the secure side of a configuration: gateways, and what is in the files that hosts
 * and gateways name by ca, cert and key.
 */
#ifndef RELAY_CONFIG_TLS_H
#define RELAY_CONFIG_TLS_H

#include "relay/config.h"
#include "relay/relay_conf.h"
#include "relay/tls_material.h"

/* Three files that belong together; whoever names the same three shares this. */
struct config_credentials {
	char *paths[TLS_FILE_COUNT];
	unsigned char *bytes; /* of all three, one behind the other; NULL once they were wiped */
	size_t lengths[TLS_FILE_COUNT];
	uint8_t digest[TLS_DIGEST_SIZE]; /* of all of them */
	struct tls_material found;
};

/*
 * Adds the gateways and reads all files, of a configuration whose hosts are complete.  `serving`:
 * this process is the relay, and has become relay.user long since; if not, and it is root, the
 * files are also tried as that user.  False: something is refused, and the report says what; what
 * was read is config_tls_drop's.
 */
bool config_tls_load(struct config *config, const struct relay_conf *conf, bool serving,
		     struct report *report);

void config_tls_drop(struct config *config);

/* Keys are not kept longer than they are needed: wipes and frees the bytes of all files. */
void config_tls_wipe(struct config *config);

/* What was in one of them; empty once it was wiped. */
struct wire_span config_credentials_bytes(const struct config_credentials *set, enum tls_file file);

/* Whether the same was in the files. */
bool config_credentials_same(const struct config_credentials *a,
			     const struct config_credentials *b);

#endif
