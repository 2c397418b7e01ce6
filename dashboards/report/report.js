"use strict";
(() => {
  const held = document.getElementById("curve");
  if (!held) return;
  const curve = JSON.parse(held.textContent);
  const times = curve.days.map((day) => day * 86400);
  const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const minus = (text) => text.replace("-", "\u2212");
  const money = (value) => minus(value.toLocaleString("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 }));
  const short = (value) => minus(Intl.NumberFormat("en-US", { notation: "compact", maximumSignificantDigits: 5 }).format(value));
  const percent = (value) => minus((value * 100).toFixed(2)) + "%";
  const date = (time) => new Date(time * 1000).toISOString().slice(0, 10);
  // Away from the cursor the legend shows the newest day.
  const newest = (write) => (u, value, series, index) => {
    const shown = index == null ? u.data[series][u.data[series].length - 1] : value;
    return shown == null ? "not known" : write(shown);
  };
  const charts = [];

  function draw(id, label, values, write, tick, color, height) {
    const place = document.getElementById(id);
    const axis = { stroke: style("--soft"), grid: { stroke: style("--line"), width: 1 }, ticks: { stroke: style("--line"), width: 1 } };
    const options = {
      width: place.clientWidth,
      height,
      tzDate: (time) => uPlot.tzDate(new Date(time * 1e3), "Etc/UTC"),
      cursor: { sync: { key: "report" }, drag: { x: true, y: false } },
      series: [
        { label: "Day", value: newest(date) },
        { label, value: newest(write), stroke: style(color), fill: style(color + "-fill"), width: 1.5, points: { show: times.length < 3 } },
      ],
      axes: [{ ...axis, space: 90, size: 36, values: (u, splits) => splits.map(date) }, { ...axis, size: 64, values: (u, splits) => splits.map(tick) }],
    };
    if (id === "drawdown") {
      options.scales = { y: { range: (u, low) => [Math.min(low, -0.001) * 1.05, 0] } };
    } else {
      options.series[1].fill = undefined;
    }
    charts.push([new uPlot(options, [times, values], place), place, height]);
  }

  function drawAll() {
    for (const [chart] of charts.splice(0)) chart.destroy();
    draw("equity", "Equity (" + curve.currency + ")", curve.equity, money, short, "--up", 280);
    draw("drawdown", "Below the highest", curve.drawdown, percent, (value) => minus((value * 100).toFixed(1)) + "%", "--down", 160);
  }

  drawAll();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  new ResizeObserver(() => {
    requestAnimationFrame(() => {
      for (const [chart, place, height] of charts) chart.setSize({ width: place.clientWidth, height });
    });
  }).observe(document.getElementById("charts"));
})();
