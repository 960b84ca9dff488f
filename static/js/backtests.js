// Charts of backtests: every box with data-backtest-chart draws from one answer of the server, in the theme's colours.
/* global LightweightCharts */
import { colour, faded, shared } from "./chart_look.js";

const TONES = ["--link", "--warn", "--gain", "--loss", "--unknown"];
const money = (value) => value.toLocaleString("en-US", { maximumFractionDigits: 0 });
const percent = (value) => `${(value * 100).toFixed(1)}%`;
const times = (value) => `${value.toFixed(2)}×`;
const plain = (value) => value.toFixed(2);

// Which columns a chart of one run draws, and how its numbers are written.
const ONE = {
  equity: { lines: ["equity", "benchmark"], write: money },
  drawdown: { lines: ["drawdown"], write: percent, area: true },
  exposure: { lines: ["long", "short", "net"], write: percent },
  turnover: { lines: ["turnover"], write: percent, bars: true },
  ic: { lines: ["ic"], write: plain },
};
// Which column of every run a chart of several draws.
const MANY = {
  equity: { column: "relative", write: times },
  drawdown: { column: "drawdown", write: percent },
  ic: { column: "ic", write: plain },
};

function points(run, column) {
  return run.dates.map((day, at) => (run[column][at] === null ? { time: day } : { time: day, value: run[column][at] }));
}

function series(chart, style, tone) {
  const line = colour(tone);
  const common = { priceLineVisible: false, lastValueVisible: true, priceFormat: { type: "custom", formatter: style.write, minMove: 0.0001 } };
  if (style.bars) return chart.addSeries(LightweightCharts.HistogramSeries, { ...common, color: faded(line, 0.75) });
  if (style.area) {
    const area = { lineColor: line, topColor: faded(line, 0.04), bottomColor: faded(line, 0.3), invertFilledArea: true, lineWidth: 1.5 };
    return chart.addSeries(LightweightCharts.AreaSeries, { ...common, ...area });
  }
  return chart.addSeries(LightweightCharts.LineSeries, { ...common, color: line, lineWidth: 2 });
}

function draw(box, runs) {
  const kind = box.dataset.backtestChart;
  const style = runs.length > 1 ? MANY[kind] : ONE[kind];
  const chart = LightweightCharts.createChart(box, { ...shared(), autoSize: true });
  const drawn = runs.length > 1
    ? runs.map((run, at) => [run, style.column, TONES[at]])
    : style.lines.map((column, at) => [runs[0], column, column === "drawdown" ? "--loss" : TONES[at]]);
  for (const [run, column, tone] of drawn) series(chart, style, tone).setData(points(run, column));
  chart.timeScale().fitContent();
  return chart;
}

function say(text) {
  for (const note of document.querySelectorAll("[data-chart-note]")) note.textContent = text;
}

async function start() {
  const boxes = [...document.querySelectorAll("[data-backtest-chart]")];
  if (!boxes.length) return;
  const answer = await fetch(boxes[0].dataset.source, { headers: { Accept: "application/json" } });
  if (!answer.ok) throw new Error(String(answer.status));
  const { runs } = await answer.json();
  const there = runs.filter((run) => run.dates.length);
  if (!there.length) {
    say("The rows of this run are not on this machine any more; its figures are.");
    return;
  }
  let charts = boxes.map((box) => draw(box, there));
  document.addEventListener("console:theme", () => {
    for (const chart of charts) chart.remove();
    charts = boxes.map((box) => draw(box, there));
  });
}

if (window.LightweightCharts) {
  start().catch((error) => say(`The charts could not be loaded (${error.message}). Reload the page to try again.`));
}
