"""Draws figures as bars: LABEL=NUMBER, or LABEL=FILE with a report of `mailrace bench --json`; of
its rounds by TLS with FILE#tls.

    python3 benches/chart.py 'MB/s, 8 connections' benches/throughput.svg \
        'mailrace=report.json' 'mailrace by TLS=report.json#tls' 'Dovecot 2.3=169'
"""

import html
import json
import statistics
import sys

WIDTH, LEFT, ROW, TOP = 760, 300, 34, 44
STYLE = """
  text { font: 14px system-ui, sans-serif; fill: #1d2327; }
  .title { font-weight: 600; }
  rect { fill: #1f6f8b; }
  .other { fill: #a7b1b8; }
  @media (prefers-color-scheme: dark) { text { fill: #e6e9eb; } .other { fill: #6b757c; } }
"""


def figure(text):
    try:
        return float(text)
    except ValueError:
        name, _, kind = text.partition("#")
        with open(name, encoding="utf-8") as file:
            rounds = json.load(file)[kind or "rounds"]
    return statistics.median(one["megabytes_per_second"] for one in rounds)


def main():
    title, path, *pairs = sys.argv[1:]
    bars = [(label, figure(value)) for label, value in (pair.rsplit("=", 1) for pair in pairs)]
    scale = (WIDTH - LEFT - 80) / max(value for _, value in bars)
    height = TOP + ROW * len(bars) + 6
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
        f"<title>{html.escape(title)}</title><style>{STYLE}</style>",
        f'<text class="title" x="0" y="20">{html.escape(title)}</text>',
    ]
    for number, (label, value) in enumerate(bars):
        y, length = TOP + ROW * number, max(value * scale, 1)
        kind = "" if label.startswith("mailrace") else ' class="other"'
        lines.append(f'<text x="{LEFT - 12}" y="{y + 16}" text-anchor="end">{html.escape(label)}</text>')
        lines.append(f'<rect{kind} x="{LEFT}" y="{y}" width="{length:.1f}" height="22" rx="3"/>')
        lines.append(f'<text x="{LEFT + length + 8:.1f}" y="{y + 16}">{value:,.0f}</text>')
    lines.append("</svg>\n")
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(lines))


main()
