// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * hypersio plot: a table of runs as curves, drawn by gnuplot as SVG and PNG.
 *
 * The table is CSV as hypersio explore and run --csv write it, but any with a line
 * of names will do. What comes from it reaches gnuplot only as numbers or as
 * quoted text without a character that means something there.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hs_result.h"
#include "hs_table.h"
#include "hypersio.h"

#define SERIES_MAX	32
#define POINTS_MAX	65536
#define BY_MAX		16

struct point {
	double x, sum;
	unsigned int n;		/* rows of the table at this x */
};

struct series {
	char *name;
	struct point *points;
	unsigned int nr;
};

struct plot {
	struct hs_table table;
	int x, y;
	int by[BY_MAX];
	unsigned int nr_by;
	struct series series[SERIES_MAX];
	unsigned int nr;
	double scale;		/* of y */
	bool log_x, merged;
	double x_min, x_max, y_max;
	const char *title;
};

/* Columns that a reader of the picture should not have to look up. */
static const struct label {
	const char *column, *text;
	double scale;
} labels[] = {
	{ "tenants", "tenants", 1 },
	{ "utilization", "utilization of the link (%)", 100 },
	{ "mbps", "throughput (Gb/s)", 0.001 },
	{ "jain", "fairness (Jain's index)", 1 },
	{ "hit_share", "translations answered by the IOTLB (%)", 100 },
	{ "p50_ns", "median latency of a translation (ns)", 1 },
	{ "p99_ns", "99th percentile of a translation's latency (ns)", 1 },
	{ "p999_ns", "99.9th percentile of a translation's latency (ns)", 1 },
	{ "mean_ns", "mean latency of a translation (ns)", 1 },
	{ "drops", "slots in which no packet could start", 1 },
	{ "accesses_per_translation", "memory accesses of a translation", 1 },
	{ "iotlb.size", "entries of the IOTLB", 1 },
	{ "ptb", "entries of the pending translation buffer", 1 },
	{ "link.gbps", "speed of the link (Gb/s)", 1 },
};

/* Okabe and Ito's palette, which colour-blind people can tell apart. */
static const char *const colours[] = {
	"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#8c8c8c",
};

static const struct label *label_of(const char *column)
{
	for (size_t i = 0; i < sizeof(labels) / sizeof(labels[0]); i++) {
		if (!strcmp(labels[i].column, column))
			return &labels[i];
	}
	return NULL;
}

