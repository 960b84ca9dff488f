// The equity curve: closes from the server, and a last point that follows the live figure.
/* global LightweightCharts */
const box = document.getElementById("equity-chart");
const note = document.querySelector("[data-chart-note]");

function colour(name) {
  const probe = document.createElement("span");
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
}

function faded(value, alpha) {
  return value.replace("rgb(", "rgba(").replace(")", `, ${alpha})`);
}

function look() {
  const line = colour("--link");
  return {
    chart: {
      layout: { background: { color: colour("--panel") }, textColor: colour("--muted"), attributionLogo: false, fontSize: 11 },
      grid: { vertLines: { visible: false }, horzLines: { color: colour("--line") } },
      rightPriceScale: { borderVisible: false, scaleMargins: { top: 0.12, bottom: 0.08 } },
      timeScale: { borderVisible: false, rightOffset: 2, minBarSpacing: 0.2 },
      crosshair: { horzLine: { labelBackgroundColor: colour("--line-strong") }, vertLine: { labelBackgroundColor: colour("--line-strong") } },
      localization: { priceFormatter: (value) => value.toLocaleString("en-US", { maximumFractionDigits: 0 }) },
    },
    series: { lineColor: line, topColor: faded(line, 0.28), bottomColor: faded(line, 0.02), lineWidth: 2, priceLineColor: colour("--muted") },
  };
}

function text(key) {
  return document.querySelector(`[data-live="${key}"]`)?.textContent.trim() || "";
}

function nowPoint(last) {
  const day = text("clock.market").match(/\d{4}-\d{2}-\d{2}/)?.[0];
  const value = Number(text("account.equity").replaceAll(",", ""));
  return day && Number.isFinite(value) && (!last || day > last) ? { time: day, value } : null;
}

async function load() {
  const answer = await fetch(box.dataset.source, { headers: { Accept: "application/json" } });
  if (!answer.ok) throw new Error(String(answer.status));
  const { points } = await answer.json();
  return points.map((point) => ({ time: point.date, value: Number(point.equity) }));
}

async function draw() {
  const style = look();
  const chart = LightweightCharts.createChart(box, { ...style.chart, autoSize: true });
  const series = chart.addSeries(LightweightCharts.AreaSeries, style.series);
  let days = await load();
  const show = () => {
    const now = nowPoint(days.at(-1)?.time);
    series.setData(now ? [...days, now] : days);
    if (!days.length) note.textContent = "The first session has not closed yet; the point is the equity now.";
    else note.textContent = `${days.length} closed session${days.length === 1 ? "" : "s"}, ${days[0].time} to ${days.at(-1).time}; the last point is now.`;
  };
  show();
  chart.timeScale().fitContent();
  let session = text("clock.market").slice(0, 14);
  document.addEventListener("console:changed", async () => {
    const here = text("clock.market").slice(0, 14);
    if (here !== session) {
      session = here;
      days = await load();
      show();
      chart.timeScale().fitContent();
      return;
    }
    const now = nowPoint(days.at(-1)?.time);
    if (now) series.update(now);
  });
  document.addEventListener("console:theme", () => {
    const fresh = look();
    chart.applyOptions(fresh.chart);
    series.applyOptions(fresh.series);
  });
}

if (box && window.LightweightCharts) {
  draw().catch((error) => {
    note.textContent = `The equity curve could not be loaded (${error.message}). Reload the page to try again.`;
  });
}
