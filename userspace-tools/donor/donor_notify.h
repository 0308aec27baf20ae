/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What systemd is told of the donor's state (Type=notify): a datagram to the
 * socket that $NOTIFY_SOCKET names; nothing happens without that.
 */
#ifndef DONOR_NOTIFY_H
#define DONOR_NOTIFY_H

#include <stdint.h>

__attribute__((format(printf, 1, 2)))
void donor_notify(const char *fmt, ...);
/* ms between two WATCHDOG=1, half of what systemd allows; 0: it wants none. */
uint64_t donor_notify_watchdog_ms(void);

#endif
