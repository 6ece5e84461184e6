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

  // Long names break into lines, so that they leave room for the figure.
  function wrapped(text, most) {
    const lines = [""];
    for (const word of String(text).split(" ")) {
      const last = lines[lines.length - 1];
      if (last && last.length + word.length >= most) lines.push(word);
      else lines[lines.length - 1] = last ? last + " " + word : word;
    }
    return lines.join("<br>");
  }

  function named(layout, data, axis, most) {
    const texts = data.flatMap((trace) => trace[axis] || []);
    if (!texts.length || texts.some((text) => typeof text !== "string")) return;
    const names = [...new Set(texts)];
    if (axis === "x" && names.length > 20) return;
    const given = layout[axis + "axis"];
    given.tickvals = names;
    given.ticktext = names.map((text) => wrapped(text, most));
  }

  // The page knows light from dark and wide from narrow; the specifications do not.
  function dressed(data, stated) {
    const of = colours();
    const layout = clone(stated);
    layout.paper_bgcolor = layout.plot_bgcolor = "rgba(0,0,0,0)";
    layout.font = { color: of("--ink"), size: narrow.matches ? 11 : 13, family: "inherit" };
    layout.hoverlabel = { bgcolor: of("--card"), bordercolor: of("--rule"), font: { color: of("--ink") }, align: "left" };
    for (const name of ["xaxis", "yaxis"]) {
      layout[name] = Object.assign({}, layout[name], { gridcolor: of("--rule"), linecolor: of("--rule") });
    }
    named(layout, data, "y", narrow.matches ? 14 : 34);
    named(layout, data, "x", narrow.matches ? 10 : 16);
    // A finger that scrolls the page must not zoom a figure.
    if (narrow.matches) {
      layout.dragmode = false;
      if (layout.legend) layout.legend = Object.assign({}, layout.legend, { xref: "container", yref: "container", x: 0, y: 1, yanchor: "top" });
      for (const name of ["xaxis", "yaxis"]) {
        const title = layout[name].title;
        if (title) layout[name].title = Object.assign({}, title, { text: wrapped(title.text, 26) });
      }
      for (const trace of data) if (trace.colorbar) trace.showscale = false;
    }
    return layout;
  }

  const config = { displaylogo: false, displayModeBar: false };

  function react(key, traces, layout) {
    return Plotly.react("plot-" + key, traces, dressed(traces, layout), config);
  }

  function draw(key) {
    return react(key, clone(specs[key].data), specs[key].layout);
  }

  function reset(key) {
    const back = {}, stated = specs[key] ? specs[key].layout : {};
    for (const axis of ["xaxis", "yaxis"]) {
      const given = stated[axis] || {};
      if (given.range) back[axis + ".range"] = given.range.slice();
      else back[axis + ".autorange"] = given.autorange || true;
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

  function listen(key) {
    document.getElementById("plot-" + key).addEventListener("keydown", (event) => {
      const act = keys[event.key];
      if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      act(key);
    });
  }

  const all = Object.keys(specs);
  const views = explorer({ react, colours });
  const breath = () => new Promise((go) => setTimeout(go, 0));

  // What is read first is drawn first; the page answers between two figures.
  async function begin() {
    if (all.length) await draw(all[0]);
    if (views) await views.start();
    if (views) listen("pareto");
    document.body.dataset.ready = String(Math.round(performance.now()));
    for (const key of all.slice(1)) {
      await breath();
      await draw(key);
    }
    for (const key of all) listen(key);
    const watch = new ResizeObserver((seen) => {
      for (const one of seen) if (one.target._fullLayout) Plotly.Plots.resize(one.target);
    });
    // A figure follows its own box: the window may stay while a scroll bar or a column comes.
    for (const plot of document.querySelectorAll(".plot")) watch.observe(plot);
    // Said in the document, so that a check without eyes can read it.
    document.body.dataset.drawn = String(document.querySelectorAll(".plot .main-svg:first-child").length);
    document.body.dataset.fetched = String(performance.getEntriesByType("resource").length);
    document.body.dataset.overflow = String(document.documentElement.scrollWidth - window.innerWidth);
  }
  begin();
  for (const query of [dark, narrow]) {
    query.addEventListener("change", () => { all.forEach(draw); if (views) views.redraw(); });
  }

  // A page of a sweep that runs reloads itself, until it is told not to or nothing more comes.
  const live = document.getElementById("live");
  if (live) {
    const pause = document.getElementById("live-pause"), says = document.getElementById("live-says");
    const written = Number(live.dataset.written) * 1000, patience = Number(live.dataset.patience) * 1000;
    pause.checked = sessionStorage.getItem("hetsim-pause") === "yes";
    pause.addEventListener("change", () => sessionStorage.setItem("hetsim-pause", pause.checked ? "yes" : "no"));
    // Whoever filters or selects keeps what they see.
    const seen = document.body.dataset;
    const touched = () => document.querySelector("#explore :focus") !== null ||
      Number(seen.selected || 0) > 0 || seen.shown !== seen.designs;
    setInterval(() => {
      if (Date.now() - written > patience) says.textContent = "Nothing new for a long time: the sweep may have stopped. Reload by hand.";
      else if (!pause.checked && !touched()) location.reload();
    }, Number(live.dataset.every) * 1000);
  }
})();
