/*
 * host_tls.c - makes a host's context of the credentials that control has given for it.
 *
 * Never goes without TLS where it is required: without a context there are no links.  Owns one
 * hold of the context.
 */
#include "relay/host_tls.h"

#include "relay/host.h"
#include "relay/log.h"
#include "relay/worker.h"

#include <string.h>

static void
drop(struct host_security *tls)
{
	tls_context_release(tls->context);
	tls->context = NULL;
}

static struct tls_context *
make(const struct credentials *credentials, const struct channel_host *message)
{
	struct credentials_view view;
	const char *why = "no memory";
	struct tls_context *context = NULL;

	if (credentials != NULL && credentials_map(credentials, &view)) {
		const struct tls_options options = {
			.role = TLS_OUT,
			.ca = view.files[TLS_FILE_CA],
			.cert = view.files[TLS_FILE_CERT],
			.key = view.files[TLS_FILE_KEY],
			.name = message->settings.tls_name,
		};
		context = tls_context_new(&options, &why);
		credentials_unmap(&view);
	}
	if (context == NULL)
		log_error(message->id, "%s has no links: its credentials cannot be used: %s",
			  message->id, credentials == NULL ? "there are none" : why);
	return context;
}

enum host_security_change
host_tls_update(struct host *host, const struct channel_host *message)
{
	struct host_security *tls = &host->tls;
	bool was_required = tls->required;

	tls->required = message->settings.tls == HOST_TLS_REQUIRE;
	if (!tls->required) {
		drop(tls);
		return was_required ? HOST_SECURITY_RENEWED : HOST_SECURITY_SAME;
	}
	const struct credentials *credentials =
	    worker_credentials(host->worker, message->credentials);
	/* A number may be another's after a restart of control: what is in the files counts. */
	if (tls->context != NULL && credentials != NULL &&
	    memcmp(tls->digest, credentials->digest, sizeof tls->digest) == 0 &&
	    strcmp(host->settings.tls_name, message->settings.tls_name) == 0)
		return HOST_SECURITY_SAME;
	drop(tls);
	tls->context = make(credentials, message);
	if (tls->context != NULL)
		memcpy(tls->digest, credentials->digest, sizeof tls->digest);
	return was_required ? HOST_SECURITY_RENEWED : HOST_SECURITY_SECURED;
}

void
host_tls_fini(struct host_security *tls)
{
	drop(tls);
}
