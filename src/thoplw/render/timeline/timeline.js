"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const chart = document.getElementById("chart");
const count = data.steps.length;
const COLUMNS = 1200; // of the chart, at most

// -- bytes of each kind at each step

const levels = data.kinds.map(() => new Float64Array(count + 1));
for (const [size, kind, step, gone] of data.storages) {
  levels[kind][Math.max(step, 0)] += size;
  if (gone >= 0) levels[kind][gone] -= size;
}
const total = new Float64Array(count);
for (const level of levels) {
  for (let step = 0; step < count; step++) {
    if (step) level[step] += level[step - 1];
    total[step] += level[step];
  }
}

// -- the chart: a column for each step, or for the highest of several

const wide = Math.max(1, count / COLUMNS);
const columns = [];
for (let at = 0; Math.floor(at * wide) < count; at++) {
  let best = Math.floor(at * wide);
  for (let step = best; step < Math.min(count, Math.floor((at + 1) * wide)); step++) if (total[step] > total[best]) best = step;
  columns.push(best);
}
const height = (size) => 100 - (96 * size) / total[data.peak];
const draw = (name, attributes) => {
  const made = chart.appendChild(document.createElementNS("http://www.w3.org/2000/svg", name));
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
};
chart.setAttribute("viewBox", `0 0 ${columns.length} 100`);
const floor = new Float64Array(columns.length);
data.kinds.forEach((name, kind) => {
  if (!levels[kind].some((size) => size > 0)) return;
  const upper = [], lower = [];
  columns.forEach((step, at) => {
    const y = height(floor[at]);
    floor[at] += levels[kind][step];
    upper.push(`${at},${height(floor[at])} ${at + 1},${height(floor[at])}`);
    lower.push(`${at},${y} ${at + 1},${y}`);
  });
  const points = [...upper, ...lower.map((pair) => pair.split(" ").reverse().join(" ")).reverse()];
  draw("polygon", { points: points.join(" "), style: `fill: var(--kind-${kind})` });
  const label = document.getElementById("legend").appendChild(document.createElement("span"));
  label.textContent = name;
  label.style.setProperty("--color", `var(--kind-${kind})`);
});
const line = { y1: 0, y2: 100, "vector-effect": "non-scaling-stroke", style: "stroke: var(--quiet); stroke-dasharray: 2 4" };
for (const step of data.iterations.slice(1)) draw("line", { x1: step / wide, x2: step / wide, ...line });
const cursor = draw("line", { y1: 0, y2: 100, "vector-effect": "non-scaling-stroke", style: "stroke: var(--ink)" });

// -- one moment

const UNITS = ["B", "KB", "MB", "GB", "TB", "PB"];
const clever = (size) => {
  let unit = 0;
  while (size >= 999.995 && unit < UNITS.length - 1) { size /= 1000; unit++; }
  return `${unit ? size.toFixed(2) : size} ${UNITS[unit]}`;
};
const named = (path) => path || "(model)";

function alive(step) {
  return data.storages.filter(([, , born, gone]) => born <= step && !(gone >= 0 && gone <= step));
}

function table(heading, sizes) {
  const part = document.createElement("section");
  part.appendChild(document.createElement("h2")).textContent = heading;
  const body = part.appendChild(document.createElement("table"));
  const sum = sizes.reduce((before, [, size]) => before + size, 0);
  const rows = sizes.slice(0, 30);
  const rest = rows.reduce((left, [, size]) => left - size, sum);
  if (sizes.length > 30) rows.push([`(${sizes.length - 30} more)`, rest]);
  rows.push(["Total", sum]);  // shares are of this: weights and inputs were made by no operator
  for (const [name, size] of rows) {
    const row = body.insertRow();
    const share = sum ? ((100 * size) / sum).toFixed(2) : "0.00";
    for (const text of [name, clever(size), `${share} %`]) row.insertCell().textContent = text;
  }
  return part;
}

function grouped(storages, key) {
  const sizes = new Map();
  for (const storage of storages) sizes.set(key(storage), (sizes.get(key(storage)) || 0) + storage[0]);
  return [...sizes].sort((one, other) => other[1] - one[1]);
}

let chosen = data.peak;

function show(step) {
  const [operator, module, phase] = data.steps[step];
  cursor.setAttribute("x1", step / wide + 0.5);
  cursor.setAttribute("x2", step / wide + 0.5);
  document.getElementById("moment").textContent =
    `${clever(total[step])} at ${data.operators[operator]} in ${named(data.modules[module])}, ${data.phases[phase]}, ` +
    `operator ${step + 1} of ${count}${step === data.peak ? ": the peak" : ""}`;
  const there = alive(step);
  const made = there.filter(([, , born]) => born >= 0);
  document.getElementById("tables").replaceChildren(
    table("By kind", grouped(there, ([, kind]) => data.kinds[kind])),
    table("Made in", grouped(made, ([, , born]) => named(data.modules[data.steps[born][1]]))),
    table("Made by", grouped(made, ([, , born]) => data.operators[data.steps[born][0]])),
  );
}

const stepAt = (event) => {
  const box = chart.getBoundingClientRect();
  const at = Math.floor(((event.clientX - box.left) / box.width) * columns.length);
  return columns[Math.min(Math.max(at, 0), columns.length - 1)];
};
chart.addEventListener("pointermove", (event) => show(stepAt(event)));
chart.addEventListener("pointerleave", () => show(chosen));
chart.addEventListener("click", (event) => show((chosen = stepAt(event))));
chart.addEventListener("keydown", (event) => {
  const to = { ArrowLeft: chosen - 1, ArrowRight: chosen + 1, Home: data.peak }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  show((chosen = Math.min(Math.max(to, 0), count - 1)));
});
show(chosen);
