// SPDX-License-Identifier: GPL-2.0-or-later
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "../lib/ax_err.h"
#include "hs_table.h"

/*
 * Cut a line into its fields, in place: how many, or -1. A field in quotes has
 * commas and, doubled, quotes.
 */
static int split(char *line, char **fields, unsigned int room)
{
	char *in = line;
	unsigned int n = 0;

	line[strcspn(line, "\r\n")] = '\0';
	for (;;) {
		char *out = in;
		bool quoted = *in == '"';

		if (n == room)
			return -1;
		fields[n++] = in;
		in += quoted;
		while (*in && (quoted || *in != ',')) {
			if (quoted && *in == '"') {
				in++;
				if (*in != '"') {
					quoted = false;
					continue;
				}
			}
			*out++ = *in++;
		}
		if (quoted)
			return -1;
		if (!*in) {
			*out = '\0';
			return n;
		}
		in++;
		*out = '\0';
	}
}

static int add_row(struct hs_table *t, char **fields)
{
	char ***more = t->rows, **row;

	if (!(t->nr & (t->nr - 1))) {	/* a power of two: it is full */
		more = realloc(t->rows, (t->nr ? 2 * t->nr : 1) * sizeof(*more));
		if (!more)
			return ax_error("out of memory");
		t->rows = more;
	}
	row = calloc(t->columns, sizeof(*row));
	if (!row)
		return ax_error("out of memory");
	t->rows[t->nr++] = row;
	for (unsigned int i = 0; i < t->columns; i++) {
		row[i] = strdup(fields[i]);
		if (!row[i])
			return ax_error("out of memory");
	}
	return AX_OK;
}

static int read_rows(struct hs_table *t, FILE *f, const char *path)
{
	char *fields[HS_TABLE_COLUMNS], *line = NULL;
	unsigned int number = 0;
	int ret = AX_OK, n;
	size_t room = 0;

	while (!ret && getline(&line, &room, f) > 0) {
		number++;
		if (strchr("#\r\n", line[0]))
			continue;
		n = split(line, fields, HS_TABLE_COLUMNS);
		if (n < 0 || (t->columns && n != (int)t->columns)) {
			ret = ax_error("%s: line %u does not have the %u fields of the first", path,
				       number, t->columns);
		} else if (t->columns) {
			ret = add_row(t, fields);
		} else {
			t->columns = n;
			for (int i = 0; i < n && !ret; i++) {
				t->names[i] = strdup(fields[i]);
				if (!t->names[i])
					ret = ax_error("out of memory");
			}
		}
	}
	free(line);
	if (!ret && ferror(f))
		ret = ax_error("%s: %s", path, strerror(errno));
	if (!ret && !t->nr)
		ret = ax_error("%s: no run in it", path);
	return ret;
}

int hs_table_read(struct hs_table *t, const char *path)
{
	char file[PATH_MAX];
	struct stat st;
	FILE *f;
	int ret;

	if (!stat(path, &st) && S_ISDIR(st.st_mode)) {
		if (snprintf(file, sizeof(file), "%s/results.csv", path) >= (int)sizeof(file))
			return ax_error("%s: the name is too long", path);
		path = file;
	}
	f = fopen(path, "re");
	if (!f)
		return ax_error("%s: %s", path, strerror(errno));
	ret = read_rows(t, f, path);
	fclose(f);
	return ret;
}

void hs_table_free(struct hs_table *t)
{
	for (unsigned int i = 0; i < t->nr; i++) {
		for (unsigned int k = 0; k < t->columns; k++)
			free(t->rows[i][k]);
		free(t->rows[i]);
	}
	free(t->rows);
	for (unsigned int i = 0; i < t->columns; i++)
		free(t->names[i]);
}
