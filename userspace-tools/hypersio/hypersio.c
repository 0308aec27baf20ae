// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * hypersio: traces of I/O translations of many tenants, and what translation
 * hardware makes of them.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../lib/ax_size.h"
#include "hs_config.h"
#include "hypersio.h"

static const struct ax_opt collect_opts[] = {
	{ "out", 'o', "DIR", "directory for the log", NULL },
	{ "test", 't', "iperf3|sockperf|http", "traffic: bulk, request/response, web pages (default iperf3)",
	  "iperf3 sockperf http" },
	{ "tenants", 'n', "N", "tenants, each with a network device: 1 to 16 (default 2)", "" },
	{ "time", 'T', "SECONDS", "of traffic (default 3)", "" },
	{ "limit", 'L', "N", "keep only the first N translations", "" },
	{ "nic", 'N', "e1000|e1000e|virtio", "the tenants' network devices (default e1000)",
	  "e1000 e1000e virtio" },
	{ "strict", 's', NULL, "a kernel that invalidates at each unmap, not in batches", NULL },
	{ "lab", 'l', "FILE", "the lab's program (default: tests/lab/lab of the repository)",
	  NULL },
	{ NULL, 0, NULL, NULL, NULL }
};

static const struct ax_opt trace_opts[] = {
	{ "logs", 'l', "PATTERN", "logs of hypersio collect or of the original; may be repeated",
	  NULL },
	{ "tenants", 'n', "N", "tenants of the trace", "" },
	{ "out", 'o', "FILE", "trace to write; with --compat the prefix of three files", NULL },
	{ "order", 'O', "ORDER", "whose turn it is: rr, random, zipf[:EXPONENT], burst (default rr); log with --compat",
	  "rr random zipf burst log" },
	{ "burst", 'b', "N", "packets a turn, for burst their mean (default 1); with --compat translations (default 3)",
	  "" },
	{ "packets", 'p', "N", "length of the trace (default: tenants times the shortest device's packets)",
	  "" },
	{ "seed", 's', "N", "of what is random (default 1)", "" },
	{ "start", 'S', "spread|same", "where tenants of one device begin in its log (default spread)",
	  "spread same" },
	{ "packet", 'P', "N", "translations that make a packet (default 3)", "" },
	{ "fixed", 'f', NULL, "packets are so many translations in sequence, whatever they look like",
	  NULL },
	{ "invalidations", 'i', NULL, "keep the invalidations that the logs have", NULL },
	{ "least", 'L', "N", "leave out devices with fewer packets (default 100)", "" },
	{ "no-next", 'x', NULL, "leave out the next uses, which only oracle replacement needs",
	  NULL },
	{ "compat", 'C', NULL, "build it the original's way, in its format, byte for byte", NULL },
	{ NULL, 0, NULL, NULL, NULL }
};

static const struct ax_opt convert_opts[] = {
	{ "format", 'F', "hsio|hypersio", "format to write (default hsio)", "hsio hypersio" },
	{ "next", 'x', "keep|make|drop", "next uses: as they are, found anew, or left out (default keep)",
	  "keep make drop" },
	{ NULL, 0, NULL, NULL, NULL }
};

static const struct ax_opt info_opts[] = {
	{ "json", 'j', NULL, "print JSON instead of text", NULL },
	{ NULL, 0, NULL, NULL, NULL }
};

static const struct ax_opt run_opts[] = {
	{ "trace", 't', "FILE", "trace to run: .hsio, or the original's (or its prefix)", NULL },
	{ "config", 'c', "NAME|FILE", "base, hypertrio, or a TOML or .cfg file (default base)",
	  "base hypertrio" },
	{ "model", 'm', "compat|model", "the original's model or the corrected one (default: the configuration's)",
	  "compat model" },
	{ "set", 's', "KEY=VALUE", "change a key of the configuration; may be repeated", "" },
	{ "json", 'j', NULL, "print JSON instead of text", NULL },
	{ "csv", 'v', NULL, "print a header and a line of CSV", NULL },
	{ "original", 'O', NULL, "print what the original prints (compat model only)", NULL },
	{ "tenants", 'T', NULL, "also a line for each tenant", NULL },
	{ NULL, 0, NULL, NULL, NULL }
};

