// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Makes the traces of the Zipf workloads, so that all peers and the simulators
 * see the very same accesses and nobody computes powers while time is taken.
 *
 * usage: zipftrace RECORDS COUNT SEED THETA FILE
 *
 * FILE gets COUNT record numbers below RECORDS, 32 bits each. Rank r has the
 * probability r^-THETA / zeta; ranks are scattered over the records by a
 * bijection. Exact, by rejection-inversion (W. Hoermann, G. Derflinger 1996).
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "clock.h"

static double theta;

static double h(double x)
{
	return exp(-theta * log(x));
}

static double h_integral(double x)
{
	return expm1((1 - theta) * log(x)) / (1 - theta);
}

static double h_inverse(double x)
{
	double t = x * (1 - theta);

	return exp(log1p(t < -1 ? -1 : t) / (1 - theta));
}

static uint32_t zipf(uint64_t *seed, uint32_t n)
{
	double low = h_integral(1.5) - 1, high = h_integral(n + 0.5);
	double s = 2 - h_inverse(h_integral(2.5) - h(2));

	for (;;) {
		double u = high + ldexp(next_rand(seed) >> 11, -53) * (low - high);
		double x = h_inverse(u);
		double k = floor(x + 0.5);

		k = k < 1 ? 1 : k > n ? n : k;
		if (k - x <= s || u >= h_integral(k + 0.5) - h(k))
			return k;
	}
}

/* A bijection on [0, n): a hash on the next power of two, walked until it is below n. */
static uint32_t scatter(uint32_t x, uint32_t n)
{
	unsigned int bits = 32 - __builtin_clz(n - 1), half = bits / 2;
	uint32_t mask = bits == 32 ? ~0u : (1u << bits) - 1;

	do {
		x = (x ^ x >> half) * 0x9e3779b1u & mask;
		x = (x ^ x >> half) * 0x85ebca6bu & mask;
		x = (x ^ x >> half) * 0xc2b2ae35u & mask;
		x ^= x >> half;
	} while (x >= n);
	return x;
}

int main(int argc, char **argv)
{
	uint32_t n, count, rec;
	uint64_t seed;
	FILE *f;

	if (argc != 6) {
		fprintf(stderr, "usage: zipftrace RECORDS COUNT SEED THETA FILE\n");
		return 2;
	}
	n = strtoul(argv[1], NULL, 0);
	count = strtoul(argv[2], NULL, 0);
	seed = mix64(strtoull(argv[3], NULL, 0));
	theta = strtod(argv[4], NULL);
	f = fopen(argv[5], "wb");
	if (!f || n < 64 || theta <= 0 || theta == 1) {
		fprintf(stderr, "zipftrace: bad arguments, or cannot write %s\n", argv[5]);
		return 1;
	}
	while (count--) {
		rec = scatter(zipf(&seed, n) - 1, n);
		if (fwrite(&rec, 4, 1, f) != 1)
			break;
	}
	if (fclose(f)) {
		perror(argv[5]);
		return 1;
	}
	return 0;
}
