// Draws the charts of the report when they come near the screen, in the colours of the reader's scheme and of print.
(() => {
  "use strict";
  const page = JSON.parse(document.getElementById("charts").textContent);
  const scheme = window.matchMedia("(prefers-color-scheme: dark)");
  const config = { displayModeBar: false, responsive: true, showTips: false };
  const light = Object.keys(page.colours);
  const pattern = new RegExp(light.map((c) => c.replace(/[()]/g, "\\$&")).join("|"), "g");
  const PRINT_WIDTH = 680; // px that fit between the margins of an A4 page
  const NARROW = 480;
  let printing = false;

  const coloured = (part) =>
    scheme.matches && !printing
      ? JSON.parse(JSON.stringify(part).replace(pattern, (colour) => page.colours[colour]))
      : JSON.parse(JSON.stringify(part));

  function draw(node) {
    const chart = page.charts[node.id];
    const layout = { ...coloured(chart.layout), template: coloured(page.template), dragmode: false };
    if (printing) Object.assign(layout, { width: PRINT_WIDTH, height: 0.72 * layout.height });
    else if (node.clientWidth < NARROW) layout.height += 60; // for a legend of several lines
    node.dataset.drawn = "yes";
    Plotly.react(node, coloured(chart.data), layout, config);
  }

  const nodes = [...document.querySelectorAll(".plot")];
  const redraw = () => nodes.filter((node) => node.dataset.drawn).forEach(draw);
  scheme.addEventListener("change", redraw);

  const near = new IntersectionObserver(
    (entries) => entries.filter((entry) => entry.isIntersecting).forEach((entry) => {
      near.unobserve(entry.target);
      if (!entry.target.dataset.drawn) draw(entry.target);
    }),
    { rootMargin: "600px" },
  );
  nodes.forEach((node) => near.observe(node));

  const twins = [...document.querySelectorAll("details.twin")];
  window.addEventListener("beforeprint", () => {
    printing = true;
    twins.forEach((twin) => { twin.dataset.was = twin.open ? "open" : ""; twin.open = true; });
    nodes.forEach(draw);
  });
  window.addEventListener("afterprint", () => {
    printing = false;
    twins.forEach((twin) => { twin.open = twin.dataset.was === "open"; });
    nodes.forEach(draw);
  });
})();
