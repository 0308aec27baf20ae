# SPDX-License-Identifier: GPL-2.0-or-later
"""What all benches share: keys with goals, the JSON file, the table, plots."""
import fnmatch
import json
import math
import os
import statistics


class Missing(Exception):
    """A key cannot be given, and why."""


class Key:
    """One figure. goal None: reported without one."""

    def __init__(self, name, stage, goal, better, text, compute):
        self.name, self.stage, self.goal, self.better = name, stage, goal, better
        self.text, self.compute = text, compute


class Value:
    """A figure: of repeats (median, spread), or one number."""

    def __init__(self, repeats, samples, digits=2):
        if not repeats:
            raise Missing("no repeats")
        self.repeats, self.samples, self.digits = repeats, samples, digits
        self.value = statistics.median(repeats)
        self.min, self.max = min(repeats), max(repeats)


def select(keys, pattern):
    return [k for k in keys if fnmatch.fnmatch(k.name, pattern)]


def stages(keys, order):
    wanted = {k.stage for k in keys}
    return [s for s in order if s in wanted]


def met(key, value):
    if key.goal is None:
        return None
    return value <= key.goal if key.better == "lower" else value >= key.goal


def evaluate(keys, pattern, raw):
    """Return [(key, Value or None, reason or None)]."""
    out = []
    for key in keys:
        if not fnmatch.fnmatch(key.name, pattern):
            out.append((key, None, "not asked for"))
            continue
        try:
            out.append((key, key.compute(raw), None))
        except Missing as e:
            out.append((key, None, str(e)))
        except (KeyError, ValueError, ZeroDivisionError) as e:
            out.append((key, None, f"not in the raw results: {e!r}"))
    return out


def number(v, digits=2):
    return f"{v:,.{0 if abs(v) >= 1000 else digits}f}"


def write_json(path, bench, env, results):
    keys = {}
    for key, v, reason in results:
        entry = {"value": None, "goal": key.goal, "better": key.better,
                 "min": None, "max": None, "samples": None}
        if v is not None:
            entry.update(value=round(v.value, 4), min=round(v.min, 4), max=round(v.max, 4),
                         samples=v.samples)
        else:
            entry["reason"] = reason
        keys[key.name] = entry
    tmp = path + ".new"
    with open(tmp, "w", encoding="utf-8") as f:
        json.dump({"bench": bench, "env": env, "keys": keys}, f, indent=1)
        f.write("\n")
    os.replace(tmp, path)


def print_table(results):
    rows = [("key", "value", "goal", "", "min .. max", "n")]
    for key, v, reason in results:
        if v is None:
            if reason != "not asked for":
                rows.append((key.name, "-", "", "", reason, ""))
            continue
        goal = "" if key.goal is None else \
            ("<= " if key.better == "lower" else ">= ") + f"{key.goal:g}"
        word = {True: "met", False: "MISSED", None: ""}[met(key, v.value)]
        spread = f"{number(v.min, v.digits)} .. {number(v.max, v.digits)}" \
            if len(v.repeats) > 1 else ""
        rows.append((key.name, number(v.value, v.digits), goal, word, spread, str(len(v.repeats))))
    width = [max(len(r[i]) for r in rows if i != 4 or r[1] != "-") for i in range(6)]
    for r in rows:
        print(f"{r[0]:<{width[0]}}  {r[1]:>{width[1]}}  {r[2]:<{width[2]}}  {r[3]:<{width[3]}}"
              f"  {r[4]:<{width[4]}}  {r[5]}".rstrip())


# --- plots --------------------------------------------------------------------

COLOURS = ["#0b62a4", "#c4421a", "#3d8c40", "#7a5195", "#8a6d00", "#5f6b73"]


class Svg:
    """A picture with one system of axes; x may be logarithmic."""

    left, right, top, bottom = 62, 16, 34, 44

    def __init__(self, title, width=640, height=380):
        self.title, self.w, self.h = title, width, height
        self.body, self.legend = [], []

    def axes(self, x, y, xlabel, ylabel, logx=False):
        self.x, self.y, self.logx = x, y, logx
        self.text(self.w / 2, self.h - 8, xlabel, "middle")
        self.body.append(f'<text transform="translate(14,{self.h / 2}) rotate(-90)" '
                         f'text-anchor="middle">{ylabel}</text>')

    def px(self, v):
        a, b = self.x
        if self.logx:
            a, b, v = math.log10(a), math.log10(b), math.log10(max(v, 1e-12))
        return self.left + (v - a) / (b - a) * (self.w - self.left - self.right)

    def py(self, v):
        a, b = self.y
        return self.h - self.bottom - (v - a) / (b - a) * (self.h - self.top - self.bottom)

    def text(self, x, y, text, anchor="start", colour="#222"):
        self.body.append(f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" '
                         f'fill="{colour}">{text}</text>')

    def line(self, points, colour, width=1.8, dash=""):
        path = " ".join(f"{self.px(x):.1f},{self.py(y):.1f}" for x, y in points)
        self.body.append(f'<polyline points="{path}" fill="none" stroke="{colour}" '
                         f'stroke-width="{width}"{dash and f" stroke-dasharray={chr(34)}{dash}{chr(34)}"}/>')

    def dot(self, x, y, colour, r=3.2):
        self.body.append(f'<circle cx="{self.px(x):.1f}" cy="{self.py(y):.1f}" r="{r}" '
                         f'fill="{colour}" fill-opacity="0.65"/>')

    def xtick(self, v, label):
        self.line([(v, self.y[0]), (v, self.y[1])], "#e3e3e3", 1)
        self.text(self.px(v), self.h - self.bottom + 15, label, "middle")

    def ytick(self, v, label):
        self.line([(self.x[0], v), (self.x[1], v)], "#e3e3e3", 1)
        self.text(self.left - 6, self.py(v) + 4, label, "end")

    def name(self, label, colour):
        self.legend.append((label, colour))

    def save(self, path):
        for i, (label, colour) in enumerate(self.legend):
            y = self.top + 14 + 16 * i
            self.body.append(f'<rect x="{self.w - 150}" y="{y - 9}" width="10" height="10" '
                             f'fill="{colour}"/>')
            self.text(self.w - 134, y, label)
        with open(path, "w", encoding="utf-8") as f:
            f.write(f'<svg xmlns="http://www.w3.org/2000/svg" width="{self.w}" height="{self.h}" '
                    f'viewBox="0 0 {self.w} {self.h}" font-family="sans-serif" font-size="12">\n'
                    f'<rect width="100%" height="100%" fill="white"/>\n'
                    f'<text x="{self.left}" y="20" font-size="14" font-weight="bold">'
                    f'{self.title}</text>\n' + "\n".join(self.body) + "\n</svg>\n")
