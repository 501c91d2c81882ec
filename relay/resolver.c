/*
 * resolver.c - see resolver.h.  The thread lives as long as the process: it may be inside the C
 * library for minutes.
 */
#include "relay/resolver.h"

#include <netdb.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <unistd.h>

struct job {
	STAILQ_ENTRY(job) entry;
	uint16_t port;
	struct resolver_answer answer;
	char name[RESOLVER_NAME_MAX + 1];
};

STAILQ_HEAD(job_list, job);

struct resolver {
	pthread_mutex_t lock;
	pthread_cond_t asked;
	struct job_list questions;
	struct job_list answers;
	unsigned count; /* of both, and the one being looked up */
	int event;
};

static void *
run(void *context)
{
	struct resolver *resolver = context;

	for (;;) {
		pthread_mutex_lock(&resolver->lock);
		while (STAILQ_EMPTY(&resolver->questions))
			pthread_cond_wait(&resolver->asked, &resolver->lock);
		struct job *job = STAILQ_FIRST(&resolver->questions);
		STAILQ_REMOVE_HEAD(&resolver->questions, entry);
		pthread_mutex_unlock(&resolver->lock);

		job->answer.error = resolve_list(job->name, job->port, &job->answer.addresses);

		pthread_mutex_lock(&resolver->lock);
		STAILQ_INSERT_TAIL(&resolver->answers, job, entry);
		pthread_mutex_unlock(&resolver->lock);
		eventfd_write(resolver->event, 1);
	}
	return NULL;
}

struct resolver *
resolver_new(void)
{
	struct resolver *resolver = calloc(1, sizeof *resolver);
	pthread_t thread;

	if (resolver == NULL)
		return NULL;
	pthread_mutex_init(&resolver->lock, NULL);
	pthread_cond_init(&resolver->asked, NULL);
	STAILQ_INIT(&resolver->questions);
	STAILQ_INIT(&resolver->answers);
	resolver->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (resolver->event < 0 || pthread_create(&thread, NULL, run, resolver) != 0) {
		if (resolver->event >= 0)
			close(resolver->event);
		free(resolver);
		return NULL;
	}
	pthread_detach(thread);
	return resolver;
}

int
resolver_fd(const struct resolver *resolver)
{
	return resolver->event;
}

bool
resolver_ask(struct resolver *resolver, uint64_t token, const char *name, uint16_t port)
{
	struct job *job = calloc(1, sizeof *job);
	bool taken = false;

	if (job == NULL)
		return false;
	job->port = port;
	job->answer.token = token;
	strncpy(job->name, name, sizeof job->name - 1);
	pthread_mutex_lock(&resolver->lock);
	if (resolver->count < RESOLVER_QUEUE_MAX) {
		resolver->count++;
		STAILQ_INSERT_TAIL(&resolver->questions, job, entry);
		pthread_cond_signal(&resolver->asked);
		taken = true;
	}
	pthread_mutex_unlock(&resolver->lock);
	if (!taken)
		free(job);
	return taken;
}

bool
resolver_take(struct resolver *resolver, struct resolver_answer *answer)
{
	eventfd_t count;

	pthread_mutex_lock(&resolver->lock);
	struct job *job = STAILQ_FIRST(&resolver->answers);
	if (job != NULL) {
		STAILQ_REMOVE_HEAD(&resolver->answers, entry);
		resolver->count--;
	}
	if (STAILQ_EMPTY(&resolver->answers))
		eventfd_read(resolver->event, &count);
	pthread_mutex_unlock(&resolver->lock);
	if (job == NULL)
		return false;
	*answer = job->answer;
	free(job);
	return true;
}