static int find_column(const struct hs_table *t, const char *option, const char *name, int *column)
{
	const char *near;

	for (unsigned int i = 0; i < t->columns; i++) {
		if (!strcmp(t->names[i], name)) {
			*column = i;
			return AX_OK;
		}
	}
	near = ax_nearest(name, (const char *const *)t->names);
	return ax_usage("--%s: the table has no column '%s'%s%s%s", option, name,
			near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

/* --- curves ---------------------------------------------------------------------------- */

static bool number(const char *text, double *value)
{
	char *end;

	*value = strtod(text, &end);
	return end != text && !*end && isfinite(*value);
}

/* The name of a row's curve, e.g. "hypertrio, ptb 32". */
static void series_name(const struct plot *p, char *const *row, char *name, size_t room)
{
	size_t n = 0;

	name[0] = '\0';
	for (unsigned int i = 0; i < p->nr_by && n < room; i++) {
		double ignored;
		bool bare = !number(row[p->by[i]], &ignored);

		n += snprintf(name + n, room - n, "%s%s%s%s", i ? ", " : "",
			      bare ? "" : p->table.names[p->by[i]], bare ? "" : " ", row[p->by[i]]);
	}
}

static struct series *find_series(struct plot *p, const char *name)
{
	for (unsigned int i = 0; i < p->nr; i++) {
		if (!strcmp(p->series[i].name, name))
			return &p->series[i];
	}
	if (p->nr == SERIES_MAX)
		return NULL;
	p->series[p->nr].name = strdup(name);
	return p->series[p->nr].name ? &p->series[p->nr++] : NULL;
}

static int add_point(struct plot *p, struct series *s, double x, double y)
{
	struct point *more;
	unsigned int i = 0;

	while (i < s->nr && s->points[i].x != x)
		i++;
	if (i == s->nr) {
		if (s->nr == POINTS_MAX)
			return ax_error("more than %d points in a curve", POINTS_MAX);
		more = realloc(s->points, (s->nr + 1) * sizeof(*more));
		if (!more)
			return ax_error("out of memory");
		s->points = more;
		s->points[s->nr++] = (struct point){ .x = x };
	}
	s->points[i].sum += y;
	s->points[i].n++;
	p->merged |= s->points[i].n > 1;
	return AX_OK;
}

static int by_x(const void *a, const void *b)
{
	const struct point *p = a, *q = b;

	return p->x < q->x ? -1 : p->x > q->x;
}

static void free_series(struct plot *p)
{
	for (unsigned int i = 0; i < p->nr; i++) {
		free(p->series[i].name);
		free(p->series[i].points);
	}
	p->nr = 0;
	p->merged = false;
}

/* Put each run where it belongs. */
static int sort_runs(struct plot *p, unsigned int *left_out)
{
	free_series(p);
	memset(p->series, 0, sizeof(p->series));
	*left_out = 0;
	for (unsigned int i = 0; i < p->table.nr; i++) {
		char **row = p->table.rows[i], name[256];
		struct series *s;
		double x, y;

		if (!number(row[p->x], &x) || !number(row[p->y], &y)) {
			++*left_out;
			continue;
		}
		series_name(p, row, name, sizeof(name));
		s = find_series(p, name);
		if (!s)
			return ax_error("more than %d curves: make a table of fewer runs, or choose other columns with --by",
					SERIES_MAX);
		if (add_point(p, s, x, y))
			return AX_FAIL;
	}
	return AX_OK;
}

/* Is it one of what a run found out, not of what it was told? */
static bool is_result(const char *name)
{
	for (const struct hs_column *c = hs_columns; c->name; c++) {
		if (!strcmp(c->name, name))
			return true;
	}
	return false;
}

/* The columns of the configuration in which runs differ tell curves apart, too. */
static void add_varying(struct plot *p)
{
	const struct hs_table *t = &p->table;

	for (int c = 0; c < (int)t->columns && p->nr_by < BY_MAX; c++) {
		bool known = c == p->x || c == p->y || is_result(t->names[c]);
		unsigned int i = 1;

		for (unsigned int k = 0; k < p->nr_by; k++)
			known |= p->by[k] == c;
		while (i < t->nr && !strcmp(t->rows[0][c], t->rows[i][c]))
			i++;
		if (!known && i < t->nr)
			p->by[p->nr_by++] = c;
	}
}

static int make_series(struct plot *p)
{
	const struct label *label = label_of(p->table.names[p->y]);
	unsigned int left_out;

	p->scale = label ? label->scale : 1;
	if (sort_runs(p, &left_out))
		return AX_FAIL;
	if (p->merged) {
		add_varying(p);
		if (sort_runs(p, &left_out))
			return AX_FAIL;
	}
	if (left_out)
		ax_warn("%u of %u runs have no number for %s or %s", left_out, p->table.nr,
			p->table.names[p->x], p->table.names[p->y]);
	if (!p->nr)
		return ax_error("nothing to draw: %s and %s are not numbers", p->table.names[p->x],
				p->table.names[p->y]);
	if (p->merged)
		ax_warn("runs that differ in nothing but their results: their mean is drawn");
	p->x_min = INFINITY;
	p->x_max = -INFINITY;
	for (unsigned int i = 0; i < p->nr; i++) {
		struct series *s = &p->series[i];

		qsort(s->points, s->nr, sizeof(*s->points), by_x);
		p->x_min = fmin(p->x_min, s->points[0].x);
		p->x_max = fmax(p->x_max, s->points[s->nr - 1].x);
		for (unsigned int k = 0; k < s->nr; k++)
			p->y_max = fmax(p->y_max, s->points[k].sum / s->points[k].n * p->scale);
	}
	p->log_x = p->x_min > 0 && p->x_max >= 8 * p->x_min;
	return AX_OK;
}

/* --- gnuplot ----------------------------------------------------------------------------- */

/* In quotes, with nothing in it that ends them or that gnuplot would obey. */
static void put_text(FILE *f, const char *text)
{
	putc('\'', f);
	for (; *text; text++) {
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			putc(' ', f);
		else if (*text == '\'')
			fputs("''", f);
		else
			putc(*text, f);
	}
	putc('\'', f);
}

static void put_label(FILE *f, const char *axis, const char *column)
{
	const struct label *label = label_of(column);

	fprintf(f, "set %slabel ", axis);
	put_text(f, label ? label->text : column);
	fputs(" textcolor rgb '#333333'\n", f);
}

static void put_data(FILE *f, const struct plot *p)
{
	for (unsigned int i = 0; i < p->nr; i++) {
		const struct series *s = &p->series[i];

		fprintf(f, "$s%u << EOD\n", i);
		for (unsigned int k = 0; k < s->nr; k++)
			fprintf(f, "%.12g %.12g\n", s->points[k].x,
				s->points[k].sum / s->points[k].n * p->scale);
		fputs("EOD\n", f);
	}
}

static void put_style(FILE *f, const struct plot *p)
{
	bool percent = p->scale == 100;

	fputs("set encoding utf8\nset border 3 linecolor rgb '#999999' linewidth 1\n"
	      "set tics nomirror scale 0.5 textcolor rgb '#333333'\n"
	      "set grid ytics linetype 1 linecolor rgb '#e6e6e6' linewidth 1\n"
	      "set key outside right top Left reverse noenhanced samplen 2 spacing 1.3 textcolor rgb '#333333'\n"
	      "set bmargin 4\nset lmargin 9\n", f);
	if (p->title) {
		fputs("set title ", f);
		put_text(f, p->title);
		fputs(" noenhanced textcolor rgb '#111111'\n", f);
	}
	put_label(f, "x", p->table.names[p->x]);
	put_label(f, "y", p->table.names[p->y]);
	if (p->log_x)
		fprintf(f, "set logscale x 2\nset xtics 2\nset format x '%%.0f'\nset xrange [%.12g:%.12g]\n",
			p->x_min / 1.1, p->x_max * 1.1);
	else if (p->x_min == p->x_max)
		fprintf(f, "set xrange [%.12g:%.12g]\n", p->x_min - 1, p->x_max + 1);
	if (percent)
		fprintf(f, "set yrange [0:%.12g]\n", p->y_max > 100 ? p->y_max * 1.02 : 100);
	else
		fprintf(f, "set yrange [0:%.12g]\n", p->y_max > 0 ? p->y_max * 1.08 : 1);
	if (percent && p->y_max > 100)
		fputs("set arrow from graph 0, first 100 to graph 1, first 100 nohead dashtype 3 linecolor rgb '#999999'\n",
		      f);
}

static void put_curves(FILE *f, const struct plot *p)
{
	size_t n = sizeof(colours) / sizeof(colours[0]);

	fputs("plot ", f);
	for (unsigned int i = 0; i < p->nr; i++) {
		fprintf(f, "%s$s%u using 1:2 with linespoints linewidth 2 linecolor rgb '%s' dashtype %zu pointtype %d pointsize 0.8 ",
			i ? ", " : "", i, colours[i % n], 1 + i / n, i % 2 ? 5 : 7);
		if (p->nr == 1 && !*p->series[i].name) {
			fputs("notitle", f);
		} else {
			fputs("title ", f);
			put_text(f, p->series[i].name);
		}
	}
	putc('\n', f);
}

static void put_script(FILE *f, const struct plot *p, const char *out)
{
	put_data(f, p);
	put_style(f, p);
	fputs("set terminal svg size 900,460 dynamic background rgb 'white' font 'Helvetica,Arial,sans-serif,14' linewidth 1\nset output ",
	      f);
	fprintf(f, "'%s.svg'\n", out);
	put_curves(f, p);
	fputs("set terminal pngcairo size 1350,690 background rgb 'white' font 'sans,16' linewidth 1.5\nset output ",
	      f);
	fprintf(f, "'%s.png'\n", out);
	put_curves(f, p);
	fputs("unset output\n", f);
}

/* gnuplot gets a script on its standard input; its words go where ours go. */
static int draw(const struct plot *p, const char *out)
{
	int pipe_fd[2], status;
	FILE *f;
	pid_t pid;

	signal(SIGPIPE, SIG_IGN);
	if (pipe2(pipe_fd, O_CLOEXEC))
		return ax_error("%s", strerror(errno));
	pid = fork();
	if (!pid) {
		dup2(pipe_fd[0], STDIN_FILENO);
		unsetenv("GNUTERM");
		execlp("gnuplot", "gnuplot", "-d", "-", (char *)NULL);
		_exit(errno == ENOENT ? 127 : 126);
	}
	close(pipe_fd[0]);
	f = pid < 0 ? NULL : fdopen(pipe_fd[1], "w");
	if (!f) {
		close(pipe_fd[1]);
		return ax_error("cannot start gnuplot: %s", strerror(errno));
	}
	put_script(f, p, out);
	fclose(f);
	if (waitpid(pid, &status, 0) < 0 || !WIFEXITED(status) || WEXITSTATUS(status))
		return ax_error(WIFEXITED(status) && WEXITSTATUS(status) == 127 ?
				"gnuplot is missing: apt-get install gnuplot-nox" :
				"gnuplot failed: see what it says above");
	printf("%s.svg\n%s.png\n", out, out);
	return AX_OK;
}

/* --- the command ---------------------------------------------------------------------------- */

static int choose_columns(struct plot *p, const struct ax_args *args)
{
	const char *x = ax_value(args, "x"), *y = ax_value(args, "y"), *by = ax_value(args, "by");
	char *copy, *save;
	int ret;

	ret = find_column(&p->table, "x", x ? x : "tenants", &p->x);
	if (!ret)
		ret = find_column(&p->table, "y", y ? y : "utilization", &p->y);
	copy = strdup(by ? by : "");
	if (!copy)
		return ax_error("out of memory");
	for (char *name = strtok_r(copy, ",", &save); name && !ret;
	     name = strtok_r(NULL, ",", &save)) {
		if (p->nr_by == BY_MAX)
			ret = ax_usage("--by: more than %d columns", BY_MAX);
		else
			ret = find_column(&p->table, "by", name, &p->by[p->nr_by++]);
	}
	free(copy);
	return ret;
}

/* The files' names without .svg and .png: --out, else plot in or beside the table. */
static int output_name(const struct ax_args *args, char out[PATH_MAX])
{
	const char *given = ax_value(args, "out"), *in = args->argv[0], *dot;
	struct stat st;
	size_t len;

	if (given && *given) {
		len = snprintf(out, PATH_MAX, "%s", given);
		dot = len < PATH_MAX ? strrchr(out, '.') : NULL;
		if (dot && (!strcmp(dot, ".svg") || !strcmp(dot, ".png")))
			out[dot - out] = '\0';
	} else if (!stat(in, &st) && S_ISDIR(st.st_mode)) {
		len = strlen(in);
		len = snprintf(out, PATH_MAX, "%s%splot", in, len && in[len - 1] == '/' ? "" : "/");
	} else {
		len = snprintf(out, PATH_MAX, "%s", in);
		dot = len < PATH_MAX ? strrchr(out, '.') : NULL;
		if (dot && !strcmp(dot, ".csv"))
			out[dot - out] = '\0';
	}
	if (len >= PATH_MAX - 4 || strpbrk(out, "'\n"))
		return ax_usage("--out: a name that is too long or has a ' in it");
	return AX_OK;
}

int hypersio_plot(const struct ax_args *args)
{
	struct plot p = { .title = ax_value(args, "title") };
	char out[PATH_MAX];
	int ret;

	ret = output_name(args, out);
	if (!ret)
		ret = hs_table_read(&p.table, args->argv[0]);
	if (!ret)
		ret = choose_columns(&p, args);
	if (!ret)
		ret = make_series(&p);
	if (!ret)
		ret = draw(&p, out);
	free_series(&p);
	hs_table_free(&p.table);
	return ret;
}
