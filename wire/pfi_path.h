/*
 * pfi_path.h - where a prefork-interp client looks for the socket of a service.
 *
 *   /var/run/user/UID/prefork-interp/sIDENT, else HOME/.prefork-interp/NODE/sIDENT
 *
 * Source: prefork-interp 7.0.0.  No environment variable has a say in it: HOME is the directory
 * that the password database names.
 */
#ifndef WIRE_PFI_PATH_H
#define WIRE_PFI_PATH_H

#include "wire/wire.h"

/* What is known of /var/run/user/UID without following a link (lstat), of the user and the host. */
struct pfi_run_facts {
	uint32_t uid; /* of the client */
	bool is_directory;
	uint32_t owner;            /* its uid */
	uint32_t mode;             /* its permission bits */
	struct wire_span home;     /* pw_dir of the user */
	struct wire_span nodename; /* of uname(2), as it is */
};

/* What begins a name in the run directory. */
enum pfi_path_kind {
	PFI_PATH_SOCKET = 's',
	PFI_PATH_LOCK = 'l',
	PFI_PATH_EXTENDED = 'x', /* a socket of this relay's own clients, which know more */
};

/* Appends "/var/run/user/UID", the directory to be looked at. */
void pfi_put_runtime_dir(struct wire_out *out, uint32_t uid);

/* Whether that is the user's alone: a directory of his with no rights for anybody else. */
bool pfi_runtime_dir_usable(const struct pfi_run_facts *facts);

/*
 * Appends the run directory.  NODE is the nodename before its first dot, of that 32 bytes at most.
 */
void pfi_put_run_dir(struct wire_out *out, const struct pfi_run_facts *facts);

/*
 * The longest ident in a run directory whose path is `run_len` long, 0 if there is no room for any:
 * the original keeps some to spare in the 108 bytes of sun_path.
 */
size_t pfi_ident_max(size_t run_len);

/*
 * WIRE_BAD_ID    an ident with '/' or NUL in it: it would name something elsewhere.
 * WIRE_BAD_LONG  longer than pfi_ident_max().
 *
 * The empty ident is one to the original client.
 */
WIRE_MUST_CHECK enum wire_status pfi_ident_check(struct wire_span ident, size_t run_len);

/* Appends the path of `ident` in the run directory `run` (no '/' at its end), if it is fine. */
WIRE_MUST_CHECK enum wire_status pfi_put_path(struct wire_out *out, struct wire_span run,
					      enum pfi_path_kind kind, struct wire_span ident);

#endif
