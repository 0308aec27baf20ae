// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * hypersio explore: run many configurations, several at a time.
 *
 * A run's result is kept in DIR/runs/HASH.json, where HASH is that of all that
 * decides it: the whole configuration, and the trace's name, size and time of
 * change. It is written under another name and renamed, so it is whole or not
 * there. So an exploration that was stopped, or gets more values, goes on where
 * it was. DIR/results.csv and DIR/results.json have a row a run, in the order of
 * the sweep, whichever finished first.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "hs_result.h"
#include "hs_sweep.h"
#include "hypersio.h"

#define JOBS_MAX 1024
#define FORMAT "hypersio run 1"	/* to be changed when a model's results change */

struct run {
	struct hs_config config;
	const char *name, *trace;	/* of the configuration; file */
	char hash[17];
	bool kept;		/* was there before */
};

struct explore {
	const char *dir;
	struct hs_sweep sweep;
	struct run *run;
	struct run **todo;	/* the longest first */
	size_t nr_todo;
	atomic_size_t next;
	atomic_bool stop;
	pthread_mutex_t lock;	/* what follows */
	pthread_cond_t changed;
	size_t done;
	unsigned int running;	/* threads */
	uint64_t translations;
	struct ax_msg msg;	/* the first error */
	bool failed;
};

static volatile sig_atomic_t interrupted;

