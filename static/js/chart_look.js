// How charts look in the theme of the moment: colours are read from the page, so dark and light follow.
export function colour(name) {
  const probe = document.createElement("span");
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
}

export function faded(value, alpha) {
  return value.replace("rgb(", "rgba(").replace(")", `, ${alpha})`);
}

export function shared() {
  return {
    layout: { background: { color: colour("--panel") }, textColor: colour("--muted"), attributionLogo: false, fontSize: 11 },
    grid: { vertLines: { visible: false }, horzLines: { color: colour("--line") } },
    rightPriceScale: { borderVisible: false, scaleMargins: { top: 0.12, bottom: 0.08 } },
    timeScale: { borderVisible: false, rightOffset: 2, minBarSpacing: 0.02 },
    crosshair: { horzLine: { labelBackgroundColor: colour("--line-strong") }, vertLine: { labelBackgroundColor: colour("--line-strong") } },
  };
}