static const struct ax_opt explore_opts[] = {
	{ "trace", 't', "FILE", "trace to run, unless the sweep has trace=", NULL },
	{ "config", 'c', "NAME|FILE", "base, hypertrio, or a TOML or .cfg file, unless the sweep has config= (default base)",
	  "base hypertrio" },
	{ "model", 'm', "compat|model", "the original's model or the corrected one (default: the configuration's)",
	  "compat model" },
	{ "set", 's', "KEY=VALUE", "change a key of the configuration; may be repeated", "" },
	{ "sweep", 'w', "SWEEP", "what to vary, e.g. 'tenants=4..1024*2 iotlb.size=64,128'", "" },
	{ "jobs", 'j', "N", "runs at a time (default: the number of processors)", "" },
	{ "out", 'o', "DIR", "where the results go; those that are there are kept", NULL },
	{ NULL, 0, NULL, NULL, NULL }
};

static const struct ax_opt config_opts[] = {
	{ "set", 's', "KEY=VALUE", "change a key; may be repeated", "" },
	{ NULL, 0, NULL, NULL, NULL }
};

static const struct ax_opt keys_opts[] = {
	{ "markdown", 'M', NULL, "as the table in docs/hypersio-model.md", NULL },
	{ NULL, 0, NULL, NULL, NULL }
};

static const struct ax_opt plot_opts[] = {
	{ "x", 'x', "COLUMN", "what goes to the right (default tenants)", "" },
	{ "y", 'y', "COLUMN", "what goes up (default utilization)", "" },
	{ "by", 'b', "COLUMN,...", "a curve for each value of these", "" },
	{ "out", 'o', "NAME", "NAME.svg and NAME.png (default: plot in DIR, or as the table)",
	  NULL },
	{ "title", 't', "TEXT", "heading of the picture", "" },
	{ NULL, 0, NULL, NULL, NULL }
};

static const struct ax_cmd cmds[] = {
	{ "collect", NULL, NULL, "Log the translations of tenants that do real traffic in the lab",
	  0, 0, collect_opts, hypersio_collect },
	{ "trace", NULL, "[LOG...]", "Build a trace of many tenants from logs of a few devices", 0,
	  -1, trace_opts, hypersio_trace },
	{ "convert", NULL, "TRACE FILE", "Write a trace in the other format", 2, 2, convert_opts,
	  hypersio_convert },
	{ "info", NULL, "TRACE...", "Say what a trace is, without reading all of it", 1, -1,
	  info_opts, hypersio_info },
	{ "validate", NULL, "TRACE...", "Read all of a trace and check it", 1, -1, NULL,
	  hypersio_validate },
	{ "run", NULL, NULL, "Simulate one configuration on a trace", 0, 0, run_opts,
	  hypersio_run },
	{ "explore", NULL, NULL, "Simulate every combination of a sweep, several at a time", 0, 0,
	  explore_opts, hypersio_explore },
	{ "config", "show", "NAME|FILE", "Print a configuration as TOML with every key", 1, 1,
	  config_opts, hypersio_config_show },
	{ "config", "check", "FILE...", "Check configuration files", 1, -1, NULL,
	  hypersio_config_check },
	{ "config", "keys", NULL, "List the keys with range, unit and meaning", 0, 0, keys_opts,
	  hypersio_config_keys },
	{ "plot", NULL, "DIR|TABLE", "Draw a table of runs as SVG and PNG", 1, 1, plot_opts,
	  hypersio_plot },
	{ NULL, NULL, NULL, NULL, 0, 0, NULL, NULL }
};

static const struct ax_program program = {
	.name = "hypersio",
	.summary = "I/O translation of very many tenants: traces, simulation, exploration",
	.notes = "Example:\n"
		 "  hypersio run --trace t.hsio --config hypertrio --set ptb=64",
	.cmds = cmds,
};

int main(int argc, char **argv)
{
	struct ax_args args;
	int ret;

	ret = ax_parse(&program, argc, argv, &args);
	if (ret >= 0)
		return ret;
	ret = args.cmd->run(&args);
	if (fflush(stdout) && ret == AX_OK)
		return ax_error("cannot write: %s", strerror(errno));
	return ret;
}