static void on_signal(int sig)
{
	(void)sig;
	interrupted = 1;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* --- files ------------------------------------------------------------------------------ */

static void path_of(const struct explore *x, const struct run *r, char *path, size_t size)
{
	snprintf(path, size, "%s/runs/%s.json", x->dir, r->hash);
}

/* All that decides a result. */
static char *key_text(const struct run *r)
{
	struct stat st = { 0 };
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return NULL;
	if (stat(r->trace, &st))
		st.st_size = -1;	/* the original's prefix: the reader knows */
	fprintf(f, FORMAT "\n%s\n%lld bytes, changed %lld.%09ld\n", r->trace,
		(long long)st.st_size, (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
	hs_config_print(&r->config, f);
	if (fclose(f)) {
		free(text);
		return NULL;
	}
	return text;
}

/* FNV-1a, 64 bits. That two keys have the same one is found out by comparing them. */
static void hash_key(const char *text, char hash[17])
{
	uint64_t h = 0xcbf29ce484222325ull;

	for (; *text; text++)
		h = (h ^ (unsigned char)*text) * 0x100000001b3ull;
	snprintf(hash, 17, "%016llx", (unsigned long long)h);
}

static int write_whole(const char *path, const char *text)
{
	char tmp[4200];
	FILE *f;

	snprintf(tmp, sizeof(tmp), "%s.new", path);
	f = fopen(tmp, "w");
	if (!f)
		return -1;
	if (fputs(text, f) < 0 || fflush(f) || fsync(fileno(f))) {
		fclose(f);
		return -1;
	}
	return fclose(f) || rename(tmp, path) ? -1 : 0;
}

static int store(const struct explore *x, const struct run *r, const struct hs_result *result,
		 struct ax_msg *msg)
{
	char path[4096], *key = key_text(r), *text;
	json_t *o = json_object();
	int ret = 0;

	json_object_set_new(o, "key", json_string(key ? key : ""));
	json_object_set_new(o, "result", hs_result_json(result, &r->config, false));
	text = json_dumps(o, JSON_INDENT(1));
	json_decref(o);
	path_of(x, r, path, sizeof(path));
	if (!key || !text)
		ret = ax_fail(msg, "out of memory");
	else if (write_whole(path, text))
		ret = ax_fail(msg, "%s: %s", path, strerror(errno));
	free(key);
	free(text);
	return ret;
}

/* The result of a run that was done before, or NULL. */
static json_t *load(const struct explore *x, const struct run *r)
{
	char path[4096], *key = key_text(r);
	json_t *o, *result = NULL;
	const char *was;

	path_of(x, r, path, sizeof(path));
	o = json_load_file(path, 0, NULL);
	was = json_string_value(json_object_get(o, "key"));
	if (key && was && !strcmp(key, was))
		result = json_incref(json_object_get(o, "result"));
	json_decref(o);
	free(key);
	if (result && !json_is_object(result)) {
		json_decref(result);
		result = NULL;
	}
	return result;
}

/* --- the table --------------------------------------------------------------------------- */

static void csv_text(FILE *f, const char *text)
{
	if (!strpbrk(text, ",\"\n")) {
		fputs(text, f);
		return;
	}
	fputc('"', f);
	for (; *text; text++) {
		if (*text == '"')
			fputc('"', f);
		fputc(*text, f);
	}
	fputc('"', f);
}

/* Columns beside the results: the swept keys, and these four whether swept or not. */
static const char *const fixed[] = { "config", "model", "tenants", "trace" };
#define NR_FIXED (sizeof(fixed) / sizeof(fixed[0]))

static bool is_fixed(const char *key)
{
	for (size_t i = 0; i < NR_FIXED; i++) {
		if (!strcmp(fixed[i], key))
			return true;
	}
	return false;
}

static const char *fixed_value(const struct run *r, size_t i, const json_t *result, char text[64])
{
	if (i == 0)
		return r->name;
	if (i == 3)
		return r->trace;
	if (i == 2)
		snprintf(text, 64, "%lld",
			 (long long)json_integer_value(json_object_get(result, "tenants_seen")));
	else
		hs_config_get(&r->config, hs_config_find(fixed[i]), text, 64);
	return text;
}

static void csv_row(const struct explore *x, size_t i, const json_t *result, FILE *f)
{
	char text[64], number[32];

	for (size_t j = 0; j < NR_FIXED; j++) {
		if (j)
			fputc(',', f);
		csv_text(f, fixed_value(&x->run[i], j, result, text));
	}
	for (size_t j = 0; j < x->sweep.nr_axes; j++) {
		if (is_fixed(x->sweep.axis[j].key))
			continue;
		fputc(',', f);
		csv_text(f, hs_sweep_value(&x->sweep, i, j));
	}
	for (const struct hs_column *c = hs_columns; c->name; c++) {
		const json_t *v = json_object_get(result, c->name);

		fputc(',', f);
		fputs(json_is_number(v) ? hs_number(json_number_value(v), number) : "inf", f);
	}
	fputc('\n', f);
}

static void csv_header(const struct explore *x, FILE *f)
{
	for (size_t j = 0; j < NR_FIXED; j++)
		fprintf(f, "%s%s", j ? "," : "", fixed[j]);
	for (size_t j = 0; j < x->sweep.nr_axes; j++) {
		if (!is_fixed(x->sweep.axis[j].key))
			fprintf(f, ",%s", x->sweep.axis[j].key);
	}
	for (const struct hs_column *c = hs_columns; c->name; c++)
		fprintf(f, ",%s", c->name);
	fputc('\n', f);
}

static void annotate(const struct explore *x, size_t i, json_t *result)
{
	json_t *swept = json_object();

	for (size_t j = 0; j < x->sweep.nr_axes; j++)
		json_object_set_new(swept, x->sweep.axis[j].key,
				    json_string(hs_sweep_value(&x->sweep, i, j)));
	json_object_set_new(result, "swept", swept);
	json_object_set_new(result, "name", json_string(x->run[i].name));
	json_object_set_new(result, "trace", json_string(x->run[i].trace));
}

/* Write both tables with the runs that are there. */
static int write_tables(const struct explore *x)
{
	json_t *rows = json_array();
	char path[4096], *csv = NULL, *text;
	size_t size = 0;
	FILE *f = open_memstream(&csv, &size);
	int ret = AX_OK;

	if (!f || !rows)
		return ax_error("out of memory");
	csv_header(x, f);
	for (size_t i = 0; i < x->sweep.runs; i++) {
		json_t *result = load(x, &x->run[i]);

		if (!result)
			continue;
		csv_row(x, i, result, f);
		annotate(x, i, result);
		json_array_append_new(rows, result);
	}
	text = fclose(f) ? NULL : json_dumps(rows, JSON_INDENT(1));
	json_decref(rows);
	if (!text)
		ret = ax_error("out of memory");
	snprintf(path, sizeof(path), "%s/results.csv", x->dir);
	if (!ret && write_whole(path, csv))
		ret = ax_error("%s: %s", path, strerror(errno));
	snprintf(path, sizeof(path), "%s/results.json", x->dir);
	if (!ret && write_whole(path, text))
		ret = ax_error("%s: %s", path, strerror(errno));
	free(csv);
	free(text);
	return ret;
}

/*
 * As far as the settings tell: more packets, more of the trace's tenants, the
 * corrected model. A long run that starts last would leave the other threads idle.
 */
static int longest_first(const void *a, const void *b)
{
	const struct run *x = *(struct run *const *)a, *y = *(struct run *const *)b;
	uint64_t p = x->config.packets - 1, q = y->config.packets - 1;	/* 0: all */
	uint32_t s = x->config.tenants - 1, t = y->config.tenants - 1;

	if (p != q)
		return p < q ? 1 : -1;
	if (s != t)
		return s < t ? 1 : -1;
	if (x->config.model != y->config.model)
		return x->config.model < y->config.model ? 1 : -1;
	return (x > y) - (x < y);
}

/* --- running -------------------------------------------------------------------------------- */

static void *work(void *arg)
{
	struct explore *x = arg;

	for (;;) {
		size_t at = atomic_fetch_add(&x->next, 1);
		struct hs_result result;
		struct ax_msg msg;
		struct run *r;
		bool failed;

		if (at >= x->nr_todo || atomic_load(&x->stop))
			break;
		r = x->todo[at];
		failed = hs_run(&r->config, r->trace, &result, &msg) ||
			store(x, r, &result, &msg);
		pthread_mutex_lock(&x->lock);
		x->done += !failed;
		x->translations += result.translations;
		if (failed && !x->failed) {
			x->msg = msg;
			x->failed = true;
			atomic_store(&x->stop, true);
		}
		pthread_cond_signal(&x->changed);
		pthread_mutex_unlock(&x->lock);
		hs_result_free(&result);
	}
	pthread_mutex_lock(&x->lock);
	x->running--;
	pthread_cond_signal(&x->changed);
	pthread_mutex_unlock(&x->lock);
	return NULL;
}

static void progress(const struct explore *x, double start, bool last)
{
	double spent = now() - start, left = x->done ? spent * (x->nr_todo - x->done) / x->done : 0;

	fprintf(stderr, "\r%zu of %zu runs, %.1f M translations/s", x->done, x->nr_todo,
		spent > 0 ? x->translations / spent / 1e6 : 0);
	if (!last && x->done)
		fprintf(stderr, ", %d:%02d left", (int)left / 60, (int)left % 60);
	fprintf(stderr, "   \b\b\b%s", last ? "\n" : "");
}

/* Wait for the threads, tell how far they are, stop them on a signal. */
static void watch(struct explore *x)
{
	bool terminal = isatty(STDERR_FILENO);
	double start = now();

	pthread_mutex_lock(&x->lock);
	while (x->running) {
		struct timespec t;

		clock_gettime(CLOCK_REALTIME, &t);
		t.tv_nsec += 200000000;
		t.tv_sec += t.tv_nsec / 1000000000;
		t.tv_nsec %= 1000000000;
		pthread_cond_timedwait(&x->changed, &x->lock, &t);
		if (interrupted)
			atomic_store(&x->stop, true);
		if (terminal)
			progress(x, start, false);
	}
	if (terminal)
		progress(x, start, true);
	pthread_mutex_unlock(&x->lock);
}

static int run_all(struct explore *x, unsigned int jobs)
{
	const struct sigaction action = { .sa_handler = on_signal };
	pthread_t thread[JOBS_MAX];
	unsigned int n = 0;

	pthread_mutex_init(&x->lock, NULL);
	pthread_cond_init(&x->changed, NULL);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	for (; n < jobs && n < x->nr_todo; n++) {
		pthread_mutex_lock(&x->lock);
		x->running++;
		pthread_mutex_unlock(&x->lock);
		if (pthread_create(&thread[n], NULL, work, x)) {
			pthread_mutex_lock(&x->lock);
			x->running--;
			pthread_mutex_unlock(&x->lock);
			break;
		}
	}
	if (x->nr_todo && !n)
		return ax_error("cannot start a thread");
	if (n)
		watch(x);
	while (n-- > 0)
		pthread_join(thread[n], NULL);
	return AX_OK;
}

/* --- before --------------------------------------------------------------------------------- */

static int prepare_run(const struct ax_args *args, struct explore *x, size_t i)
{
	struct run *r = &x->run[i];
	const char *name = ax_value(args, "config");
	struct ax_msg msg;
	char *key;
	int ret;

	name = hs_sweep_lookup(&x->sweep, i, "config", name ? name : "base");
	r->trace = hs_sweep_lookup(&x->sweep, i, "trace", ax_value(args, "trace"));
	if (!r->trace)
		return ax_usage("explore needs --trace FILE, or trace= in the sweep");
	r->name = strrchr(name, '/') ? strrchr(name, '/') + 1 : name;
	ret = hypersio_config_named(args, name, &r->config);
	if (ret)
		return ret;
	for (size_t j = 0; j < x->sweep.nr_axes; j++) {
		const char *k = x->sweep.axis[j].key, *v = hs_sweep_value(&x->sweep, i, j);

		if (strcmp(k, "config") && strcmp(k, "trace") &&
		    hs_config_set(&r->config, k, v, &msg))
			return ax_usage("--sweep: %s", msg.text);
	}
	if (hs_config_check(&r->config, &msg))
		return ax_error("run %zu of the sweep: %s", i + 1, msg.text);
	key = key_text(r);
	if (!key)
		return ax_error("out of memory");
	hash_key(key, r->hash);
	free(key);
	return AX_OK;
}

static int make_dirs(const char *dir)
{
	char path[4096];

	if (strlen(dir) > 4000)
		return ax_usage("--out: the name is too long");
	if (mkdir(dir, 0777) && errno != EEXIST)
		return ax_error("%s: %s", dir, strerror(errno));
	snprintf(path, sizeof(path), "%s/runs", dir);
	if (mkdir(path, 0777) && errno != EEXIST)
		return ax_error("%s: %s", path, strerror(errno));
	return AX_OK;
}

static int prepare(const struct ax_args *args, struct explore *x)
{
	int ret;

	x->run = calloc(x->sweep.runs, sizeof(*x->run));
	x->todo = calloc(x->sweep.runs, sizeof(*x->todo));
	if (!x->run || !x->todo)
		return ax_error("out of memory");
	for (size_t i = 0; i < x->sweep.runs; i++) {
		ret = prepare_run(args, x, i);
		if (ret)
			return ret;
	}
	ret = make_dirs(x->dir);
	for (size_t i = 0; !ret && i < x->sweep.runs; i++) {
		json_t *result = load(x, &x->run[i]);

		x->run[i].kept = result;
		if (!result)
			x->todo[x->nr_todo++] = &x->run[i];
		json_decref(result);
	}
	qsort(x->todo, x->nr_todo, sizeof(*x->todo), longest_first);
	return ret;
}

int hypersio_explore(const struct ax_args *args)
{
	const char *sweep = ax_value(args, "sweep");
	struct explore x = { .dir = ax_value(args, "out") };
	struct ax_msg msg;
	uint64_t jobs;
	int ret;

	if (!sweep || !x.dir)
		return ax_usage("explore needs --sweep and --out DIR");
	if (!ax_number(args, "jobs", 1, JOBS_MAX, sysconf(_SC_NPROCESSORS_ONLN), &jobs))
		return AX_USAGE;
	if (hs_sweep_parse(&x.sweep, sweep, &msg))
		ret = ax_usage("--sweep: %s", msg.text);
	else
		ret = prepare(args, &x);
	if (!ret && x.nr_todo < x.sweep.runs)
		fprintf(stderr, "%zu of %zu runs are there already\n",
			x.sweep.runs - x.nr_todo, x.sweep.runs);
	if (!ret)
		ret = run_all(&x, jobs);
	if (!ret)
		ret = write_tables(&x);
	if (!ret && x.failed)
		ret = ax_error("%s", x.msg.text);
	if (!ret && x.done < x.nr_todo)
		ret = ax_error("stopped after %zu of %zu runs: the same command goes on",
			       x.sweep.runs - x.nr_todo + x.done, x.sweep.runs);
	if (!ret)
		printf("%zu runs: results.csv and results.json in %s\n", x.sweep.runs, x.dir);
	hs_sweep_free(&x.sweep);
	free(x.run);
	free(x.todo);
	return ret;
}
