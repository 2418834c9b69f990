/*
 * For isolationtester through pgweir, by LD_PRELOAD: its sessions' process numbers are those of the servers that run
 * them.
 *
 * isolationtester asks the server whether a session's backend waits for a lock, and knows the backend by the number
 * that it was given at login, which behind any pooler belongs to no backend. So each session is asked for its backend's
 * number instead. That tells the truth only for a session that stays on one server: LOAD makes it stay, in PostgreSQL
 * it changes nothing here.
 */
#include <stdlib.h>

#include "libpq-fe.h"

/* The shell between pg_regress and isolationtester loads this file as well, without libpq. */
extern PGresult *PQexec(PGconn *, const char *) __attribute__((weak));
extern char *PQgetvalue(const PGresult *, int, int) __attribute__((weak));
extern int PQntuples(const PGresult *) __attribute__((weak));
extern void PQclear(PGresult *) __attribute__((weak));

int
PQbackendPID(const PGconn *conn)
{
	PGresult *pinned = PQexec((PGconn *) conn, "LOAD 'plpgsql'");
	PGresult *asked = PQexec((PGconn *) conn, "SELECT pg_backend_pid()");
	int pid = PQntuples(asked) == 1 ? atoi(PQgetvalue(asked, 0, 0)) : 0;

	PQclear(pinned);
	PQclear(asked);
	return pid;
}
