// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * empctl plot: a picture (SVG) of what record has written: residency against
 * the limit, fault rates by kind, tier traffic; one panel each, one time axis.
 */
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/ax_size.h"
#include "empctl.h"

#define COLUMNS_MAX	128
#define POINTS_MAX	800	/* more are averaged: nobody sees them */

#define WIDTH		960
#define LEFT		84
#define RIGHT		24
#define TOP		64
#define PANEL		170
#define GAP		64
#define PANELS		3
#define HEIGHT		(TOP + PANELS * (PANEL + GAP) + 6)

struct csv {
	unsigned int columns, rows;
	char *name[COLUMNS_MAX];
	double *cell;	/* rows * columns */
};

struct series {
	const char *label, *colour;
	const char *column;
	bool rate;	/* change a second, else the value itself */
	bool area;	/* filled below */
	bool dashed;
	double *y;
};

struct panel {
	const char *title;
	const char *unit;
	double scale;	/* values are divided by it */
	bool log;	/* axis of decades: what is below 1 lies on the ground */
	unsigned int nr;
	struct series *series;
};

static void csv_free(struct csv *csv)
{
	for (unsigned int i = 0; i < csv->columns; i++)
		free(csv->name[i]);
	free(csv->cell);
}

static int csv_row(struct csv *csv, char *line, const char *path, unsigned int lineno)
{
	double *more = reallocarray(csv->cell, (csv->rows + 1) * (size_t)csv->columns,
				    sizeof(*more));
	unsigned int i = 0;

	if (!more)
		return ax_error("out of memory");
	csv->cell = more;
	for (char *field = strtok(line, ",\n"); field; field = strtok(NULL, ",\n"), i++) {
		char *end;
		double v = strtod(field, &end);

		if (i == csv->columns || end == field || *end || !isfinite(v))
			break;
		more[csv->rows * csv->columns + i] = v;
	}
	if (i != csv->columns)
		return ax_error("%s line %u: not what empctl record writes", path, lineno);
	csv->rows++;
	return AX_OK;
}

static int csv_read(const char *path, struct csv *csv)
{
	FILE *f = fopen(path, "re");
	unsigned int lineno = 0;
	char *line = NULL;
	size_t size = 0;
	int ret = AX_OK;

	memset(csv, 0, sizeof(*csv));
	if (!f)
		return ax_error("%s: %s", path, strerror(errno));
	while (ret == AX_OK && getline(&line, &size, f) > 0) {
		if (++lineno > 1) {
			ret = csv_row(csv, line, path, lineno);
			continue;
		}
		for (char *w = strtok(line, ",\n"); w && csv->columns < COLUMNS_MAX;
		     w = strtok(NULL, ",\n"))
			csv->name[csv->columns++] = strdup(w);
		if (!csv->columns || strcmp(csv->name[0], "time_s"))
			ret = ax_error("%s: not a file of empctl record", path);
	}
	free(line);
	fclose(f);
	if (ret == AX_OK && csv->rows < 2)
		ret = ax_error("%s: needs at least two samples", path);
	return ret;
}

static int column(const struct csv *csv, const char *name)
{
	for (unsigned int i = 0; i < csv->columns; i++) {
		if (!strcmp(csv->name[i], name))
			return i;
	}
	return -1;
}

static double at(const struct csv *csv, unsigned int row, int col)
{
	return csv->cell[(size_t)row * csv->columns + col];
}

/* First row of point @p of @n; rows are shared out evenly. */
static unsigned int first_row(const struct csv *csv, unsigned int p, unsigned int n)
{
	return (uint64_t)p * csv->rows / n;
}

