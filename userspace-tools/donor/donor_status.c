// SPDX-License-Identifier: GPL-2.0-or-later
#define _GNU_SOURCE
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/ax_size.h"
#include "donor.h"

static const struct counter {
	const char *name, *help;
	size_t at;	/* in struct donor_counters */
} counters[] = {
#define AT(field) offsetof(struct donor_counters, field)
	{ "sessions_opened", "Sessions opened",
	  AT(sessions_opened) },
	{ "sessions_resumed", "Control connections resumed",
	  AT(sessions_resumed) },
	{ "sessions_expired", "Sessions ended since nobody resumed them in time",
	  AT(sessions_expired) },
	{ "sessions_silent", "Sessions ended since the client was silent",
	  AT(sessions_silent) },
	{ "connections_joined", "Data connections accepted",
	  AT(connections_joined) },
	{ "connects_refused", "Connects refused",
	  AT(connects_refused) },
	{ "auth_failures", "Connects and proofs with an unknown key or a wrong MAC",
	  AT(auth_failures) },
	{ "protocol_errors", "Sessions ended for a message that is none or out of place",
	  AT(protocol_errors) },
	{ "grants", "Slabs granted",
	  AT(grants) },
	{ "grants_refused", "Requests answered with no slab",
	  AT(grants_refused) },
	{ "given_back", "Slabs given back by clients",
	  AT(given_back) },
	{ "revokes_asked", "Slabs asked back",
	  AT(revokes_asked) },
	{ "revoked", "Slabs taken back by force",
	  AT(revoked) },
	{ "zeroed", "Slabs zeroed",
	  AT(zeroed) },
	{ "register_failures", "Slabs that could not be registered",
	  AT(register_failures) },
	{ "slabs_parked", "Slabs that clients parked",
	  AT(parked) },
	{ "slabs_fetched", "Parked slabs that came back",
	  AT(fetched) },
	{ "cool_asked", "Slabs that clients were asked to park",
	  AT(cool_asked) },
	{ "store_errors", "Slabs that could not be written to the backing",
	  AT(store_errors) },
	{ "load_errors", "Slabs that could not be read from the backing",
	  AT(load_errors) },
	{ "erase_errors", "Places of the backing that could not be erased, and are not used again",
	  AT(erase_errors) },
#undef AT
};

#define NR_COUNTERS (sizeof(counters) / sizeof(counters[0]))

static uint64_t counter(const struct donor *d, unsigned int i)
{
	return *(const uint64_t *)((const char *)&d->core.counters + counters[i].at);
}

static const char *state_of(const struct donor *d)
{
	if (!d->ready)
		return "starting";
	return d->core.draining ? "draining" : "serving";
}

static uint64_t huge_bytes(const struct donor *d)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < d->core.table.used; i++)
		n += d->core.table.slab[i].huge && d->core.table.slab[i].state != DONOR_SLAB_EMPTY;
	return n * d->core.limits.slab_bytes;
}

static json_t *memory_json(const struct donor *d)
{
	const struct donor_core *core = &d->core;
	uint64_t slab = core->limits.slab_bytes;

	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
			 "slab_bytes", (json_int_t)slab,
			 "target", (json_int_t)(core->table.target * slab),
			 "size", (json_int_t)(donor_table_size(&core->table) * slab),
			 "free", (json_int_t)donor_core_bytes(core, DONOR_SLAB_READY),
			 "granted", (json_int_t)donor_core_bytes(core, DONOR_SLAB_GRANTED),
			 "zeroing", (json_int_t)donor_core_bytes(core, DONOR_SLAB_ZEROING),
			 "preparing", (json_int_t)donor_core_bytes(core, DONOR_SLAB_PREPARING),
			 "leaving", (json_int_t)(donor_core_bytes(core, DONOR_SLAB_RELEASING) +
						 core->table.retiring * slab),
			 "hugetlb", (json_int_t)huge_bytes(d));
}

