/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A table out of a CSV file: a line of names, then rows with as many fields.
 */
#ifndef HS_TABLE_H
#define HS_TABLE_H

#define HS_TABLE_COLUMNS 512

struct hs_table {
	char *names[HS_TABLE_COLUMNS + 1];	/* ended by NULL */
	unsigned int columns;
	char ***rows;				/* [nr][columns] */
	unsigned int nr;
};

/*
 * Read @path, or in a directory of explore results.csv, into an empty table: an exit
 * status, after a message. It is to be freed in any case.
 */
int hs_table_read(struct hs_table *table, const char *path);
void hs_table_free(struct hs_table *table);

#endif
