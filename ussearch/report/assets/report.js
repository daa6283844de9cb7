"use strict";
// Draws the page's figures and shows the card of the candidate that was chosen. Data are JSON elements of the page;
// text goes in as text, and only the drawing of an architecture, which was escaped when it was made, as markup.

const SETTINGS = { displayModeBar: false, displaylogo: false, responsive: true, scrollZoom: false };
const PAPER_PX = 690; // A4 less its margins
const read = (id) => JSON.parse(document.getElementById(id).textContent);
const cards = document.getElementById("cards") ? read("cards") : {};

function make(tag, kind, ...children) {
  const element = document.createElement(tag);
  if (kind) element.className = kind;
  element.append(...children);
  return element;
}

function drawn(tag, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

function facts(pairs) {
  const list = make("dl");
  for (const [name, value] of pairs) list.append(make("dt", "", name), make("dd", "", value));
  return list;
}

function parts(values) {
  const table = make("table", "parts");
  const total = values.reduce((sum, [, each]) => sum + each, 0);
  const most = Math.max(...values.map(([, each]) => each));
  for (const [name, each] of values) {
    const bar = make("span");
    bar.style.width = `${(100 * each) / most}%`;
    const share = total ? Math.round((100 * each) / total) : 0;
    table.append(make("tr", "", make("td", "", name), make("td", "number", `${each.toFixed(2)} ms`),
      make("td", "number", `${share} %`), make("td", "fill", bar)));
  }
  return table;
}

function kernels(values) {
  const rows = values.map(([name, operator, shape, each]) => make("tr", "",
    make("td", "", name), make("td", "", operator), make("td", "", shape), make("td", "number", each.toFixed(2))));
  const head = make("tr", "", ...["kernel", "operator", "output", "ms"].map((each) => make("th", "", each)));
  const inside = make("div", "wide", make("table", "", head, ...rows));
  return make("details", "", make("summary", "", `The ${values.length} dearest kernels`), inside);
}

function example(each) {
  const picture = drawn("svg", { class: "overlay", viewBox: `0 0 ${each.side} ${each.side}` },
    drawn("image", { href: each.picture, width: each.side, height: each.side }),
    drawn("path", { class: "truth", d: each.truth }), drawn("path", { class: "prediction", d: each.prediction }));
  const caption = make("figcaption", "", `${each.rank}, Dice ${each.dice.toFixed(2)}`, make("br"),
    make("small", "", each.image));
  return make("figure", "", picture, caption);
}

function trainingCurve(place, card) {
  const muted = { size: 11, color: "#616e7c" };
  const lines = (columns, words, dash) => [
    { x: columns.epoch, y: columns.objective, name: `objective${words}`, mode: "lines+markers",
      line: { color: "#0b7285", width: 1.6, dash }, marker: { size: 4 } },
    { x: columns.epoch, y: columns.loss, name: `loss${words}`, mode: "lines", yaxis: "y2",
      line: { color: "#d9480f", width: 1.3, dash } },
  ];
  const data = lines(card.curve, card.full_curve ? ", search" : "", card.full_curve ? "dot" : "solid");
  if (card.full_curve) data.push(...lines(card.full_curve, ", full training", "solid"));
  const epochs = Math.max(card.curve.epoch.length, card.full_curve?.epoch.length ?? 0);
  const axis = { gridcolor: "#e4e7eb", zeroline: false, tickfont: muted };
  Plotly.newPlot(place, data, {
    font: { family: "system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif", size: 12, color: "#1f2933" },
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", dragmode: false, height: 250,
    margin: { l: 52, r: 56, t: 56, b: 40 }, legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom" },
    xaxis: { ...axis, title: { text: "epoch", font: muted }, dtick: Math.max(1, Math.round(epochs / 8)) },
    yaxis: { ...axis, title: { text: "objective, validation", font: muted } },
    yaxis2: { ...axis, overlaying: "y", side: "right", showgrid: false, tickformat: ".2f", nticks: 5, tickmode: "auto", title: { text: "loss, training", font: muted } },
  }, SETTINGS);
}

function show(trial) {
  const card = cards[trial];
  if (!card) return;
  const drawing = make("div", "scroll");
  drawing.innerHTML = card.drawing;
  const curve = make("div", "chart");
  const left = make("div", "", facts(card.facts));
  const right = make("div", "", make("h3", "", "Where its milliseconds go"), parts(card.parts));
  if (card.doubts) right.append(make("p", "note", card.doubts));
  right.append(kernels(card.kernels));
  const training = make("div", "", make("h3", "", "Training"), curve);
  const place = document.getElementById("card");
  place.replaceChildren(make("h3", "", card.title), make("p", "roles", card.roles.join(" · ")),
    make("div", "columns", left, right), make("h3", "", "Architecture"), drawing, training);
  if (card.examples.length) {
    place.append(make("h3", "", "Example segmentations"), make("div", "pictures", ...card.examples.map(example)));
  }
  place.dataset.trial = trial;
  document.getElementById("choose").value = trial;
  if (card.curve.epoch.length) trainingCurve(curve, card);
  else training.remove();
}

for (const place of document.querySelectorAll("[data-chart]")) {
  const figure = read(`chart-${place.dataset.chart}`);
  if (place.clientWidth < 500) {
    for (const note of figure.layout.annotations ?? []) if (note.font) note.font.size = Math.min(note.font.size, 10);
  }
  Plotly.newPlot(place, figure.data, figure.layout, SETTINGS);
  place.on("plotly_click", (event) => {
    const trial = event.points[0]?.customdata;
    if (trial === undefined) return;
    show(String(trial));
    document.getElementById("candidate").scrollIntoView();
  });
}
// Figures do not learn of the width of paper by themselves.
const everyFigure = (layout) => {
  for (const place of document.querySelectorAll(".js-plotly-plot")) Plotly.relayout(place, layout);
};
addEventListener("beforeprint", () => everyFigure({ width: PAPER_PX }));
addEventListener("afterprint", () => everyFigure({ width: null, autosize: true }));

const choose = document.getElementById("choose");
if (choose) {
  choose.addEventListener("change", () => show(choose.value));
  show(choose.value);
}