static bool fill(const struct csv *csv, struct series *s, unsigned int n)
{
	int col = column(csv, s->column);

	s->y = calloc(n, sizeof(*s->y));
	if (!s->y || col < 0)
		return s->y;
	for (unsigned int p = 0; p < n; p++) {
		unsigned int a = first_row(csv, p, n), b = first_row(csv, p + 1, n);

		if (s->rate) {
			unsigned int from = a ? a - 1 : 0;
			double t = at(csv, b - 1, 0) - at(csv, from, 0);

			if (t > 0)
				s->y[p] = (at(csv, b - 1, col) - at(csv, from, col)) / t;
			if (s->y[p] < 0)
				s->y[p] = 0;
		} else {
			for (unsigned int r = a; r < b; r++)
				s->y[p] += at(csv, r, col) / (b - a);
		}
	}
	if (s->rate && n > 1 && first_row(csv, 1, n) == 1)
		s->y[0] = s->y[1];	/* the first row has nothing before it */
	return true;
}

/* A step of 1, 2 or 5 times a power of ten that gives about @want steps. */
static double nice_step(double span, unsigned int want)
{
	double raw = span / want, power = pow(10, floor(log10(raw))), m = raw / power;

	return power * (m <= 1 ? 1 : m <= 2 ? 2 : m <= 5 ? 5 : 10);
}

static void text(FILE *out, double x, double y, const char *class, const char *anchor,
		 const char *fmt, ...) __attribute__((format(printf, 6, 7)));

