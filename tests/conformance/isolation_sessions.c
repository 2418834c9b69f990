/*
 * For isolationtester through a pooler, by LD_PRELOAD: it knows its sessions' backends at each moment.
 *
 * isolationtester asks the server whether a session's backend waits for a lock, and who sent a notification. It knows a
 * backend by the process number that its session was given at login, which behind a pooler belongs to no backend, and
 * which may change with every transaction. A session's application_name follows it to whichever backend serves it: so
 * sessions are numbered here, and the server is asked which backends bear a session's name. Notifications name their
 * senders as these were told when they logged in.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libpq-fe.h"

enum { SESSIONS_MAX = 64, QUERY_MAX = 16384 };

/* The shell between pg_regress and isolationtester loads this file as well, without libpq. */
extern char *PQescapeLiteral(PGconn *, const char *, size_t) __attribute__((weak));

/* The first to log in is the control connection, whose number is 0. */
static int logged_in;
/* What each was told of its process number when it logged in. */
static int login_pids[SESSIONS_MAX];
/* The quoted application_name of each session, by its number. */
static char *names[SESSIONS_MAX];

int
PQbackendPID(const PGconn *conn)
{
	int (*real) (const PGconn *) = dlsym(RTLD_NEXT, "PQbackendPID");

	if (logged_in < SESSIONS_MAX)
		login_pids[logged_in] = real(conn);
	return logged_in++;
}

/* How isolationtester gives a session its name. */
PGresult *
PQexecParams(PGconn *conn, const char *command, int count, const Oid *types, const char *const *values,
			 const int *lengths, const int *formats, int result_format)
{
	PGresult *(*real) (PGconn *, const char *, int, const Oid *, const char *const *, const int *, const int *, int) =
		dlsym(RTLD_NEXT, "PQexecParams");
	const char *test = getenv("PGAPPNAME");
	char name[256];

	if (logged_in < SESSIONS_MAX && strstr(command, "set_config('application_name'") != NULL)
	{
		snprintf(name, sizeof(name), "%s/%s", test == NULL ? "" : test, values[0]);
		/* PostgreSQL cuts longer names. */
		names[logged_in] = PQescapeLiteral(conn, name, strnlen(name, 63));
	}
	return real(conn, command, count, types, values, lengths, formats, result_format);
}

/* The sessions' names as an array, in the order of their numbers. */
static void
array_of_names(char *array, size_t size)
{
	size_t used = (size_t) snprintf(array, size, "ARRAY[");
	int number;

	for (number = 1; number < logged_in; number++)
		used += (size_t) snprintf(array + used, size - used, "%s%s", number == 1 ? "" : ", ", names[number]);
	snprintf(array + used, size - used, "]");
}

/* The question whether a session waits for another one: $1 and the list in the text are our numbers. */
PGresult *
PQprepare(PGconn *conn, const char *name, const char *query, int count, const Oid *types)
{
	char array[QUERY_MAX / 4], question[QUERY_MAX];
	PGresult *(*real) (PGconn *, const char *, const char *, int, const Oid *) = dlsym(RTLD_NEXT, "PQprepare");

	if (strcmp(name, "isolationtester_waiting") != 0)
		return real(conn, name, query, count, types);
	array_of_names(array, sizeof(array));
	snprintf(question, sizeof(question),
			 "SELECT coalesce(bool_or(pg_catalog.pg_isolation_test_session_is_blocked(waiting.pid, them.pids)), false) "
			 "FROM pg_catalog.pg_stat_activity AS waiting, (SELECT array_agg(pid) AS pids "
			 "FROM pg_catalog.pg_stat_activity WHERE application_name = ANY (%s)) AS them "
			 "WHERE waiting.application_name = (%s)[$1::int]", array, array);
	return real(conn, name, question, count, types);
}

/* A notification names its sender by the process number of its login. */
PGnotify *
PQnotifies(PGconn *conn)
{
	PGnotify *(*real) (PGconn *) = dlsym(RTLD_NEXT, "PQnotifies");
	PGnotify *notification = real(conn);
	int number;

	for (number = 0; notification != NULL && number < logged_in && number < SESSIONS_MAX; number++)
	{
		if (login_pids[number] == notification->be_pid)
		{
			notification->be_pid = number;
			break;
		}
	}
	return notification;
}