/* In bytes; null without one. */
static json_t *backing_json(const struct donor *d)
{
	const struct donor_places *p = &d->core.table.places;
	uint64_t slab = d->core.limits.slab_bytes;

	if (!p->nr)
		return json_null();
	return json_pack("{s:s, s:b, s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
			 "path", d->conf.backing, "direct", d->backing.direct,
			 "io_uring", d->backing.uring,
			 "room", (json_int_t)(p->nr * slab),
			 "used", (json_int_t)((p->nr - p->nr_free) * slab),
			 "bad", (json_int_t)(p->bad * slab),
			 "parked", (json_int_t)donor_core_bytes(&d->core, DONOR_SLAB_PARKED),
			 "storing", (json_int_t)donor_core_bytes(&d->core, DONOR_SLAB_STORING),
			 "loading", (json_int_t)donor_core_bytes(&d->core, DONOR_SLAB_LOADING),
			 "erasing", (json_int_t)(p->erasing * slab));
}

static json_t *clients_json(const struct donor *d)
{
	json_t *list = json_array();

	for (const struct donor_client *c = d->core.clients; c; c = c->next) {
		json_t *o = json_pack("{s:s, s:I, s:I, s:b, s:b}", "name", c->name,
				      "held", (json_int_t)(c->held * d->core.limits.slab_bytes),
				      "sessions", (json_int_t)c->sessions,
				      "authenticated", c->key_id != 0, "dropped", c->dropped);

		if (c->quota != UINT64_MAX)
			json_object_set_new(o, "quota", json_integer(c->quota));
		json_array_append_new(list, o);
	}
	return list;
}

static json_t *sessions_json(const struct donor *d, uint64_t now)
{
	json_t *list = json_array();

	for (const struct donor_session *s = d->core.sessions; s; s = s->next) {
		const struct donor_home *home = s->net;
		const struct donor_dev *dev = home ? home->dev : NULL;
		const char *device = "";
		char id[20];
		json_t *o;

		if (dev && !dev->gone)
			device = ibv_get_device_name(dev->verbs->device);
		snprintf(id, sizeof(id), "%016" PRIx64, s->id);
		o = json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b}",
			      "id", id, "client", s->client->name,
			      "state", donor_session_state_name(s->state),
			      "peer", home ? home->peer : "",
			      "device", device,
			      "held", (json_int_t)(s->held * d->core.limits.slab_bytes),
			      "out_of_reach", (json_int_t)(s->parked * d->core.limits.slab_bytes),
			      "data_connections", (json_int_t)(home ? home->joined : 0),
			      "granted", (json_int_t)s->granted,
			      "given_back", (json_int_t)s->given_back,
			      "revoked", (json_int_t)s->revoked, "refused", (json_int_t)s->refused,
			      "resumed", (json_int_t)s->resumed,
			      "silent_ms", (json_int_t)(now - s->heard),
			      "gives_back", (s->features & ANNEX_DONOR_FEAT_GIVE_BACK) != 0);
		json_array_append_new(list, o);
	}
	return list;
}

json_t *donor_status(struct donor *d)
{
	json_t *numbers = json_object();
	uint64_t now = donor_now();
	char generation[20];

	for (unsigned int i = 0; i < NR_COUNTERS; i++)
		json_object_set_new(numbers, counters[i].name, json_integer(counter(d, i)));
	snprintf(generation, sizeof(generation), "%016" PRIx64, d->core.generation);
	return json_pack("{s:s, s:i, s:s, s:s, s:i, s:I, s:I, s:o, s:o, s:o, s:o, s:o}",
			 "version", ANNEX_VERSION, "protocol", ANNEX_DONOR_VERSION,
			 "state", state_of(d), "generation", generation,
			 "port", (int)d->conf.port, "uptime_ms", (json_int_t)(now - d->started),
			 "nr_sessions", (json_int_t)d->core.nr_sessions,
			 "memory", memory_json(d), "backing", backing_json(d),
			 "clients", clients_json(d), "sessions", sessions_json(d, now),
			 "counters", numbers);
}

static void metric(FILE *out, const char *name, const char *type, const char *help)
{
	fprintf(out, "# HELP emp_donor_%s %s\n# TYPE emp_donor_%s %s\n", name, help, name, type);
}