static void text(FILE *out, double x, double y, const char *class, const char *anchor,
		 const char *fmt, ...)
{
	char buf[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	fprintf(out, "<text x=\"%.1f\" y=\"%.1f\" class=\"%s\" text-anchor=\"%s\">", x, y, class,
		anchor);
	for (const char *c = buf; *c; c++) {
		if (*c == '<')
			fputs("&lt;", out);
		else if (*c == '&')
			fputs("&amp;", out);
		else
			fputc(*c, out);
	}
	fputs("</text>\n", out);
}

/* A panel's vertical axis. */
struct axis {
	double bottom;		/* picture's y of value 0 (or 1, when logarithmic) */
	double per_unit;	/* a unit's (a decade's) height */
	double scale;
	bool log;
};

static double height(const struct axis *axis, double value)
{
	value /= axis->scale;
	if (axis->log)
		value = value > 1 ? log10(value) : 0;
	return axis->bottom - value * axis->per_unit;
}

static void path(FILE *out, const struct series *s, const double *x, unsigned int n,
		 const struct axis *axis, bool area)
{
	if (area)
		fprintf(out, "<path fill=\"%s\" fill-opacity=\"0.18\" stroke=\"none\" d=\"M%.1f %.1f",
			s->colour, x[0], axis->bottom);
	else
		fprintf(out, "<path fill=\"none\" stroke=\"%s\" stroke-width=\"1.8\" "
			"stroke-linejoin=\"round\"%s d=\"M%.1f %.1f", s->colour,
			s->dashed ? " stroke-dasharray=\"6 4\"" : "", x[0],
			height(axis, s->y[0]));
	for (unsigned int i = area ? 0 : 1; i < n; i++)
		fprintf(out, "L%.1f %.1f", x[i], height(axis, s->y[i]));
	if (area)
		fprintf(out, "L%.1f %.1fZ", x[n - 1], axis->bottom);
	fputs("\"/>\n", out);
}

static void legend(FILE *out, const struct panel *p, double y)
{
	double x = WIDTH - RIGHT;

	for (unsigned int i = p->nr; i-- > 0;) {
		const struct series *s = &p->series[i];

		x -= 7.0 * strlen(s->label) + 34;
		fprintf(out, "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"%s\" stroke-width=\"%s\"%s/>\n",
			x, y - 4, x + 18, y - 4, s->colour, s->area ? "6" : "2.4",
			s->dashed ? " stroke-dasharray=\"6 4\"" : "");
		text(out, x + 23, y, "label", "start", "%s", s->label);
	}
}

/* 20000 as 20k, 3000000 as 3M. */
static void tick(FILE *out, double x, double y, double value)
{
	const char *suffix = value >= 1e6 ? "M" : value >= 1e4 ? "k" : "";

	text(out, x, y, "tick", "end", "%.10g%s",
	     value / (value >= 1e6 ? 1e6 : value >= 1e4 ? 1e3 : 1), suffix);
}

static void line(FILE *out, double x1, double y1, double x2, double y2)
{
	fprintf(out, "<line class=\"grid\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n",
		x1, y1, x2, y2);
}

/* Choose the vertical axis for what is to be shown, and draw its grid. */
static struct axis draw_axis(FILE *out, const struct panel *p, unsigned int n, double bottom)
{
	struct axis axis = { .bottom = bottom, .scale = p->scale, .log = p->log };
	double most = 0, step;

	for (unsigned int s = 0; s < p->nr; s++) {
		for (unsigned int i = 0; i < n; i++)
			most = fmax(most, p->series[s].y[i] / p->scale);
	}
	if (p->log) {
		step = 1;
		most = most > 10 ? ceil(log10(most)) : 1;
	} else {
		if (most <= 0)
			most = 1;
		step = nice_step(most * 1.05, 4);
		most = ceil(most * 1.02 / step) * step;
	}
	axis.per_unit = PANEL / most;
	for (double v = 0; v <= most * 1.0001; v += step) {
		double y = bottom - v * axis.per_unit;

		line(out, LEFT, y, WIDTH - RIGHT, y);
		tick(out, LEFT - 8, y + 4, p->log ? pow(10, v) : v);
	}
	return axis;
}

static void draw_panel(FILE *out, const struct panel *p, unsigned int index, const double *x,
		       unsigned int n, double seconds)
{
	double top = TOP + index * (PANEL + GAP) + 26, bottom = top + PANEL;
	double step = nice_step(seconds, 10);
	struct axis axis;

	text(out, LEFT, top - 10, "title", "start", "%s (%s)", p->title, p->unit);
	legend(out, p, top - 10);
	axis = draw_axis(out, p, n, bottom);
	for (double t = 0; t <= seconds * 1.0001; t += step) {
		double tx = LEFT + t / seconds * (WIDTH - LEFT - RIGHT);

		line(out, tx, top, tx, bottom);
		text(out, tx, bottom + 16, "tick", "middle", "%.10g", t);
	}
	for (unsigned int s = 0; s < p->nr; s++) {
		if (p->series[s].area)
			path(out, &p->series[s], x, n, &axis, true);
		path(out, &p->series[s], x, n, &axis, false);
	}
	fprintf(out, "<rect class=\"frame\" x=\"%d\" y=\"%.1f\" width=\"%d\" height=\"%d\"/>\n",
		LEFT, top, WIDTH - LEFT - RIGHT, PANEL);
	if (index == PANELS - 1)
		text(out, (LEFT + WIDTH - RIGHT) / 2.0, bottom + 34, "label", "middle", "time (s)");
}

static void draw(FILE *out, const char *title, const struct csv *csv, struct panel *panels,
		 unsigned int n, const double *x)
{
	double seconds = at(csv, csv->rows - 1, 0), bytes = 0;
	int col = column(csv, "bytes");
	char size[AX_HUMAN], limit[AX_HUMAN];

	fprintf(out, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\" font-family=\"Helvetica, Arial, 'DejaVu Sans', sans-serif\">\n",
		WIDTH, HEIGHT, WIDTH, HEIGHT);
	fputs("<style>.head{font-size:19px;font-weight:600;fill:#1b2a38}.sub{font-size:13px;fill:#5b6b7a}"
	      ".title{font-size:14px;font-weight:600;fill:#1b2a38}.label{font-size:12.5px;fill:#33475b}"
	      ".tick{font-size:11.5px;fill:#5b6b7a}.grid{stroke:#e4e9ee;stroke-width:1}"
	      ".frame{fill:none;stroke:#9aa8b5;stroke-width:1}</style>\n", out);
	fprintf(out, "<rect width=\"%d\" height=\"%d\" fill=\"#ffffff\"/>\n", WIDTH, HEIGHT);
	text(out, LEFT, 30, "head", "start", "%s", title);
	if (col >= 0)
		bytes = at(csv, csv->rows - 1, col);
	col = column(csv, "dram_limit");
	text(out, LEFT, 50, "sub", "start", "region of %s, DRAM limit %s at the end, %u samples in %.1f s",
	     ax_human_size(bytes, size),
	     ax_human_size(col >= 0 ? at(csv, csv->rows - 1, col) : 0, limit), csv->rows, seconds);
	for (unsigned int i = 0; i < PANELS; i++)
		draw_panel(out, &panels[i], i, x, n, seconds);
	fputs("</svg>\n", out);
}

static struct series residency[] = {
	{ "resident", "#1f77b4", "resident", false, true, false, NULL },
	{ "limit", "#c0392b", "dram_limit", false, false, true, NULL },
};

static struct series faults[] = {
	{ "minor", "#7f8c8d", "fault_minor", true, false, false, NULL },
	{ "zero", "#27ae60", "fault_zero", true, false, false, NULL },
	{ "fetch", "#8e44ad", "fault_fetch", true, false, false, NULL },
	{ "wait", "#e4812b", "fault_wait", true, false, false, NULL },
};

static struct series traffic[] = {
	{ "read", "#1f77b4", "tier_read_bytes", true, false, false, NULL },
	{ "written", "#c0392b", "tier_write_bytes", true, false, false, NULL },
};

#define PANEL_OF(title, unit, scale, log, s) \
	{ title, unit, scale, log, sizeof(s) / sizeof((s)[0]), s }

static struct panel panels[PANELS] = {
	PANEL_OF("DRAM held", "MiB", 1 << 20, false, residency),
	PANEL_OF("Faults by kind", "per second, logarithmic", 1, true, faults),
	PANEL_OF("Tier traffic", "MB/s", 1e6, false, traffic),
};

int empctl_plot(const struct ax_args *args)
{
	const char *path = ax_value(args, "out"), *title = ax_value(args, "title");
	unsigned int n;
	struct csv csv;
	double seconds;
	double *x;
	FILE *out;
	int ret;

	if (!path)
		return ax_usage("plot needs --out FILE");
	ret = csv_read(args->argv[0], &csv);
	if (ret == AX_OK && at(&csv, csv.rows - 1, 0) <= 0)
		ret = ax_error("%s: no time passes in it", args->argv[0]);
	if (ret != AX_OK)
		goto free_csv;
	seconds = at(&csv, csv.rows - 1, 0);
	n = csv.rows < POINTS_MAX ? csv.rows : POINTS_MAX;
	x = calloc(n, sizeof(*x));
	for (unsigned int p = 0; x && p < n; p++)
		x[p] = LEFT + (WIDTH - LEFT - RIGHT) *
		       at(&csv, first_row(&csv, p + 1, n) - 1, 0) / seconds;
	for (unsigned int i = 0; i < PANELS; i++) {
		for (unsigned int s = 0; s < panels[i].nr; s++) {
			if (!x || !fill(&csv, &panels[i].series[s], n)) {
				ret = ax_error("out of memory");
				goto free_series;
			}
		}
	}
	out = fopen(path, "we");
	if (!out) {
		ret = ax_error("%s: %s", path, strerror(errno));
		goto free_series;
	}
	draw(out, title ? title : "Elastic memory", &csv, panels, n, x);
	if (ferror(out) | fclose(out))
		ret = ax_error("cannot write %s: %s", path, strerror(errno));
free_series:
	for (unsigned int i = 0; i < PANELS; i++) {
		for (unsigned int s = 0; s < panels[i].nr; s++)
			free(panels[i].series[s].y);
	}
	free(x);
free_csv:
	csv_free(&csv);
	return ret;
}
