// The running sum of the rank IC, one line a split.
/* global LightweightCharts */
const box = document.getElementById("ic-chart");
const note = document.querySelector("[data-chart-note]");
const TONES = { train: "--muted", valid: "--warn", test: "--link" };
const WORDS = { train: "train", valid: "validation", test: "test" };

function colour(name) {
  const probe = document.createElement("span");
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
}

function look() {
  return {
    layout: { background: { color: colour("--panel") }, textColor: colour("--muted"), attributionLogo: false, fontSize: 11 },
    grid: { vertLines: { visible: false }, horzLines: { color: colour("--line") } },
    rightPriceScale: { borderVisible: false, scaleMargins: { top: 0.1, bottom: 0.1 } },
    timeScale: { borderVisible: false, rightOffset: 2, minBarSpacing: 0.1 },
    localization: { priceFormatter: (value) => value.toFixed(1) },
  };
}

async function draw() {
  const answer = await fetch(box.dataset.source, { headers: { Accept: "application/json" } });
  if (!answer.ok) throw new Error(String(answer.status));
  const { splits } = await answer.json();
  const chart = LightweightCharts.createChart(box, { ...look(), autoSize: true });
  const lines = Object.entries(splits).map(([name, points]) => {
    const series = chart.addSeries(LightweightCharts.LineSeries, { lineWidth: 2, title: WORDS[name], priceLineVisible: false });
    series.setData(points.map((point) => ({ time: point.date, value: point.sum })));
    return [name, series, points.length];
  });
  const paint = () => lines.forEach(([name, series]) => series.applyOptions({ color: colour(TONES[name]) }));
  paint();
  chart.timeScale().fitContent();
  if (!lines.some(([, , count]) => count)) note.textContent = "No day had two names to compare: there is nothing to draw.";
  document.addEventListener("console:theme", () => {
    chart.applyOptions(look());
    paint();
  });
}

if (box && window.LightweightCharts) {
  draw().catch((error) => {
    note.textContent = `The curve could not be loaded (${error.message}). Reload the page to try again.`;
  });
}
