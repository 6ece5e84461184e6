"use strict";
// The linked views of a sweep: filters, front, parallel coordinates, table. One state, one redraw.
function explorer(page) {
  const source = document.getElementById("explore-data");
  if (!source) return null;
  const data = JSON.parse(source.textContent);
  const count = data.points.length, every = [...Array(count).keys()];
  const of = (id) => document.getElementById(id);
  const escaped = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  const shown = (value) => value === null ? "-"
    : Math.abs(value) >= 1e4 ? Math.round(value).toLocaleString("en") : String(Number(value.toPrecision(4)));
  const make = (tag, text, given) => {
    const made = document.createElement(tag);
    if (text) made.textContent = text;
    for (const [name, value] of Object.entries(given || {})) made.setAttribute(name, value);
    return made;
  };
  const axes = data.axes, metrics = data.metrics;
  const metric = (key) => metrics.find((one) => one.key === key);
  const level = (axis, i) => axis.levels[axis.codes[i]];
  const conditions = axes.filter((axis) => axis.condition);
  const group = every.map((i) => conditions.map((axis) => axis.codes[i]).join(","));
  const name = (i) => axes.map((axis) => axis.name + " " + level(axis, i)).join(", ");
  const hover = every.map(() => null);
  const hoverOf = (i) => hover[i] || (hover[i] = escaped(name(i)).replace(/, /g, "<br>") + "<br>" +
    metrics.map((m) => escaped(m.label) + ": " + shown(m.values[i])).join("<br>"));

  const PAGE = 15, FEW = 12;
  const state = { visible: every, selected: new Set(), sort: { by: "rank", down: false }, at: 0 };
  const tests = [];

  // -- filters ---------------------------------------------------------------------------------
  function levelBoxes(axis) {
    const set = make("fieldset"), boxes = [];
    set.append(make("legend", axis.name));
    axis.levels.forEach((text, code) => {
      const label = make("label"), box = make("input", "", { type: "checkbox" });
      box.checked = true;
      boxes.push(box);
      label.append(box, document.createTextNode(" " + text));
      set.append(label);
    });
    tests.push({ ok: (i) => boxes[axis.codes[i]].checked, reset: () => boxes.forEach((box) => { box.checked = true; }) });
    return set;
  }

  function levelWords(axis) {
    const set = make("fieldset"), label = make("label", "contains "), input = make("input", "", { type: "search" });
    set.append(make("legend", axis.name), label);
    label.append(input);
    tests.push({
      ok: (i) => level(axis, i).toLowerCase().includes(input.value.toLowerCase()),
      reset: () => { input.value = ""; },
    });
    return set;
  }

  function range(text, value) {
    const set = make("fieldset"), ends = ["at least", "at most"].map((word) => {
      const label = make("label", word + " "), input = make("input", "", { type: "number", step: "any" });
      label.append(input);
      set.append(label);
      return input;
    });
    set.prepend(make("legend", text));
    tests.push({
      ok: (i) => {
        const one = value(i), low = ends[0].value, high = ends[1].value;
        if (low === "" && high === "") return true;
        return one !== null && (low === "" || one >= Number(low)) && (high === "" || one <= Number(high));
      },
      reset: () => ends.forEach((input) => { input.value = ""; }),
    });
    return set;
  }

  // Levels such as "40 Gbit/s" are numbers if all have one unit.
  const parts = (text) => /^\s*([-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?)\s*(.*)$/i.exec(text);
  function numeric(axis) {
    const found = axis.levels.map(parts);
    return found.every((one) => one && one[2] === found[0][2]) && !/^[:/]/.test(found[0][2]);
  }
  const unit = (axis) => { const found = parts(axis.levels[0])[2]; return found && " (" + found + ")"; };
  const filters = of("filters");
  if (window.matchMedia("(max-width: 40rem)").matches) filters.parentElement.open = false;
  for (const axis of axes) {
    if (axis.levels.length < 2) continue;
    filters.append(axis.levels.length <= FEW ? levelBoxes(axis)
      : numeric(axis) ? range(axis.name + unit(axis), (i) => Number(parts(level(axis, i))[1])) : levelWords(axis));
  }
  for (const one of metrics) filters.append(range(one.label, (i) => one.values[i]));

  // -- the front -------------------------------------------------------------------------------
  function front(ids, x, y) {
    const best = new Set(), groups = new Map();
    const sx = x.more ? -1 : 1, sy = y.more ? -1 : 1;
    for (const i of ids) {
      if (x.values[i] === null || y.values[i] === null) continue;
      if (!groups.has(group[i])) groups.set(group[i], []);
      groups.get(group[i]).push(i);
    }
    for (const some of groups.values()) {
      some.sort((a, b) => sx * (x.values[a] - x.values[b]) || sy * (y.values[a] - y.values[b]));
      let low = Infinity, at = null;
      for (const i of some) {
        const value = sy * y.values[i];
        if (value < low) { low = value; at = x.values[i]; best.add(i); }
        else if (value === low && x.values[i] === at) best.add(i);
      }
    }
    return best;
  }

  for (const [id, key] of [["axis-x", data.x], ["axis-y", data.y]]) {
    for (const one of metrics) of(id).append(make("option", one.label, { value: one.key }));
    of(id).value = key;
  }

  const COLORS = { rest: "#7f8790", front: "#3b7dd8", near: "#2a9d6f", selected: "#d1495b" };

  function cloud(text, ids, x, y, marker) {
    return {
      type: "scatter", mode: "markers", name: text, customdata: ids,
      x: ids.map((i) => x.values[i]), y: ids.map((i) => y.values[i]),
      hovertext: ids.map(hoverOf), hoverinfo: "text", marker,
    };
  }

  function drawFront() {
    const x = metric(of("axis-x").value), y = metric(of("axis-y").value);
    const ids = state.visible.filter((i) => x.values[i] !== null && y.values[i] !== null);
    const best = front(ids, x, y), some = ids.filter((i) => state.selected.has(i));
    const dim = some.length ? 0.35 : 0.65;
    const traces = [
      cloud("beaten", ids.filter((i) => !best.has(i)), x, y, { color: COLORS.rest, size: 7, opacity: dim }),
      cloud("on the front", ids.filter((i) => best.has(i)), x, y, { color: COLORS.front, size: 10, symbol: "diamond" }),
      cloud("selected", some, x, y, { color: "rgba(0,0,0,0)", size: 14, line: { color: COLORS.selected, width: 3 } }),
    ];
    of("front-says").textContent = (best.size === 1 ? "1 design is" : best.size + " designs are") +
      " beaten by no other shown design in both" + (conditions.length ? ", within a condition" : "") + ".";
    const way = (one) => one.label + (one.more ? ", more is better" : ", less is better");
    const layout = {
      height: 400, margin: { l: 60, r: 12, t: 28, b: 50 }, hovermode: "closest", showlegend: true,
      legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom" },
      dragmode: "select", selections: [], uirevision: x.key + y.key + ids.length,
      xaxis: { title: { text: escaped(way(x)) }, automargin: true, zeroline: false },
      yaxis: { title: { text: escaped(way(y)) }, automargin: true, zeroline: false },
    };
    return page.react("pareto", traces, layout);
  }

  // -- parallel coordinates --------------------------------------------------------------------
  const columns = [];
  for (const axis of axes.filter((one) => one.levels.length > 1)) {
    const last = axis.levels.length - 1, few = axis.levels.length <= 8;
    columns.push({
      text: axis.name, at: axis.codes.map((code) => code / last),
      ticks: axis.levels.map((text, code) => [code / last, text]).filter(([, ], code) => few || code === 0 || code === last),
    });
  }
  for (const one of metrics) {
    const known = one.values.filter((value) => value !== null);
    if (!known.length) continue;
    const low = Math.min(...known), high = Math.max(...known), size = high - low;
    if (low === high) continue;
    columns.push({
      text: one.label, at: one.values.map((value) => value === null ? null : (value - low) / size),
      ticks: [[0, shown(low)], [1, shown(high)]],
    });
  }
  const brief = (text, most) => text.length > most ? text.slice(0, most - 1) + "…" : text;
  const folded = (text) => escaped(text).replace(/ /g, "<br>");

  function bundle(text, ids, line, opacity) {
    const x = [], y = [];
    for (const i of ids) {
      columns.forEach((column, at) => { x.push(at); y.push(column.at[i]); });
      x.push(null);
      y.push(null);
    }
    return { type: "scatter", mode: "lines", name: text, x, y, line, opacity, hoverinfo: "skip" };
  }

  function drawParallel() {
    const some = state.visible.filter((i) => state.selected.has(i));
    const near = state.visible.filter((i) => data.share[i] >= 0.95);
    const rest = state.visible.filter((i) => !(data.share[i] >= 0.95));
    const dim = some.length ? 0.12 : rest.length > 300 ? 0.25 : 0.5;
    const traces = [
      bundle("other designs", rest, { color: COLORS.rest, width: 1 }, dim),
      bundle("within 5% of the best", near, { color: COLORS.near, width: 1.5 }, some.length ? 0.3 : 0.8),
      bundle("selected", some, { color: COLORS.selected, width: 3 }, 1),
    ];
    const style = page.colours();
    const notes = columns.flatMap((column, at) => column.ticks.map(([place, text]) => ({
      x: at, y: place, text: escaped(brief(text, 13)), showarrow: false, xanchor: "left", xshift: 4,
      font: { size: 11 }, bgcolor: style("--veil"), borderpad: 1,
    })));
    const shapes = columns.map((_, at) => ({
      type: "line", x0: at, x1: at, y0: 0, y1: 1, line: { color: style("--soft"), width: 1 }, layer: "above",
    }));
    const layout = {
      height: 420, margin: { l: 16, r: 84, t: 28, b: 72 }, hovermode: false, showlegend: true,
      legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom" },
      dragmode: "select", selections: [], annotations: notes, shapes,
      xaxis: {
        tickvals: columns.map((_, at) => at), ticktext: columns.map((column) => folded(column.text)),
        tickangle: 0, tickfont: { size: 11 }, zeroline: false, showgrid: false, fixedrange: true,
        range: [-0.08, columns.length - 0.9],
      },
      yaxis: { visible: false, range: [-0.05, 1.05], fixedrange: true },
    };
    of("plot-parallel").style.minWidth = Math.max(320, 92 * columns.length) + "px";
    return page.react("parallel", traces, layout);
  }

  // -- the table -------------------------------------------------------------------------------
  const heads = [{ key: "rank", text: "rank", value: (i) => data.rank[i] }];
  for (const axis of axes) heads.push({ key: "axis:" + axis.name, text: axis.name, word: true, value: (i) => axis.codes[i], cell: (i) => level(axis, i) });
  for (const one of metrics) heads.push({ key: one.key, text: one.label, value: (i) => one.values[i], cell: (i) => shown(one.values[i]) });

  function drawHead() {
    const row = make("tr");
    row.append(make("th", "select", { scope: "col" }));
    for (const head of heads) {
      const cell = make("th", "", { scope: "col" }), button = make("button", head.text, { type: "button" });
      if (!head.word) cell.className = "number";
      button.addEventListener("click", () => {
        state.sort = { by: head.key, down: state.sort.by === head.key && !state.sort.down };
        state.at = 0;
        drawTable();
      });
      cell.append(button);
      row.append(cell);
    }
    of("designs-head").replaceChildren(row);
  }

  function ordered() {
    const head = heads.find((one) => one.key === state.sort.by), sign = state.sort.down ? -1 : 1;
    const only = of("only-selected").checked ? state.visible.filter((i) => state.selected.has(i)) : state.visible.slice();
    const key = (i) => { const value = head.value(i); return value === null ? Infinity * sign : value; };
    return only.sort((a, b) => sign * (key(a) - key(b)) || a - b);
  }

  function tableRow(i) {
    const row = make("tr"), pick = make("td"), box = make("input", "", { type: "checkbox", "aria-label": "Select " + name(i) });
    box.checked = state.selected.has(i);
    row.className = box.checked ? "chosen" : "";
    row.dataset.design = i;
    box.addEventListener("change", () => {
      if (box.checked) state.selected.add(i); else state.selected.delete(i);
      row.className = box.checked ? "chosen" : "";
      redraw(false);
    });
    pick.append(box);
    row.append(pick);
    for (const head of heads) {
      row.append(make("td", head.cell ? head.cell(i) : String(head.value(i)), head.word ? {} : { class: "number" }));
    }
    return row;
  }

  function drawTable() {
    const rows = ordered(), pages = Math.max(1, Math.ceil(rows.length / PAGE));
    state.at = Math.min(state.at, pages - 1);
    const part = rows.slice(state.at * PAGE, (state.at + 1) * PAGE);
    of("designs-body").replaceChildren(...part.map(tableRow));
    of("designs-page").textContent = "Page " + (state.at + 1) + " of " + pages;
    of("designs-back").disabled = state.at === 0;
    of("designs-on").disabled = state.at >= pages - 1;
    [...of("designs-head").querySelectorAll("th")].slice(1).forEach((cell, at) => {
      if (heads[at].key === state.sort.by) cell.setAttribute("aria-sort", state.sort.down ? "descending" : "ascending");
      else cell.removeAttribute("aria-sort");
    });
  }

  // -- everything together ---------------------------------------------------------------------
  function tell() {
    const some = state.visible.filter((i) => state.selected.has(i)).length;
    of("explore-status").textContent = state.visible.length.toLocaleString("en") + " of " +
      count.toLocaleString("en") + " designs shown, " + some.toLocaleString("en") + " selected.";
    document.body.dataset.designs = count;
    document.body.dataset.shown = state.visible.length;
    document.body.dataset.selected = some;
  }

  function redraw(table) {
    state.visible = every.filter((i) => tests.every((test) => test.ok(i)));
    tell();
    if (table !== false) drawTable();
    return Promise.all([drawFront(), drawParallel()]);
  }

  let waiting = 0;
  function soon() {
    cancelAnimationFrame(waiting);
    waiting = requestAnimationFrame(() => redraw());
  }
  filters.addEventListener("input", soon);
  of("filters-reset").addEventListener("click", () => { tests.forEach((test) => test.reset()); redraw(); });
  of("selection-clear").addEventListener("click", () => { state.selected.clear(); redraw(); });
  of("only-selected").addEventListener("change", () => { state.at = 0; drawTable(); });
  of("designs-back").addEventListener("click", () => { state.at -= 1; drawTable(); });
  of("designs-on").addEventListener("click", () => { state.at += 1; drawTable(); });
  for (const id of ["axis-x", "axis-y"]) of(id).addEventListener("change", () => drawFront());

  function chosen(ids) {
    state.selected = new Set(ids);
    setTimeout(() => redraw(), 0);
  }

  // A box over parallel coordinates takes the lines that pass through it on every axis inside.
  function through(box) {
    const [x0, x1] = [...box.x].sort((a, b) => a - b), [y0, y1] = [...box.y].sort((a, b) => a - b);
    const inside = columns.filter((_, at) => at >= x0 && at <= x1);
    return inside.length ? state.visible.filter((i) => inside.every((c) => c.at[i] !== null && c.at[i] >= y0 && c.at[i] <= y1)) : [];
  }

  function listen() {
    const dots = of("plot-pareto"), lines = of("plot-parallel");
    dots.on("plotly_selected", (seen) => { if (seen) chosen(seen.points.map((one) => one.customdata)); });
    dots.on("plotly_click", (seen) => {
      for (const one of seen.points.slice(0, 1)) {
        if (!state.selected.delete(one.customdata)) state.selected.add(one.customdata);
      }
      chosen(state.selected);
    });
    lines.on("plotly_selected", (seen) => { if (seen && seen.range) chosen(through(seen.range)); });
    for (const plot of [dots, lines]) plot.on("plotly_deselect", () => chosen([]));
  }

  drawHead();
  return { start: () => redraw().then(listen), redraw: () => redraw(false) };
}