char *donor_metrics(struct donor *d)
{
	static const char *const states[] = {
		NULL, "preparing", "free", "granted", "zeroing", "releasing", "storing", NULL,
		"loading"
	};
	const struct donor_places *p = &d->core.table.places;
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return NULL;
	metric(out, "memory_bytes", "gauge", "Memory by what it is doing");
	for (unsigned int i = DONOR_SLAB_PREPARING; i < DONOR_SLAB_STATES; i++) {
		if (states[i])
			fprintf(out, "emp_donor_memory_bytes{state=\"%s\"} %" PRIu64 "\n",
				states[i], donor_core_bytes(&d->core, i));
	}
	metric(out, "backing_bytes", "gauge", "Room on the backing; 0 without one");
	fprintf(out, "emp_donor_backing_bytes %" PRIu64 "\n", p->nr * d->core.limits.slab_bytes);
	metric(out, "backing_used_bytes", "gauge", "Room on the backing that is taken");
	fprintf(out, "emp_donor_backing_used_bytes %" PRIu64 "\n",
		(p->nr - p->nr_free) * d->core.limits.slab_bytes);
	metric(out, "parked_bytes", "gauge", "Slabs that are on the backing only");
	fprintf(out, "emp_donor_parked_bytes %" PRIu64 "\n",
		donor_core_bytes(&d->core, DONOR_SLAB_PARKED));
	metric(out, "memory_target_bytes", "gauge", "Memory that there should be");
	fprintf(out, "emp_donor_memory_target_bytes %" PRIu64 "\n",
		d->core.table.target * d->core.limits.slab_bytes);
	metric(out, "draining", "gauge", "1 while nothing is granted any more");
	fprintf(out, "emp_donor_draining %d\n", d->core.draining);
	metric(out, "sessions", "gauge", "Sessions");
	fprintf(out, "emp_donor_sessions %u\n", d->core.nr_sessions);
	metric(out, "client_held_bytes", "gauge", "Memory that the clients with one key hold");
	/* a name has no character that would have to be escaped */
	for (const struct donor_client *c = d->core.clients; c; c = c->next)
		fprintf(out, "emp_donor_client_held_bytes{client=\"%s\"} %" PRIu64 "\n", c->name,
			c->held * d->core.limits.slab_bytes);
	for (unsigned int i = 0; i < NR_COUNTERS; i++) {
		char name[64];

		snprintf(name, sizeof(name), "%s_total", counters[i].name);
		metric(out, name, "counter", counters[i].help);
		fprintf(out, "emp_donor_%s %" PRIu64 "\n", name, counter(d, i));
	}
	fclose(out);
	return text;
}

static uint64_t number(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

static const char *string(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

void donor_status_print(const json_t *status)
{
	const json_t *m = json_object_get(status, "memory"), *s;
	const json_t *backing = json_object_get(status, "backing");
	char a[AX_HUMAN], b[AX_HUMAN], c[AX_HUMAN], e[AX_HUMAN];
	const json_t *sessions = json_object_get(status, "sessions");

	printf("%s, port %" PRIu64 ", generation %s\n", string(status, "state"),
	       number(status, "port"), string(status, "generation"));
	printf("memory %s: %s granted, %s free, %s being zeroed\n",
	       ax_human_size(number(m, "size"), a), ax_human_size(number(m, "granted"), b),
	       ax_human_size(number(m, "free"), c), ax_human_size(number(m, "zeroing"), e));
	if (json_is_object(backing))
		printf("backing %s: %s, %s parked, %s being written, %s being read\n",
		       string(backing, "path"), ax_human_size(number(backing, "room"), a),
		       ax_human_size(number(backing, "parked"), b),
		       ax_human_size(number(backing, "storing"), c),
		       ax_human_size(number(backing, "loading"), e));
	if (!json_array_size(sessions))
		return;
	printf("%-16s %-16s %-24s %-8s %10s %5s\n", "SESSION", "CLIENT", "PEER", "STATE", "HELD",
	       "CONNS");
	for (size_t i = 0; i < json_array_size(sessions); i++) {
		s = json_array_get(sessions, i);
		printf("%-16s %-16s %-24s %-8s %10s %5" PRIu64 "\n", string(s, "id"),
		       string(s, "client"), string(s, "peer"), string(s, "state"),
		       ax_human_size(number(s, "held"), a), number(s, "data_connections") + 1);
	}
}
