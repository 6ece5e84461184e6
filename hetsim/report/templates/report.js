"use strict";
(function () {
  const specs = JSON.parse(document.getElementById("specs").textContent);
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const narrow = window.matchMedia("(max-width: 40rem)");
  const clone = (value) => JSON.parse(JSON.stringify(value));

  function colours() {
    const style = getComputedStyle(document.documentElement);
    return (name) => style.getPropertyValue(name).trim();
  }

  // The page knows light from dark and wide from narrow; the specifications do not.
  function dressed(spec) {
    const of = colours();
    const layout = clone(spec.layout);
    layout.paper_bgcolor = layout.plot_bgcolor = "rgba(0,0,0,0)";
    layout.font = { color: of("--ink"), size: narrow.matches ? 11 : 13, family: "inherit" };
    layout.hoverlabel = { bgcolor: of("--card"), bordercolor: of("--rule"), font: { color: of("--ink") } };
    for (const name of ["xaxis", "yaxis"]) {
      Object.assign(layout[name], { gridcolor: of("--rule"), linecolor: of("--rule") });
    }
    // A finger that scrolls the page must not zoom a figure.
    if (narrow.matches) layout.dragmode = false;
    return layout;
  }

  const config = { displaylogo: false, displayModeBar: false };

  function draw(key) {
    return Plotly.react("plot-" + key, clone(specs[key].data), dressed(specs[key]), config);
  }

  function reset(key) {
    const back = {};
    for (const axis of ["xaxis", "yaxis"]) {
      const stated = specs[key].layout[axis];
      if (stated.range) back[axis + ".range"] = stated.range.slice();
      else back[axis + ".autorange"] = stated.autorange || true;
    }
    return Plotly.relayout("plot-" + key, back);
  }

  // Only the first axis moves: time, latency, size.
  function step(key, shift, zoom) {
    const [low, high] = document.getElementById("plot-" + key)._fullLayout.xaxis.range;
    const middle = (low + high) / 2 + shift * (high - low);
    const half = ((high - low) / 2) * zoom;
    return Plotly.relayout("plot-" + key, { "xaxis.range": [middle - half, middle + half] });
  }

  const keys = {
    ArrowLeft: (key) => step(key, -0.2, 1), ArrowRight: (key) => step(key, 0.2, 1),
    "+": (key) => step(key, 0, 0.5), "=": (key) => step(key, 0, 0.5),
    "-": (key) => step(key, 0, 2), 0: reset,
  };

  const all = Object.keys(specs);
  Promise.all(all.map(draw)).then(() => {
    // Said in the document, so that a check without eyes can read it.
    document.body.dataset.drawn = String(document.querySelectorAll(".plot .main-svg:first-child").length);
    document.body.dataset.fetched = String(performance.getEntriesByType("resource").length);
    document.body.dataset.overflow = String(document.documentElement.scrollWidth - window.innerWidth);
  });
  for (const key of all) {
    document.getElementById("plot-" + key).addEventListener("keydown", (event) => {
      const act = keys[event.key];
      if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      act(key);
    });
  }
  // A figure follows its own box: the window may stay while a scroll bar or a column comes.
  const watch = new ResizeObserver((seen) => {
    for (const one of seen) if (one.target._fullLayout) Plotly.Plots.resize(one.target);
  });
  for (const key of all) watch.observe(document.getElementById("plot-" + key));
  for (const query of [dark, narrow]) query.addEventListener("change", () => all.forEach(draw));
})();
